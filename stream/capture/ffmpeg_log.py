"""FFmpeg's log: the decoders' complaints, which packets and nearly all frames do not show."""

import logging
import re
import threading

import av.logging

# These decoders conceal damage and log it; their other complaints are common in undamaged streams.
_CONCEALING = frozenset(
    {"h264", "mpeg1video", "mpeg2video", "mpeg4", "h263", "flv", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1"}
)
_CONCEALED = re.compile(r"concealing \d+ DC")
_HARMLESS = re.compile(r"APP fields|app: |invalid len|unsupported|not supported|SEI|deprecated")


def raise_log_level(level: int) -> None:
    """Have FFmpeg log at least `level`, a setting of the whole process, and keep its log off stderr."""
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    av.logging.set_skip_repeated(False)  # two complaints in a row may have the same text
    before = av.logging.get_level()
    if before is None or before < level:
        av.logging.set_level(level)


def is_damage(codec: str, level: int, line: str) -> bool:
    """Return whether a log line of the decoder `codec` says that data was damaged."""
    if codec in _CONCEALING:
        return _CONCEALED.search(line) is not None
    return level <= av.logging.ERROR and _HARMLESS.search(line) is None


class DecoderComplaints:
    """Count the complaints of all decoders in this process: the log does not say which decoder it was.

    Attributes:
        count: complaints so far.
        users: number of open users.
    """

    def __init__(self) -> None:
        self.count = 0
        self.users = 0
        self._lock = threading.RLock()  # a collected video may close while another counts
        self._capture: av.logging.Capture | None = None
        self._lines: list[tuple[int, str, str]] = []

    def open(self) -> None:
        """Start counting; call `close` once for each call."""
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
        """Count the complaints logged since the last call, and return the total so far."""
        if self._lines:
            with self._lock:
                taken = self._lines[:]
                del self._lines[: len(taken)]
                self.count += sum(is_damage(name, level, line) for level, name, line in taken)
        return self.count


complaints = DecoderComplaints()
"""The counter of this process; FFmpeg's log is shared by the whole process, too."""
