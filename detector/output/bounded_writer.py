"""BoundedWriter: write in a separate thread, so that a paused reader delays nothing else."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

ROOM = 10_000
"""Items that may wait for a paused reader: about 15 MB of events, 2 MB of log lines."""

Item = TypeVar("Item")


class BoundedWriter(Generic[Item]):
    """Call `write` with each item, in order, in a daemon thread; `add` never waits.

    An error of `write` ends the writing. The thread is a daemon because a write that waits for a reader cannot be
    cancelled and must not keep the program from ending.

    Args:
        write: writes one item.
        name: name of the thread.
        notice: makes an item that says how many were left out; it follows once all others are written.

    Attributes:
        failure: the error of `write`.
        missed: items left out because there was no room; reset after each notice.
    """

    def __init__(
        self, write: Callable[[Item], None], *, name: str, notice: Callable[[int], Item] | None = None
    ) -> None:
        self.failure: Exception | None = None
        self.missed = 0
        self._write = write
        self._notice = notice
        self._waiting: deque[Item] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)  # starts with the first item

    @property
    def waiting(self) -> int:
        """Number of items that are not written yet."""
        return len(self._waiting)

    def add(self, item: Item) -> bool:
        """Write `item` as soon as possible; return False if there is no room for it."""
        with self._change:
            if len(self._waiting) >= ROOM:
                self.missed += 1
                return False
            if self._thread.ident is None:
                self._thread.start()
            self._waiting.append(item)
            self._change.notify_all()
            return True

    def wait(self, seconds: float) -> bool:
        """Wait until all is written, for `seconds` at most, and return whether it is."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting, seconds)

    def close(self, seconds: float) -> int:
        """End the thread once all is written, after `seconds` at most, and return how many items were not written."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return len(self._waiting) if self._thread.is_alive() else 0

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                item = self._waiting[0]
            try:
                self._write(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, its owner learns of it
                self.failure = error
                return
            with self._change:
                self._waiting.popleft()
                if not self._waiting and self.missed and self._notice is not None:
                    self._waiting.append(self._notice(self.missed))
                    self.missed = 0
                self._change.notify_all()
