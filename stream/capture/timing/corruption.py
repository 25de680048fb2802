"""Which live pictures may be damaged: lost RTP packets, told by FFmpeg's log, held to the next whole key frame."""

import logging
import re
from types import TracebackType
from typing import Self

import av.logging

from stream.capture.frame import Quality

# FFmpeg's two lines about packets that never became part of a picture.
_MISSED = re.compile(r"RTP: missed (-?\d+) packets")
_TOO_LATE = "RTP: dropping old packet"


class LossLog:
    """Counts the RTP packets that FFmpeg reports as lost in the thread that entered this block.

    FFmpeg tells only in its log: no packet and hardly any picture carries a mark. The log level is a setting of the
    whole process, so it is raised here, and what FFmpeg says elsewhere is kept away from stderr.
    """

    def __init__(self) -> None:
        self._capture: av.logging.Capture | None = None
        self._lines: list[tuple[int, str, str]] = []

    def __enter__(self) -> Self:
        logging.getLogger("libav").setLevel(logging.CRITICAL)
        av.logging.set_skip_repeated(False)  # two losses in a row read the same
        if av.logging.get_level() is None:
            av.logging.set_level(av.logging.WARNING)
        self._capture = av.logging.Capture(local=True)
        self._lines = self._capture.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._capture is not None:
            self._capture.__exit__(None, None, None)

    def taken(self) -> int:
        """Packets reported lost since the last call."""
        if not self._lines:
            return 0
        lost = 0
        for _, _, line in self._lines:
            match = _MISSED.search(line)
            lost += abs(int(match[1])) if match else _TOO_LATE in line
        self._lines.clear()
        return lost


class Taint:
    """Why the pictures of one stream may not be trusted now.

    A loss taints its packet and all that follow, up to a key frame that came whole. A loss is reported with the
    packet before or at the hole, so the packet after it is not yet known to be whole: a key frame directly after a
    loss does not clear.
    """

    def __init__(self) -> None:
        self._reasons: tuple[Quality, ...] = ()
        self._hole_before = False

    def packet(self, *, key: bool, lost: int, broken: bool = False, interrupted: bool = False) -> tuple[Quality, ...]:
        """The reasons that hold for this packet.

        key: it starts a key frame. lost: RTP packets reported lost while it was read. broken: it is marked corrupt.
        interrupted: reading paused in the middle, so that it may be half a picture.
        """
        hole = bool(lost or broken or interrupted)
        if key and not hole and not self._hole_before:
            self._reasons = ()
        if lost:
            self._add("packet_loss")
        if broken:
            self._add("decode_error")
        if interrupted:
            self._add("interrupted")
        self._hole_before = hole
        return self._reasons

    def decoder_failed(self) -> tuple[Quality, ...]:
        """The decoder refused a packet or marked a picture; the reasons that hold from now on."""
        self._add("decode_error")
        return self._reasons

    def _add(self, reason: Quality) -> None:
        if reason not in self._reasons:
            self._reasons = tuple(sorted((*self._reasons, reason)))
