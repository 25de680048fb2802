"""Printer: what goes to stdout while cameras are watched, in a thread of its own that can hold up nothing else."""

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from detector.errors import OutputError

_log = logging.getLogger(__name__)

_ROOM = 10_000  # events that wait for a reader who pauses: about 15 MB
_END_SECONDS = 2.0  # for what waits, when the run ends

Event = tuple[str, int, bytes]


class Printer:
    """Calls `show` with the topic, number and JSON of each event, in order. `add` never waits.

    A reader who pauses misses what goes beyond 10,000 events. Whatever `show` raises (the disk is full, the reader has
    left) ends the printing and is logged; where events go `only` here, `check` raises it, and so does leaving. Use as a
    context: leaving prints what waits, for two seconds at most.
    """

    def __init__(self, show: Callable[[str, int, bytes], None], *, only: bool) -> None:
        self._show = show
        self._only = only
        self._failure: Exception | None = None
        self._missed = 0
        self._waiting: queue.Queue[Event | None] = queue.Queue(_ROOM)
        # A daemon: a write that waits for a reader cannot be called off, and must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)

    def add(self, topic: str, sequence: int, body: bytes) -> None:
        """Print one event as soon as may be."""
        if self._failure is not None:
            return
        try:
            self._waiting.put_nowait((topic, sequence, body))
        except queue.Full:
            if not self._missed:
                _log.warning("stdout: its reader pauses, and %d events wait; further ones are not printed", _ROOM)
            self._missed += 1

    def check(self) -> None:
        """Nothing, as long as somebody learns of events.

        Raises:
            OutputError: they cannot be printed any more, and go nowhere else.
        """
        if self._only and self._failure is not None:
            raise OutputError(f"stdout: cannot print events: {_why(self._failure)}") from self._failure

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + _END_SECONDS
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_END_SECONDS)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        left = self._missed + (self._waiting.qsize() if self._thread.is_alive() else 0)
        if self._thread.is_alive() or left:
            _log.warning("stdout: its reader does not read; about %d events were not printed", left)
        if error is None:
            self.check()

    def _run(self) -> None:
        try:
            while (event := self._waiting.get()) is not None:
                self._show(*event)
        except Exception as error:  # noqa: BLE001 - whatever it is, feed and cameras go on
            self._failure = error
            if not self._only:
                _log.warning("stdout: cannot print events: %s; watching and publishing go on", _why(error))


def write_out(text: bytes) -> None:
    """Write to stdout at once, others may be reading along; not through Python's buffer.

    Its lock would be held by a thread that waits for a reader, and the program could not end.
    """
    left = memoryview(text)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def _why(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "its reader has left"
    return error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
