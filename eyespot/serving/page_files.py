"""The page, and its files."""

import asyncio
import hashlib
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable

from eyespot.serving.addresses import PAGE
from eyespot.serving.asgi import Answer, Receive, Scope, header
from eyespot.serving.problems import Refusal
from eyespot.serving.service import Service

INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".json": "application/json",
}
# Nothing from elsewhere, nothing inline; pictures that the page makes itself are data or blobs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


async def page(service: Service, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG001 - as all endpoints
    """The page itself, or the file of it that the address names."""
    path: str = scope["path"]
    name = INDEX if path == PAGE else path.removeprefix("/page/")
    kind = MEDIA_TYPES.get("." + name.rpartition(".")[2])
    content = await asyncio.to_thread(_content, name) if kind else None
    if kind is None or content is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "address", f"The page has no file {name[:100]!r}.")
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**SAFE, "etag": tag}
    if header(scope, b"if-none-match") == tag.encode():
        return Answer(b"", HTTPStatus.NOT_MODIFIED, kind, headers)
    return Answer(content, media_type=kind, headers=headers)


def _content(name: str) -> bytes | None:
    """A file's content; None where there is none of that name below the page's folder."""
    place: Traversable = files("eyespot.webapp")
    for part in name.split("/"):
        found = {one.name: one for one in place.iterdir()} if place.is_dir() else {}
        if part not in found:  # so that no name can lead elsewhere
            return None
        place = found[part]
    return place.read_bytes() if place.is_file() else None
