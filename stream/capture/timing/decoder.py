"""Pictures of a live stream: decoded, marked where they may be damaged, and placed in time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stream.capture.clip_buffer import History
from stream.capture.frame import Frame, Quality
from stream.capture.live.connection import Opened, Packet, Shot
from stream.capture.luma import LumaReader, rotation_of, upright_rgb
from stream.capture.options import CaptureOptions
from stream.capture.timing.capture_clock import CaptureClock
from stream.capture.timing.corruption import Taint
from stream.capture.timing.pace import Pace
from stream.capture.timing.timeline import SteadyClock

# What is missing is shown as it was in the picture before. Left to itself FFmpeg fills holes in key frames from their
# edges: large bright areas out of nothing.
_CONCEALMENT = {"ec": "guess_mvs+deblock+favor_inter"}
_WAITING_LIMIT = 64  # packets whose pictures have not come out; more means that the decoder swallowed them


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture with what its packet told.

    stamp: its time stamp in seconds, or None; quality: why it may not be trusted.
    """

    frame: VideoFrame
    stamp: float | None
    arrival: float
    quality: tuple[Quality, ...]


class LiveDecoder:
    """Decodes one connection's packets."""

    def __init__(self, opened: Opened, options: CaptureOptions, history_seconds: float = 0.0) -> None:
        self.history = History(history_seconds, opened.template or opened.codec)
        self.frame_seconds = opened.frame_seconds
        self._pace = None if opened.stamps else Pace(opened.frame_seconds)
        self.size: tuple[int, int] | None = None
        self.rotation = 0
        self.clock = CaptureClock(opened.frame_seconds, options.latency_allowance_ms, stamps=opened.stamps)
        self.luma = LumaReader(opened.codec.name if opened.codec else "rawvideo")
        self._codec = opened.codec
        if self._codec is not None:
            self._codec.options |= _CONCEALMENT
        self._time_base = opened.time_base
        self._taint = Taint()
        self._told: dict[int, tuple[float, tuple[Quality, ...]]] = {}

    def decode(self, item: Packet | Shot) -> Iterator[Picture]:
        """The pictures that come out when `item` goes in; none where the decoder refuses it."""
        if self._pace is not None:
            self._pace.take(item.arrival)
            self.frame_seconds = self.clock.frame_seconds = self._pace.frame_seconds
            self.clock.late_seconds = self._pace.late_seconds
        if isinstance(item, Shot):
            # Devices tell no time: the picture's arrival stands for it.
            self.clock.feed(item.arrival, item.arrival, item.utc_minus_arrival)
            yield Picture(item.frame, item.arrival, item.arrival, ())
        elif self._codec is not None:
            yield from self._decode(item, self._codec)

    def _decode(self, item: Packet, codec: VideoCodecContext) -> Iterator[Picture]:
        packet = item.packet
        self.history.add(packet)
        quality = self._taint.packet(
            key=packet.is_keyframe, lost=item.lost, broken=packet.is_corrupt, interrupted=item.interrupted
        )
        if packet.pts is not None:
            stamp = packet.pts * self._time_base
            self.clock.feed(stamp, item.arrival, item.utc_minus_arrival)
            if item.capture_utc is not None:
                self.clock.feed_camera(stamp, item.capture_utc, report=item.report)
            if len(self._told) > _WAITING_LIMIT:
                self._told.clear()
            self._told[packet.pts] = item.arrival, quality
        try:
            frames = codec.decode(packet)
        except av.FFmpegError:
            self._taint.decoder_failed()
            return
        for frame in frames:
            # The first picture after PLAY has no time stamp yet: it is needed for those after it, not shown.
            if frame.pts is None:
                continue
            arrival, told = self._told.pop(frame.pts, (item.arrival, quality))
            if frame.is_corrupt:
                told = tuple(sorted({*told, *self._taint.decoder_failed()}))
            yield Picture(frame, frame.pts * self._time_base, arrival, told)


class Timeline:
    """Turns the pictures of all connections of one camera into its frames: one count, one clock, rising epochs."""

    def __init__(self, name: str, options: CaptureOptions) -> None:
        self._name = name
        self._steady = SteadyClock(options.jump_seconds)
        self._number = 0
        self._shape: tuple[int, int, str] | None = None
        self._last_arrival: float | None = None
        self._interval = 0.0
        self.clock_problem: str | None = None

    @property
    def fps(self) -> float:
        """Pictures per second lately."""
        return 1.0 / self._interval if self._interval else 0.0

    def reconnected(self) -> None:
        """The next picture comes over a new connection."""
        self._steady.restart()
        self._last_arrival = None

    def frame(self, picture: Picture, decoder: LiveDecoder) -> Frame:
        """`picture` as the camera's next frame."""
        shown = picture.frame
        shape = shown.width, shown.height, shown.format.name
        changed = shape != self._shape
        if changed and self._shape is not None:
            self._steady.new_epoch()
        self._shape = shape
        if changed or decoder.size is None:
            decoder.size, decoder.rotation = shape[:2], rotation_of(shown)
        seconds = self._steady.place(picture.stamp, decoder.frame_seconds, picture.arrival)
        decoder.history.place(picture.stamp, seconds)
        taken = None if picture.stamp is None else decoder.clock.at(picture.stamp)
        self.clock_problem = decoder.clock.complaint
        if self._last_arrival is not None:
            self._interval += 0.05 * (picture.arrival - self._last_arrival - self._interval)
        else:
            self._interval = decoder.frame_seconds
        self._last_arrival = picture.arrival
        luma, black, white = decoder.luma.read(shown)
        number, self._number = self._number, self._number + 1
        return Frame(
            camera=self._name,
            number=number,
            seconds=seconds,
            duration=decoder.frame_seconds,
            luma=luma,
            black=black,
            white=white,
            arrival=picture.arrival,
            utc=None if taken is None else taken.utc,
            clock="none" if taken is None else taken.clock,
            utc_error_ms=None if taken is None else taken.error_ms,
            epoch=self._steady.epoch,
            quality=picture.quality,
            rotation=decoder.rotation,
            color=partial(upright_rgb, shown, decoder.rotation),
        )
