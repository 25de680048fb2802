"""The program's log: lines on stderr, in UTC, without secrets."""

import logging
import sys
import time
from typing import TextIO

from stream import redact


class _Redacted(logging.Formatter):
    """Formats as usual, then takes out what must not be shown, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at that moment: a live display puts itself there, to keep lines above it."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _stream: TextIO) -> None:
        pass


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
