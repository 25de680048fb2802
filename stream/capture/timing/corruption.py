"""Mark live frames that may be damaged: from an RTP packet that FFmpeg logs as lost to the next whole key frame."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

from stream.capture.ffmpeg_log import raise_log_level
from stream.capture.status import Quality

# FFmpeg's two lines about packets that never became part of a frame.
_MISSED = re.compile(r"RTP: missed (-?\d+) packets")
_TOO_LATE = "RTP: dropping old packet"
_REDIRECTING = re.compile(r"Status \d+: Redirecting to (\S+)")


class RtpLossMonitor:
    """Count the RTP packets that FFmpeg logs as lost in one thread."""

    def __init__(self, lines: list[tuple[int, str, str]]) -> None:
        """Count in `lines`, to which FFmpeg's log is appended; the lines are consumed."""
        self._lines = lines

    def redirects(self) -> list[str]:
        """Return where FFmpeg was sent since the last `take`; it follows without asking."""
        return [match[1] for _, _, line in self._lines if (match := _REDIRECTING.search(line))]

    def take(self) -> int:
        """Return how many packets were reported lost since the last call."""
        if not self._lines:
            return 0
        lost = 0
        for _, _, line in self._lines:
            match = _MISSED.search(line)
            lost += abs(int(match[1])) if match else _TOO_LATE in line
        self._lines.clear()
        return lost


@contextmanager
def monitor_rtp_losses() -> Iterator[RtpLossMonitor]:
    """Give a monitor of the RTP packets that FFmpeg reports as lost in this thread, inside the block.

    FFmpeg reports them only in its log: packets and nearly all frames carry no mark.

    Yields:
        the monitor.
    """
    raise_log_level(av.logging.INFO)
    with av.logging.Capture(local=True) as lines:
        yield RtpLossMonitor(lines)


class CorruptionState:
    """The reasons why the frames of one stream may be damaged now.

    A loss marks its packet and all that follow, up to an undamaged key frame. It is reported with the packet before or
    at the gap, so the packet after it may be damaged, too: a key frame directly after a loss does not clear the marks.
    """

    def __init__(self) -> None:
        self._reasons: tuple[Quality, ...] = ()
        self._gap_before = False

    def packet(self, *, key: bool, lost: int, broken: bool = False, interrupted: bool = False) -> tuple[Quality, ...]:
        """Return the reasons that apply to this packet.

        Args:
            key: whether it starts a key frame.
            lost: RTP packets reported lost while it was read.
            broken: whether it is marked corrupt.
            interrupted: whether reading paused within it, so that it may be half a frame.
        """
        gap = bool(lost or broken or interrupted)
        if key and not gap and not self._gap_before:
            self._reasons = ()
        if lost:
            self._add("packet_loss")
        if broken:
            self._add("decode_error")
        if interrupted:
            self._add("interrupted")
        self._gap_before = gap
        return self._reasons

    def decoder_failed(self) -> tuple[Quality, ...]:
        """Note that the decoder refused a packet or marked a frame, and return the reasons that apply from now on."""
        self._add("decode_error")
        return self._reasons

    def _add(self, reason: Quality) -> None:
        if reason not in self._reasons:
            self._reasons = tuple(sorted((*self._reasons, reason)))
