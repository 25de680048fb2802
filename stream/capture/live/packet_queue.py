"""Where the connections of one camera leave what they read: in order, and never more than a program can hold."""

import queue
import threading

from stream.capture.live.connection import Connected, Connection, Disconnected, Item

_LEAST_ROOM = 50


class PacketQueue:
    """A queue from reading threads to the one that decodes.

    A program that falls behind by more than `backlog_seconds` of pictures misses some: of each connection from then up
    to a key frame at which at most half of the room is taken. `skipped` counts them.
    """

    def __init__(self, backlog_seconds: float) -> None:
        self.skipped = 0
        self._backlog_seconds = backlog_seconds
        self._room = _LEAST_ROOM
        self._skipping: set[Connection] = set()
        self._leaving = threading.Lock()  # a silent connection and the one beside it may both leave something
        self._entries: queue.SimpleQueue[tuple[Connection, Item] | None] = queue.SimpleQueue()

    @property
    def waiting(self) -> int:
        """Items that wait."""
        return self._entries.qsize()

    def put(self, connection: Connection, item: Item) -> None:
        """Leave `item`; called from the thread of `connection`."""
        with self._leaving:
            if isinstance(item, Connected):
                self._room = max(_LEAST_ROOM, round(self._backlog_seconds / item.frame_seconds))
            elif isinstance(item, Disconnected):
                self._skipping.discard(connection)
            elif self._must_skip(connection, key=item.key):
                self.skipped += 1
                return
            self._entries.put((connection, item))

    def wake(self) -> None:
        """Make a waiting `get` return."""
        self._entries.put(None)

    def get(self, seconds: float) -> tuple[Connection, Item] | None:
        """The next item and where it came from, or None if none came within `seconds`."""
        try:
            return self._entries.get(timeout=seconds)
        except queue.Empty:
            return None

    def _must_skip(self, connection: Connection, *, key: bool) -> bool:
        waiting = self._entries.qsize()
        if waiting >= self._room:
            self._skipping.add(connection)
        elif key and waiting <= self._room // 2:
            self._skipping.discard(connection)
        return connection in self._skipping
