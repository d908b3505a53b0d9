"""Who may ask: by address, by token, and from which pages."""

import hmac
import ipaddress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from eyespot.serving.asgi import Scope, header
from eyespot.serving.problems import Refusal

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ASKING_ONLY = frozenset({"GET", "HEAD", "OPTIONS"})
ANY = "*"


@dataclass(frozen=True)
class Access:
    """What a request must bring.

    Attributes:
        token: a bearer token for /v1 and /metrics; None: none is needed.
        hosts: names that the server goes by, in small letters; None: any.
        origins: other pages that may ask, as `https://example.org`; `*` for all.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None
    origins: tuple[str, ...] = ()

    def check(self, scope: Scope) -> None:
        """Looks at a request's head.

        Raises:
            Refusal: it may not ask.
        """
        path: str = scope["path"]
        if path.startswith("/health/"):
            return
        self._check_host(scope)
        if not path.startswith("/v1/") and path != "/metrics":
            return
        self._check_token(scope)
        if scope["method"] not in ASKING_ONLY:
            self._check_origin(scope)

    def _check_host(self, scope: Scope) -> None:
        """Against DNS rebinding: a stranger's page whose name is made to mean this machine."""
        if self.hosts is None:
            return
        name = host_name(header(scope, b"host") or b"")
        if name not in self.hosts:
            detail = f"This server does not go by the name {name[:100]!r}: use its own address (or --allow-host)."
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "host", detail)

    def _check_token(self, scope: Scope) -> None:
        if self.token is None:
            return
        kind, _, given = (header(scope, b"authorization") or b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self.token.encode()):
            detail = "This server wants its token: send it as Authorization: Bearer TOKEN."
            raise Refusal(HTTPStatus.UNAUTHORIZED, "token", detail, {"www-authenticate": "Bearer"})

    def _check_origin(self, scope: Scope) -> None:
        """Against other sites' pages, which a browser lets send forms and files without asking."""
        origin = (header(scope, b"origin") or b"").decode("latin-1")
        if origin and (origin in self.origins or ANY in self.origins):
            return
        site = header(scope, b"sec-fetch-site")
        host = (header(scope, b"host") or b"").decode("latin-1").lower()
        if (origin and urlsplit_host(origin) != host) or (site is not None and site not in {b"same-origin", b"none"}):
            detail = "Other sites' pages may not send to this server: allow one with --allow-origin."
            raise Refusal(HTTPStatus.FORBIDDEN, "origin", detail)


def host_name(value: bytes) -> str:
    """The name in a Host header, without its port, in small letters."""
    text = value.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


def urlsplit_host(origin: str) -> str:
    """Host and port of an origin, as a Host header has them; empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def hosts_for(bound: str, allowed: tuple[str, ...]) -> frozenset[str] | None:
    """The names to go by: any, unless bound to loopback."""
    if not is_loopback(bound):
        return None
    return LOOPBACK_NAMES | {bound.lower()} | {name.lower() for name in allowed}
