"""A connection to a live source: a thread that reads it, and the items it delivers."""

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import av
from av.audio.stream import AudioStream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.capture.addresses import redact
from stream.capture.timing.sender_reports import SenderReport
from stream.errors import StreamError


@dataclass(frozen=True, slots=True)
class Connected:
    """The source answered.

    Attributes:
        frame_seconds: expected time from frame to frame; a guess without `stamps`.
        codec: decodes its packets; None where frames come decoded.
        time_base: seconds that one tick of the time stamps stands for.
        template: its stream, where that holds the parameter sets and the packets do not (RTMP, FLV, MP4).
        stamps: whether its frames carry time stamps; else their arrival stands for them.
        timed: whether their arrival tells when they were taken; not where they waited somewhere for seconds.
        streams: how many video streams it sends; one of them is read.
    """

    frame_seconds: float
    codec: VideoCodecContext | None = None
    time_base: float = 0.0
    template: VideoStream | None = None
    stamps: bool = True
    timed: bool = True
    streams: int = 1


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded frame as it came.

    Attributes:
        packet: the frame.
        arrival: time.monotonic() when it came; at the latest, if `delayed`.
        utc_minus_arrival: what to add to `arrival` for UTC.
        lost: RTP packets reported lost while it was read.
        interrupted: whether reading had paused before or in it.
        delayed: whether it was given out late, because no frame followed it.
        capture_utc: when it was taken by the camera's RTCP sender reports, or None.
        report: the sender report that came just now, or None.
        before: time.monotonic() when the packet before it came, or None; this one's first bytes came then.
    """

    packet: "av.Packet[VideoStream]"
    arrival: float
    utc_minus_arrival: float
    lost: int
    interrupted: bool
    delayed: bool
    capture_utc: float | None
    report: SenderReport | None
    before: float | None = None

    @property
    def key(self) -> bool:
        """Return whether decoding may begin here."""
        return self.packet.is_keyframe


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame that came decoded.

    Attributes:
        frame: the frame.
        arrival: time.monotonic() when it came.
        utc_minus_arrival: what to add to `arrival` for UTC.
        key: whether reading may begin here.
        delayed: whether it was given out late.
    """

    frame: VideoFrame
    arrival: float
    utc_minus_arrival: float
    key: bool = True
    delayed: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is over.

    Attributes:
        error: why; None when the other side closed it.
    """

    error: StreamError | None


@dataclass(frozen=True, slots=True)
class Sound:
    """One packet of sound as it came.

    Attributes:
        packet: the sound.
        arrival: time.monotonic() when it came.
    """

    packet: "av.Packet[AudioStream]"
    arrival: float


Item = Connected | Packet | DecodedFrame | Disconnected


class Connection(ABC):
    """Reads one source in a thread of its own and delivers its items, a `Disconnected` last, until released.

    What it opened is closed only after `release`: the decoding thread may rely on it until then.
    """

    def __init__(self, name: str, address: str, deliver: Callable[["Connection", Item], None]) -> None:
        """Start reading.

        Args:
            name: of the camera.
            address: of the source.
            deliver: called with this connection and each item, from its thread.
        """
        self._address = address
        self._deliver = deliver
        self._release_asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera-{name}", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Ask it to end; return at once."""
        self._release_asked.set()

    def join(self, seconds: float) -> bool:
        """Wait for its thread, and return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @abstractmethod
    def _read(self, opened: contextlib.ExitStack) -> None:
        """Open the source and deliver its items until it ends or is released.

        Args:
            opened: takes what is to be closed afterwards.

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
            except Exception as problem:  # noqa: BLE001 - every failure reaches the camera, as one line
                error = StreamError(f"{redact(self._address)}: {type(problem).__name__}: {redact(problem)}")
            self._deliver(self, Disconnected(error))
            self._release_asked.wait()
