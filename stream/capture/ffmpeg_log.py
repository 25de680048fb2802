"""FFmpeg's log: what decoders complain of, which no packet and hardly any frame tells."""

import logging
import re
import threading

import av.logging

# These decoders conceal what they could not decode, and say so; their other complaints are common in sound streams.
_CONCEALING = frozenset(
    {"h264", "mpeg1video", "mpeg2video", "mpeg4", "h263", "flv", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1"}
)
_CONCEALED = re.compile(r"concealing \d+ DC")
_HARMLESS = re.compile(r"APP fields|app: |invalid len|unsupported|not supported|SEI|deprecated")


def raise_log_level(level: int) -> None:
    """Have FFmpeg log at least `level`, which is a setting of the whole process, and keep it away from stderr."""
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    av.logging.set_skip_repeated(False)  # two in a row may read the same
    before = av.logging.get_level()
    if before is None or before < level:
        av.logging.set_level(level)


def is_damage(codec: str, level: int, line: str) -> bool:
    """Return whether a line in the log of the decoder `codec` says that data was damaged."""
    if codec in _CONCEALING:
        return _CONCEALED.search(line) is not None
    return level <= av.logging.ERROR and _HARMLESS.search(line) is None


class DecoderComplaints:
    """Counts what all decoders of this process complain of: their threads do not say which of them it was.

    Attributes:
        count: complaints so far.
        users: how many want them counted.
    """

    def __init__(self) -> None:
        self.count = 0
        self.users = 0
        self._lock = threading.RLock()  # a collected video may close while another counts
        self._capture: av.logging.Capture | None = None
        self._lines: list[tuple[int, str, str]] = []

    def open(self) -> None:
        """Begin to count; call `close` once for each call."""
        raise_log_level(av.logging.INFO)
        with self._lock:
            self.users += 1
            if self._capture is None:
                self._capture = av.logging.Capture(local=False)
                self._lines = self._capture.__enter__()

    def close(self) -> None:
        """Stop counting, if no other user is left."""
        with self._lock:
            self.users -= 1
            if not self.users and self._capture is not None:
                self._capture.__exit__(None, None, None)
                self._capture, self._lines = None, []

    def update(self) -> int:
        """Count what was logged since the last call; return all complaints so far."""
        if self._lines:
            with self._lock:
                taken = self._lines[:]
                del self._lines[: len(taken)]
                self.count += sum(is_damage(name, level, line) for level, name, line in taken)
        return self.count


complaints = DecoderComplaints()
"""The one counter of this process: FFmpeg's log is one as well."""
