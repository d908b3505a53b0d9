"""What uvicorn and the server say to each other (ASGI), and the answers of the server.

Starlette and FastAPI have all of this too, but take as long to import as everything else that a first prediction from a
cold start needs: they are loaded after it, for the addresses they answer.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
JSON = "application/json"


class ClientGone(Exception):  # noqa: N818 - not a fault
    """The client has gone before its request was complete: nobody is there to answer."""


@dataclass(frozen=True)
class Answer:
    """An answer, whole."""

    body: bytes
    status: int = 200
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        """Sends it."""
        told = {"content-type": self.media_type, "content-length": str(len(self.body)), **self.headers}
        head = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": self.body})


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that name (in small letters); None where there is none."""
    return next((value for key, value in scope["headers"] if key == name), None)
