"""Who may send requests, and how much of the server its clients may hold."""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from eyespot.serving.limits import ServerLimits, is_loopback
from eyespot.serving.problems import Refusal, busy

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ANY_ORIGIN = "*"
CONNECTION = "eyespot.connection"  # key in a request's scope: what the request came on
SPARE_FILES = 192  # those of the process itself, and of clients that connect while others are cut off
FEWEST_CONNECTIONS = 16


@dataclass(frozen=True)
class Access:
    """What a request must bring.

    Attributes:
        token: a bearer token for /v1 and /metrics; None: none is needed.
        hosts: names of the server, in small letters; None: any name is right.
        origins: other sites whose pages may send requests, as `https://example.org`; `*` for all.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None
    origins: tuple[str, ...] = ()

    def check(self, scope: Scope) -> None:
        """Check a request's head.

        Raises:
            Refusal: the request has another host, no token, or comes from another site's page.
        """
        path: str = scope["path"]
        if path.startswith("/health/"):
            return
        headers = Headers(scope=scope)
        self._check_host(headers)
        if not path.startswith("/v1/") and path != "/metrics":
            return
        self._check_token(headers)
        if scope["method"] not in READ_METHODS:
            self._check_origin(headers)

    def _check_host(self, headers: Headers) -> None:
        """Against DNS rebinding: a stranger's page whose name is made to mean this machine."""
        if self.hosts is None:
            return
        name = host_name(headers.get("host", ""))
        if name not in self.hosts:
            detail = (
                f"This server does not go by the name {name[:100]!r}: use its own address, or start it with this name "
                "allowed."
            )
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "host", detail)

    def _check_token(self, headers: Headers) -> None:
        if self.token is None:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode("latin-1").strip(), self.token.encode()):
            detail = "This server wants its token: send it as Authorization: Bearer TOKEN."
            raise Refusal(HTTPStatus.UNAUTHORIZED, "token", detail, {"www-authenticate": "Bearer"})

    def _check_origin(self, headers: Headers) -> None:
        """Against other sites' pages, which a browser lets send forms and files without asking."""
        origin = headers.get("origin", "")
        if origin and (origin in self.origins or ANY_ORIGIN in self.origins):
            return
        site, host = headers.get("sec-fetch-site"), headers.get("host", "").lower()
        if (origin and origin_host(origin) != host) or (site is not None and site not in {"same-origin", "none"}):
            detail = "Other sites' pages may not send to this server, unless it is started with them allowed."
            raise Refusal(HTTPStatus.FORBIDDEN, "origin", detail)


def host_name(host: str) -> str:
    """Return the name in a Host header, without its port, in small letters."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


def origin_host(origin: str) -> str:
    """Return an origin's host and port, as a Host header has them; empty where it is no origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def hosts_for(bound: str, allowed: tuple[str, ...]) -> frozenset[str] | None:
    """Return the names of a server; None, any name, unless it is bound to loopback."""
    if not is_loopback(bound):
        return None
    return LOOPBACK_NAMES | {bound.lower()} | {name.lower() for name in allowed}


@runtime_checkable
class Connection(Protocol):
    """One client's connection: the bytes that are held for it, and how to end it."""

    held: int

    def hold_answer(self, size: int) -> None:
        """Count an answer that the client has not taken."""

    def cut(self) -> None:
        """End the connection without an answer."""


class Connections:
    """All of a server's connections, within bounds on their number and on the bytes held for them.

    Where there are too many, or too many bytes are held, the connection that has kept the server waiting longest is cut
    off: it waits for a request, for the rest of one, or until its answer is taken. A request that is worked on is safe.

    Attributes:
        most: number that may be open: as `limits` says, and fewer where the process may open fewer files.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self.most = min(limits.connections, max(FEWEST_CONNECTIONS, open_files() - SPARE_FILES))
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # in the order in which the waiting began
        self._held = 0

    def add(self, connection: Connection) -> None:
        """Add a connection, on which no byte has come yet."""
        self._open.add(connection)
        self.waits(connection)
        if len(self._open) > self.most:
            self._cut(next(iter(self._waiting)))

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self.works(connection)
        self.release(connection)
        self._open.discard(connection)

    def waits(self, connection: Connection) -> None:
        """Note that the server waits for this client."""
        self.works(connection)
        if connection in self._open:
            self._waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """Note that this client waits for the server."""
        self._waiting.pop(connection, None)

    def hold(self, connection: Connection, size: int) -> None:
        """Count more bytes that are held for a connection, until they are released.

        Raises:
            Refusal: too many bytes are held, and none for a client that has kept the server waiting longer.
        """
        self._held += size
        connection.held += size
        while self._held > self._limits.held_bytes:
            longest = next((waiting for waiting in self._waiting if waiting.held), None)
            if longest is None or longest is connection:
                self.release(connection)
                raise busy(self._limits, "held_bytes", "The server holds as many bytes for requests as it takes")
            self._cut(longest)

    def release(self, connection: Connection) -> None:
        """Note that no byte is held for a connection any more."""
        self._held -= connection.held
        connection.held = 0

    def _cut(self, connection: Connection) -> None:
        self.remove(connection)
        connection.cut()


def open_files() -> int:
    """Return how many files this process may open."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit on sockets
        return 1 << 30
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
