"""A bounded queue from the connections of one camera to the decoding thread."""

import queue
import threading

from stream.capture.live.connection import Connected, Connection, Disconnected, Item

_LEAST_ROOM = 50  # items


class PacketQueue:
    """A queue from reading threads to the decoding thread.

    If the program falls behind by more than `backlog_seconds` of frames, frames are skipped: each connection continues
    at a key frame that finds at least half of the queue free.

    Attributes:
        skipped: frames left out.
    """

    def __init__(self, backlog_seconds: float) -> None:
        self.skipped = 0
        self._backlog_seconds = backlog_seconds
        self._room = _LEAST_ROOM
        self._skipping: set[Connection] = set()
        self._put_lock = threading.Lock()  # a silent connection and a new one beside it may both put
        self._entries: queue.SimpleQueue[tuple[Connection, Item] | None] = queue.SimpleQueue()

    @property
    def waiting(self) -> int:
        """Number of waiting items."""
        return self._entries.qsize()

    def put(self, connection: Connection, item: Item) -> None:
        """Add `item`; called from the thread of `connection`."""
        with self._put_lock:
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
        """Return the next item and its connection, or None if none came within `seconds`."""
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
