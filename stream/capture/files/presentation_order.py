"""Presentation times for packets that carry decoding times: AVI, and files that were made from AVI."""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile

import av
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

EXAMINED_PACKETS = 32  # enough to contain B-frames; 1.3 s of a camera
_FEWEST_PACKETS = 3
_WAITING_LIMIT = 64  # packets whose frames have not come out; more means that the decoder dropped some
_REORDERED = (PictureType.B, PictureType.BI)  # may be shown before frames that were decoded earlier


def stamps_follow_decoding(packets: "Sequence[av.Packet[VideoStream]]") -> bool:
    """Return whether the time stamps of the first `packets`, of a codec that reorders frames, always rise.

    Then either none of them is a B-frame, and decoding and presentation order are the same, or the stamps are decoding
    times: ASF files, and Matroska files made from AVI without decoding.
    """
    coded = [packet for packet in packets if packet.size]
    stamps = [packet.pts for packet in coded if packet.pts is not None]
    if len(stamps) < _FEWEST_PACKETS or len(stamps) < len(coded):
        return False
    return all(later > earlier for earlier, later in pairwise(stamps))


class PresentationOrder(ABC):
    """Give each packet the presentation time of its frame, once the frame came out.

    The stamp of a packet is wrong if there are B-frames, but no two packets share one: it identifies the packet of a
    frame.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, av.Packet[VideoStream]] = {}  # by their original stamp, in decoding order
        self._shown: set[int] = set()

    @abstractmethod
    def _shown_at(self, frame: VideoFrame) -> int | None:
        """Return the time stamp at which `frame`, the next to come out, is shown."""

    def _forget(self, stamp: int) -> None:
        """Note that the packet with the original stamp `stamp` gives no frame."""
        del self._waiting[stamp]

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Note that `packet` is decoded next."""
        if packet.pts is not None:
            self._waiting[packet.pts] = packet

    def stamp_of(self, frame: VideoFrame) -> int | None:
        """Return the time stamp at which `frame`, the next to come out, is shown."""
        packet = None if frame.pts is None else self._waiting.get(frame.pts)
        if packet is not None and frame.pts is not None and frame.pict_type not in _REORDERED:
            self._give_up_before(frame.pts)
        stamp = self._shown_at(frame)
        if packet is not None and frame.pts is not None:
            packet.pts = stamp
            self._shown.add(frame.pts)
        return stamp

    def settled(self) -> Iterator["av.Packet[VideoStream]"]:
        """Yield the packets whose stamps are final by now, each once, in decoding order."""
        for stamp, packet in list(self._waiting.items()):
            if stamp in self._shown:
                self._shown.remove(stamp)
                del self._waiting[stamp]
                yield packet
            elif len(self._waiting) > _WAITING_LIMIT:
                self._forget(stamp)
            else:
                return

    def _give_up_before(self, stamp: int) -> None:
        """Drop packets decoded before this frame whose frames have not come out: they never will."""
        for earlier in list(takewhile(lambda waiting: waiting != stamp, self._waiting)):
            if earlier not in self._shown:
                self._forget(earlier)


class AviOrder(PresentationOrder):
    """The order of an AVI file, which has frames in decoding order and no times: the decoder counts them."""

    def __init__(self) -> None:
        super().__init__()
        self._last = 0
        self._step = 1

    def _shown_at(self, frame: VideoFrame) -> int:
        # A frame is shown when it comes out. Frames that come out after the last packet have no stamp.
        stamp = self._last + self._step if frame.dts is None else frame.dts
        self._last, self._step = stamp, max(1, stamp - self._last)
        return stamp


class StampOrder(PresentationOrder):
    """The order of a file with decoding times: frames are shown at these stamps, the smallest first."""

    def __init__(self) -> None:
        super().__init__()
        self._free: list[int] = []  # a heap of stamps without a frame so far
        self._gone: set[int] = set()  # those of them that belong to frames that never come out

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Note that `packet` is decoded next."""
        super().add(packet)
        if packet.pts is not None:
            heapq.heappush(self._free, packet.pts)

    def _forget(self, stamp: int) -> None:
        super()._forget(stamp)
        self._gone.add(stamp)

    def _shown_at(self, frame: VideoFrame) -> int | None:
        while self._free:
            stamp = heapq.heappop(self._free)
            if stamp not in self._gone:
                return stamp
            self._gone.remove(stamp)
        return frame.pts
