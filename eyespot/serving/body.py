"""A request's body, counted as it comes."""

import asyncio
from http import HTTPStatus

from eyespot.serving.asgi import ClientGone, Receive, Scope, header
from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import CLOSE, Refusal, over_limit
from eyespot.serving.record import CONNECTION
from eyespot.serving.service import Service

LINGER_SECONDS = 2.0
LINGER_BYTES = 64_000_000


async def read_body(scope: Scope, receive: Receive, service: Service) -> bytes:
    """The whole body.

    What its head says of its length is believed only where that is too much; no more than the limit is ever kept.

    Raises:
        Refusal: it is longer than the limit, does not come in time, or other requests hold all bytes that are held.
        ClientGone: the client has gone.
    """
    limits, connection = service.limits, scope.get(CONNECTION)
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > limits.body_bytes:
        await swallow(scope, receive)
        raise _too_long(limits)
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.body_seconds):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part: bytes = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(part)
                if size > limits.body_bytes:
                    parts.clear()
                    break
                parts.append(part)
                if connection is not None:
                    service.connections.hold(connection, len(part))
    except TimeoutError:
        sentence = f"The body had not come after {limits.body_seconds:g} seconds"
        raise over_limit(HTTPStatus.REQUEST_TIMEOUT, "body_seconds", limits.body_seconds, sentence, CLOSE) from None
    if size > limits.body_bytes:
        if more:
            await swallow(scope, receive)
        raise _too_long(limits)
    return b"".join(parts)


async def swallow(scope: Scope, receive: Receive) -> None:
    """Reads on and forgets, for a while: a client that is still sending would not see an answer before a reset."""
    if header(scope, b"expect") is not None:
        return  # it waits for our word before it sends
    size = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while size < LINGER_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_long(limits: ServerLimits) -> Refusal:
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return over_limit(status, "body_bytes", limits.body_bytes, "The body has more bytes than are taken", CLOSE)
