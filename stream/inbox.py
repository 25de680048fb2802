"""Where the connections of one camera leave what they read: in order, and never more than a program can hold."""

import queue

from stream.connection import Connection, Ended, Item, Opened

_LEAST_ROOM = 50


class Inbox:
    """A queue from reading threads to the one that decodes.

    A program that falls behind by more than `backlog_seconds` of pictures misses some: from then up to a key frame at
    which at most half of the room is taken. `skipped` counts them.
    """

    def __init__(self, backlog_seconds: float) -> None:
        self.skipped = 0
        self._backlog_seconds = backlog_seconds
        self._room = _LEAST_ROOM
        self._full: Connection | None = None
        self._entries: queue.SimpleQueue[tuple[Connection, Item] | None] = queue.SimpleQueue()

    @property
    def waiting(self) -> int:
        """Items that wait."""
        return self._entries.qsize()

    def put(self, connection: Connection, item: Item) -> None:
        """Leave `item`; called from the thread of `connection`."""
        if isinstance(item, Opened):
            self._room = max(_LEAST_ROOM, round(self._backlog_seconds / item.frame_seconds))
        elif not isinstance(item, Ended) and self._must_skip(connection, key=item.key):
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
        if self._full is connection and key and waiting <= self._room // 2:
            self._full = None
        elif waiting >= self._room:
            self._full = connection
        return self._full is connection
