"""Presentation times of the frames of an AVI file, which holds frames in the order of decoding and no times."""

from collections.abc import Iterator
from itertools import takewhile

import av
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

_WAITING_LIMIT = 64  # packets whose frames have not come out; more means that the decoder swallowed some
_REORDERED = (PictureType.B, PictureType.BI)  # may be shown before frames that were decoded earlier


class PresentationOrder:
    """Gives each packet of an AVI file the time stamp at which its frame is shown, once the frame came out.

    FFmpeg's guess is wrong where there are B-frames, but no two packets share one: it identifies the packet of a frame.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, av.Packet[VideoStream]] = {}  # by that guess, in order of decoding
        self._shown: set[int] = set()
        self._last = 0
        self._step = 1

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Note that `packet` is decoded next."""
        if packet.pts is not None:
            self._waiting[packet.pts] = packet

    def stamp_of(self, frame: VideoFrame) -> int:
        """Return the time stamp at which `frame`, the next to come out, is shown."""
        # It is shown when it comes out. What comes out after the last packet has no stamp.
        stamp = self._last + self._step if frame.dts is None else frame.dts
        self._last, self._step = stamp, max(1, stamp - self._last)
        packet = None if frame.pts is None else self._waiting.get(frame.pts)
        if packet is not None and frame.pts is not None:
            if frame.pict_type not in _REORDERED:
                self._give_up_before(frame.pts)
            packet.pts = stamp
            self._shown.add(frame.pts)
        return stamp

    def _give_up_before(self, guess: int) -> None:
        """Drop packets decoded before this frame whose frames did not come out: they never will."""
        for earlier in list(takewhile(lambda waiting: waiting != guess, self._waiting)):
            if earlier not in self._shown:
                del self._waiting[earlier]

    def settled(self) -> Iterator["av.Packet[VideoStream]"]:
        """Yield the packets whose stamps are final by now, each once, in order of decoding."""
        for guess, packet in list(self._waiting.items()):
            if guess not in self._shown and len(self._waiting) <= _WAITING_LIMIT:
                return
            del self._waiting[guess]
            if guess in self._shown:
                self._shown.remove(guess)
                yield packet
