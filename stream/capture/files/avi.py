"""When the pictures of an AVI file are shown: it does not say, it holds them in the order of decoding, no more."""

from collections.abc import Iterator
from itertools import takewhile

import av
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

_WAITING_LIMIT = 64  # packets whose pictures have not come out; more means that the decoder swallowed some
_OVERTAKING = (PictureType.B, PictureType.BI)  # may be shown before what was decoded before them


class PresentationOrder:
    """Gives each packet of an AVI file the time stamp at which its picture is shown, once the picture came out.

    FFmpeg's guess is wrong where there are B-frames, but no two packets have the same: it tells which picture is whose.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, av.Packet[VideoStream]] = {}  # by that guess, in order of decoding
        self._shown: set[int] = set()
        self._last = 0
        self._step = 1

    def take(self, packet: "av.Packet[VideoStream]") -> None:
        """`packet` is decoded next."""
        if packet.pts is not None:
            self._waiting[packet.pts] = packet

    def show(self, picture: VideoFrame) -> int:
        """The time stamp at which `picture`, the next to come out, is shown."""
        # It is shown when it comes out. What comes out after the last packet has no stamp.
        stamp = self._last + self._step if picture.dts is None else picture.dts
        self._last, self._step = stamp, max(1, stamp - self._last)
        packet = None if picture.pts is None else self._waiting.get(picture.pts)
        if packet is not None and picture.pts is not None:
            if picture.pict_type not in _OVERTAKING:
                self._give_up_before(picture.pts)
            packet.pts = stamp
            self._shown.add(picture.pts)
        return stamp

    def _give_up_before(self, guess: int) -> None:
        """What was decoded before this picture, which overtakes none, and did not come out, never will."""
        for earlier in list(takewhile(lambda waiting: waiting != guess, self._waiting)):
            if earlier not in self._shown:
                del self._waiting[earlier]

    def known(self) -> Iterator["av.Packet[VideoStream]"]:
        """The packets whose stamps are true by now, each once, in order of decoding."""
        for guess, packet in list(self._waiting.items()):
            if guess not in self._shown and len(self._waiting) <= _WAITING_LIMIT:
                return
            del self._waiting[guess]
            if guess in self._shown:
                self._shown.remove(guess)
                yield packet
