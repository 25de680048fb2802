"""The program's log: lines on stderr, in UTC, without secrets."""

import logging
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

from detector.output.bounded_writer import BoundedWriter
from stream import printable, redact

_PATIENCE_SECONDS = 0.5  # then no caller waits any more until the reader continues


class _Redacted(logging.Formatter):
    """A formatter that puts a message on one line and removes secrets, also from tracebacks."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - a name of the standard library
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Stderr(logging.Handler):
    """A log handler that writes lines to stderr in a separate thread.

    A line is written when the call that logged it returns, unless the reader of stderr pauses (a terminal stopped
    with Ctrl-S, a log service that hangs), which must not delay a camera. Lines then wait, and those beyond 10,000
    are counted and left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._writer = BoundedWriter(_write, name="log", notice=_left_out)
        self._paused = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, and wait for that as long as the reader reads."""
        if not self._writer.waiting:
            self._paused = False
        if self._writer.add(f"{self.format(record)}\n") and not self._paused:
            self._paused = not self._writer.wait(_PATIENCE_SECONDS)


def _left_out(missed: int) -> str:
    return f"stderr: its reader paused; {missed} lines of the log were left out here\n"


def _write(line: str) -> None:
    """Write to the current stderr, which a live display may have replaced to keep lines above it."""
    with suppress(OSError, ValueError):  # the reader has left, or the disk is full
        stderr = sys.stderr
        replaced = stderr is not sys.__stderr__
        if replaced:
            stderr.write(line)
            return
        # Not through Python's buffer: a waiting thread would hold its lock, and the program could not end.
        left = memoryview(line.encode(stderr.encoding, "backslashreplace"))
        while left:
            left = left[os.write(stderr.fileno(), left) :]


class _Withheld(logging.Filter):
    """Takes given texts out of what is logged."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = sorted(secrets, key=len, reverse=True)

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.exc_info:
            text += f"\n{logging.Formatter().formatException(record.exc_info)}"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        record.msg, record.args, record.exc_info, record.exc_text = text, (), None, None
        return True


def withhold(secrets: Iterable[str]) -> None:
    """Take these texts out of all that is logged from now on; `log_to_stderr` comes first."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Withheld(secrets))


def log_to_stderr(*, quiet: bool = False) -> None:
    """Send warnings and errors to stderr, and with `quiet=False` also informative messages."""
    handler = _Stderr()
    formatter = _Redacted("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if quiet else logging.INFO)
    # FFmpeg logs every lost packet; the important ones are counted for the camera.
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    # It tells each address that it asks, which may hold a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
