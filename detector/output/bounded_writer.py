"""BoundedWriter: writes in a thread of its own, so that a reader who pauses holds up nothing else."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

ROOM = 10_000
"""Items that wait for a reader who pauses: about 15 MB of events, 2 MB of log lines."""

Item = TypeVar("Item")


class BoundedWriter(Generic[Item]):
    """Calls `write` with each item, in order, in a daemon thread; `add` never waits.

    What `write` raises ends the writing. The thread is a daemon because a write that waits for a reader cannot be
    called off and must not keep the program from ending.

    Args:
        write: writes one item.
        name: of the thread.
        notice: makes an item that tells how many were left out; it follows once all others are written.

    Attributes:
        failure: what `write` raised.
        missed: items left out for want of room; counted anew after each notice.
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
        """How many items are not written yet."""
        return len(self._waiting)

    def add(self, item: Item) -> bool:
        """Have `item` written as soon as possible; return False where there is no room for it."""
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
        """Wait until all is written, for `seconds` at most; return whether it is."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting, seconds)

    def close(self, seconds: float) -> int:
        """End the thread once all is written, waiting for `seconds` at most; return how many items it did not reach."""
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
