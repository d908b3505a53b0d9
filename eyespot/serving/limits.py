"""What a server takes on, each limit with the option that sets it, and who can reach it.

The command line reads it too, so it imports nothing that is not always installed.
"""

import ipaddress
from dataclasses import dataclass, fields

from eyespot.errors import UsageError

OPTIONS = {
    "body_bytes": "--max-body-bytes",
    "pixels": "--max-pixels",
    "pictures": "--max-pictures",
    "concurrent": "--max-concurrent",
    "body_seconds": "--body-seconds",
    "work_seconds": "--work-seconds",
    "stop_seconds": "--stop-seconds",
    "corrections": "--max-corrections",
    "connections": "--max-connections",
    "held_bytes": "--max-held-bytes",
}


@dataclass(frozen=True)
class ServerLimits:
    """Bounds that are exact: what reaches one is still taken, what is one more is refused.

    Attributes:
        body_bytes: of a request's body.
        pixels: of one picture, its width times its height.
        pictures: in one request.
        concurrent: requests whose pictures are worked on, or wait for that, at the same time.
        body_seconds: until a request's head, and until its body, has come, and until its answer has been taken.
        work_seconds: that the work on a request may take.
        stop_seconds: from a signal to stop until the server has stopped.
        corrections: pictures kept for each model.
        connections: that are open at the same time.
        held_bytes: of all requests' bodies, and of answers that have not been taken.

    Raises:
        UsageError: a limit is not above 0.
    """

    body_bytes: int = 20_000_000
    pixels: int = 64_000_000  # as `eyespot predict` takes; the module that says so is not light
    pictures: int = 100
    concurrent: int = 64
    body_seconds: float = 30.0
    work_seconds: float = 30.0
    stop_seconds: float = 30.0
    corrections: int = 10_000
    connections: int = 1_000
    held_bytes: int = 80_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise UsageError(f"`limits.{field.name}` must be above 0; received {value}.")


def is_token(text: str) -> bool:
    """Return whether text can be a bearer token: letters, digits and signs, at least one, and no spaces."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that is bound to the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
