"""Open connections, within bounds on their number and on the bytes that are held for them."""

from typing import Protocol, runtime_checkable

from eyespot.serving.limits import ServerLimits
from eyespot.serving.workers import busy

SPARE_FILES = 192  # those of the process itself, and of who connects while others are cut off
FEWEST = 16


@runtime_checkable
class Connection(Protocol):
    """What is known of a connection: the bytes that are held for it, and how to end it at once."""

    held: int

    def hold_answer(self, size: int) -> None:
        """Keeps an answer that has not been taken."""

    def cut(self) -> None:
        """Ends it without an answer."""


class Connections:
    """All of a server's connections.

    Where there are too many, or too many bytes are held for them, the one that has kept the server waiting longest is
    cut off: for a request, for the rest of one, or until its answer is taken. What is being worked on is not.

    Attributes:
        most: that may be open: as `limits` says, and fewer where the process may open fewer files.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self.most = min(limits.connections, max(FEWEST, open_files() - SPARE_FILES))
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # in the order in which the waiting began
        self._held = 0

    def add(self, connection: Connection) -> None:
        """One more, from which nothing has come yet."""
        self._open.add(connection)
        self.waits(connection)
        if len(self._open) > self.most:
            self._cut(next(iter(self._waiting)))

    def remove(self, connection: Connection) -> None:
        """It is closed."""
        self.works(connection)
        self.release(connection)
        self._open.discard(connection)

    def waits(self, connection: Connection) -> None:
        """From now on the server waits for this client."""
        self.works(connection)
        if connection in self._open:
            self._waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """From now on the client waits for the server."""
        self._waiting.pop(connection, None)

    def hold(self, connection: Connection, size: int) -> None:
        """Keeps so many more bytes for a connection, until they are released.

        Raises:
            Refusal: too many are held, and none for a client that has kept the server waiting longer.
        """
        self._held += size
        connection.held += size
        while self._held > self._limits.held_bytes:
            longest = next((one for one in self._waiting if one.held), None)
            if longest is None or longest is connection:
                self.release(connection)
                raise busy(self._limits, "held_bytes", "The server holds as many bytes for requests as it takes")
            self._cut(longest)

    def release(self, connection: Connection) -> None:
        """Nothing is held for it any more."""
        self._held -= connection.held
        connection.held = 0

    def _cut(self, connection: Connection) -> None:
        self.remove(connection)
        connection.cut()


def open_files() -> int:
    """How many files this process may open."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit on sockets
        return 1 << 30
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
