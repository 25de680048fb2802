"""EventPrinter: print events to stdout while cameras are watched, without delaying anything else."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from detector.errors import OutputError
from detector.output.bounded_writer import ROOM, BoundedWriter
from detector.output.files import write_out
from stream import WireMessage

_log = logging.getLogger(__name__)

_END_SECONDS = 2.0  # limit for waiting events when the run ends


class EventPrinter:
    """Call `show` with each message, in order; `add` never waits.

    A paused reader misses events beyond 10,000. An error of `show` (the disk is full, the reader has left) ends the
    printing and is logged; if events go `only` here, `check` raises it.
    """

    def __init__(self, show: Callable[[WireMessage], None], *, only: bool) -> None:
        self._show = show
        self._only = only
        self._writer: BoundedWriter[WireMessage] = BoundedWriter(self._print, name="printer")

    def add(self, message: WireMessage) -> None:
        """Print one event as soon as possible."""
        if self._writer.failure is None and not self._writer.add(message) and self._writer.missed == 1:
            _log.warning("stdout: its reader pauses, and %d events wait; further ones are not printed", ROOM)

    def check(self) -> None:
        """Raise OutputError if events cannot be printed and go nowhere else.

        Raises:
            OutputError: events cannot be printed any more, and go nowhere else.
        """
        failure = self._writer.failure
        if self._only and failure is not None:
            raise OutputError(f"stdout: cannot print events: {_why(failure)}") from failure

    @contextmanager
    def running(self) -> "Iterator[EventPrinter]":
        """Print waiting events at the end of the block, for two seconds at most, and `check` if it did not fail."""
        try:
            yield self
        finally:
            left = self._writer.close(_END_SECONDS) + self._writer.missed
            if left:
                _log.warning("stdout: its reader does not read; about %d events were not printed", left)
        self.check()

    def _print(self, message: WireMessage) -> None:
        try:
            self._show(message)
        except Exception as error:
            if not self._only:
                _log.warning("stdout: cannot print events: %s; watching and publishing go on", _why(error))
            raise


def print_event(message: WireMessage) -> None:
    """Print one event as a line on stdout."""
    write_out(message.body + b"\n")


def _why(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "its reader has left"
    return error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
