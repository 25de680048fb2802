"""A connection to a live source: a thread that reads it, and what it brings."""

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.capture.addresses import redact
from stream.errors import StreamError


@dataclass(frozen=True, slots=True)
class Connected:
    """The source answered. codec: what decodes its packets, None where pictures come decoded.

    template: its stream, where that holds the parameter sets and the packets do not (RTMP, FLV, MP4).
    stamps: whether its pictures carry time stamps. Else their arrival stands for them, and `frame_seconds` is a guess.
    """

    frame_seconds: float
    codec: VideoCodecContext | None = None
    time_base: float = 0.0
    template: VideoStream | None = None
    stamps: bool = True


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded picture as it came. arrival: time.monotonic(); lost: RTP packets reported lost while it was read.

    capture_utc: when the camera says that it was taken (its RTCP sender reports), or None.
    report: a sender report came just now. interrupted: reading had paused before or in it. delayed: it was given out
    late, because no picture followed it; `arrival` is when it came at the latest.
    """

    packet: "av.Packet[VideoStream]"
    arrival: float
    utc_minus_arrival: float
    lost: int
    interrupted: bool
    delayed: bool
    capture_utc: float | None
    report: bool

    @property
    def key(self) -> bool:
        """Whether decoding may begin here."""
        return self.packet.is_keyframe


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One picture that came decoded. arrival: time.monotonic()."""

    frame: VideoFrame
    arrival: float
    utc_minus_arrival: float
    key: bool = True
    delayed: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is over; error is None when the other side closed it."""

    error: StreamError | None


Item = Connected | Packet | DecodedFrame | Disconnected


class Connection(ABC):
    """Reads one source in a thread of its own and passes its items to `deliver`, the last an `Disconnected`, until let go.

    What it opened is closed after `release` only: whoever decodes may rely on it until then.
    """

    def __init__(self, name: str, address: str, deliver: Callable[["Connection", Item], None]) -> None:
        self._address = address
        self._deliver = deliver
        self._release_asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera-{name}", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Nobody wants more of it; returns at once."""
        self._release_asked.set()

    def join(self, seconds: float) -> bool:
        """Wait for its thread; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @abstractmethod
    def _read(self, opened: contextlib.ExitStack) -> None:
        """Open the source (what is to be closed goes to `opened`) and deliver what comes, until it ends or is let go.

        Raises:
            StreamError: why it ended, unless the other side closed it.
        """

    def _run(self) -> None:
        error: StreamError | None = None
        with contextlib.ExitStack() as opened:
            try:
                self._read(opened)
            except StreamError as problem:
                error = problem
            except Exception as problem:  # noqa: BLE001 - whatever happens here reaches the camera, as one line
                error = StreamError(f"{redact(self._address)}: {type(problem).__name__}: {redact(problem)}")
            self._deliver(self, Disconnected(error))
            self._release_asked.wait()
