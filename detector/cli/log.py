"""The program's log: lines on stderr, in UTC, without secrets."""

import logging
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress

from stream import redact

_ROOM = 10_000  # lines that wait for a reader who pauses: about 2 MB
_PATIENCE_SECONDS = 0.5  # then nobody waits any more until the reader goes on


class _Redacted(logging.Formatter):
    """Formats as usual, then takes out what must not be shown, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Stderr(logging.Handler):
    """Writes lines to stderr, in a thread of its own.

    A line is there when the call that logged it returns, unless the reader of stderr pauses (a terminal that is held
    with Ctrl-S, a log service that hangs): that must not hold up a camera. Lines then wait, and those beyond 10,000
    are counted and left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._change = threading.Condition()
        self._waiting: deque[str] = deque()
        self._paused = False
        self._missed = 0
        # A daemon: a write that waits for a reader cannot be called off, and must not keep the program from ending.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have the line written, and wait for that as long as the reader reads."""
        line = f"{self.format(record)}\n"
        with self._change:
            if len(self._waiting) >= _ROOM:
                self._missed += 1
                return
            self._waiting.append(line)
            self._change.notify_all()
            if not self._paused and not self._change.wait_for(lambda: not self._waiting, _PATIENCE_SECONDS):
                self._paused = True

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting)
                line = self._waiting[0]
            with suppress(OSError, ValueError):  # the reader has left, or the disk is full
                _write(line)
            with self._change:
                self._waiting.popleft()
                if not self._waiting:
                    self._catch_up()
                self._change.notify_all()

    def _catch_up(self) -> None:
        """All is written: say what is missing, if anything is."""
        self._paused = False
        if self._missed:
            self._waiting.append(f"stderr: its reader paused; {self._missed} lines of the log were left out here\n")
            self._missed = 0


def _write(line: str) -> None:
    """Write to what stderr is at that moment: a live display puts itself there, to keep lines above it."""
    stderr = sys.stderr
    replaced = stderr is not sys.__stderr__
    if replaced:
        stderr.write(line)
        return
    # Not through Python's buffer: its lock would be held by a thread that waits, and the program could not end.
    left = memoryview(line.encode(stderr.encoding, "backslashreplace"))
    while left:
        left = left[os.write(stderr.fileno(), left) :]


def log_to_stderr(*, quiet: bool = False) -> None:
    """Send warnings and errors to stderr, and with `quiet=False` also what a person likes to know."""
    handler = _Stderr()
    formatter = _Redacted("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if quiet else logging.INFO)
    # FFmpeg speaks about every lost packet; what matters of it is counted on the camera.
    logging.getLogger("libav").setLevel(logging.CRITICAL)
