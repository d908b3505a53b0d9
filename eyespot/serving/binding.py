"""The address that is listened on."""

import socket

from eyespot.errors import ServingError


def bind(host: str, port: int) -> socket.socket:
    """Takes an address, on which nobody is answered yet.

    Raises:
        ServingError: it is taken, or not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # By its protocol asyncio knows that it may send small packets at once; else each answer waits for 40 ms.
        taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ServingError(
            f"There is no address {host!r} here ({error.strerror or error}): name another --host."
        ) from None
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except (OSError, OverflowError) as error:
        taken.close()
        reason = getattr(error, "strerror", None) or error
        raise ServingError(
            f"Nobody can listen on {host} port {port} ({reason}): choose another --port or --host."
        ) from None
    return taken


def address_of(taken: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
