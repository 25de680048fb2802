"""A connection to a live source: the thread that reads it, and the items that it delivers."""

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
        codec: decodes the packets; None if frames arrive decoded.
        time_base: seconds per tick of the time stamps.
        template: the stream, if it holds the parameter sets and the packets do not (RTMP, FLV, MP4).
        stamps: whether frames carry time stamps; otherwise their arrival is used.
        timed: whether arrival shows when frames were taken; not if they waited somewhere for seconds.
        streams: number of video streams that the source sends; one of them is read.
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
    """One coded frame as it arrived.

    Attributes:
        packet: the coded frame.
        arrival: time.monotonic() at its arrival; an upper bound if `delayed`.
        utc_minus_arrival: seconds to add to `arrival` for UTC.
        lost: RTP packets reported lost while it was read.
        interrupted: whether reading paused before or within it.
        delayed: whether FFmpeg returned it late, because no frame followed it.
        capture_utc: capture time by the camera's RTCP sender reports, or None.
        report: the sender report that arrived with it, or None.
        before: time.monotonic() at the arrival of the previous packet, when this one's first bytes came; or None.
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
        """Whether decoding may begin here."""
        return self.packet.is_keyframe


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame that arrived decoded.

    Attributes:
        frame: the frame.
        arrival: time.monotonic() at its arrival.
        utc_minus_arrival: seconds to add to `arrival` for UTC.
        key: whether reading may begin here.
        delayed: whether it was returned late.
    """

    frame: VideoFrame
    arrival: float
    utc_minus_arrival: float
    key: bool = True
    delayed: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection has ended.

    Attributes:
        error: the reason; None if the other side closed it.
    """

    error: StreamError | None


@dataclass(frozen=True, slots=True)
class Sound:
    """One packet of sound as it arrived.

    Attributes:
        packet: the coded sound.
        arrival: time.monotonic() at its arrival.
    """

    packet: "av.Packet[AudioStream]"
    arrival: float


Item = Connected | Packet | DecodedFrame | Disconnected


class Connection(ABC):
    """A reader of one source in its own thread; it delivers items, a `Disconnected` last, until released.

    Its container is closed only after `release`: the decoding thread may rely on it until then.
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
        """Ask the thread to end, and return at once."""
        self._release_asked.set()

    def join(self, seconds: float) -> bool:
        """Wait for the thread, and return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @abstractmethod
    def _read(self, opened: contextlib.ExitStack) -> None:
        """Open the source and deliver its items until it ends or is released.

        Args:
            opened: closes afterwards what is entered here.

        Raises:
            StreamError: the reason of the end, unless the other side closed the connection.
        """

    def _run(self) -> None:
        error: StreamError | None = None
        with contextlib.ExitStack() as opened:
            try:
                self._read(opened)
            except StreamError as problem:
                # Without the frames that it came through: they hold the container and the data read so far.
                error = problem.with_traceback(None)
                error.__cause__ = error.__context__ = None
            except Exception as problem:  # noqa: BLE001 - every failure reaches the camera, as one line
                error = StreamError(f"{redact(self._address)}: {type(problem).__name__}: {redact(problem)}")
            self._deliver(self, Disconnected(error))
            self._release_asked.wait()
