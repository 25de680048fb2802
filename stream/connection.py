"""What a connection to a live source brings, and what it must be able to do."""

from dataclasses import dataclass
from typing import Protocol

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.errors import StreamError


@dataclass(frozen=True, slots=True)
class Opened:
    """The source answered. codec: what decodes its packets, None where pictures come decoded."""

    frame_seconds: float
    codec: VideoCodecContext | None = None
    time_base: float = 0.0


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded picture as it came. arrival: time.monotonic(); lost: RTP packets reported lost while it was read.

    capture_utc: when the camera says that it was taken (its RTCP sender reports), or None.
    report: a sender report came just now. interrupted: reading had paused before or in it. held: it was given out
    late, because no picture followed it; `arrival` is when it came at the latest.
    """

    packet: "av.Packet[VideoStream]"
    arrival: float
    utc_minus_arrival: float
    lost: int
    interrupted: bool
    held: bool
    capture_utc: float | None
    report: bool

    @property
    def key(self) -> bool:
        """Whether decoding may begin here."""
        return self.packet.is_keyframe


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture that came decoded. arrival: time.monotonic()."""

    frame: VideoFrame
    arrival: float
    utc_minus_arrival: float
    key: bool = True
    held: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over; error is None when the other side closed it."""

    error: StreamError | None


Item = Opened | Packet | Shot | Ended


class Connection(Protocol):
    """What a camera reads from: hands items to the function that it was given until it ends or is let go."""

    def let_go(self) -> None:
        """Nobody wants more of it; returns at once."""
        ...

    def join(self, seconds: float) -> bool:
        """Wait for its thread; whether it has ended."""
        ...
