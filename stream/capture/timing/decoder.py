"""Decode the packets of a live connection, and mark frames that may be damaged."""

from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stream.capture.clip_buffer import ClipBuffer
from stream.capture.live.connection import Connected, DecodedFrame, Packet
from stream.capture.luma import LumaReader
from stream.capture.options import CaptureOptions
from stream.capture.status import Quality
from stream.capture.timing.capture_clock import ArrivalRate, CaptureClock
from stream.capture.timing.corruption import CorruptionState

# Missing parts are copied from the frame before. By default FFmpeg fills gaps in key frames from their edges, which
# makes large bright areas.
_CONCEALMENT = {"ec": "guess_mvs+deblock+favor_inter"}
_WAITING_LIMIT = 64  # packets whose frames have not come out; more means that the decoder swallowed them


@dataclass(frozen=True, slots=True)
class StampedFrame:
    """One decoded frame with the times and marks of its packet.

    Attributes:
        frame: the decoded frame.
        stamp: its time stamp in seconds, or None.
        arrival: time.monotonic() at which its packet came.
        quality: why it may be damaged.
    """

    frame: VideoFrame
    stamp: float | None
    arrival: float
    quality: tuple[Quality, ...]


class LiveDecoder:
    """Decodes one connection's packets.

    Attributes:
        clips: its last packets.
        clock: maps its time stamps to UTC.
        luma: reads the luma of its frames.
        frame_seconds: time from frame to frame.
        size: (width, height) of its frames in pixels; set with the first.
        rotation: degrees counter-clockwise that turn its frames upright.
    """

    def __init__(self, opened: Connected, options: CaptureOptions, history_seconds: float = 0.0) -> None:
        """Prepare to decode.

        Args:
            opened: what the source said of itself.
            options: how it is decoded.
            history_seconds: how much is kept for clips.
        """
        self.clips = ClipBuffer(history_seconds, opened.template or opened.codec)
        self.frame_seconds = opened.frame_seconds
        self._arrival_rate = None if opened.stamps else ArrivalRate(opened.frame_seconds)
        self.size: tuple[int, int] | None = None
        self.rotation = 0
        self.clock = CaptureClock(opened.frame_seconds, options.latency_allowance_ms, stamps=opened.stamps)
        self.luma = LumaReader(opened.codec.name if opened.codec else "rawvideo")
        self._codec = opened.codec
        if self._codec is not None:
            self._codec.options |= _CONCEALMENT | {"max_pixels": str(options.max_pixels)}
        self._time_base = opened.time_base
        self._corruption = CorruptionState()
        self._packet_facts: dict[int, tuple[float, tuple[Quality, ...]]] = {}

    def decode(self, item: Packet | DecodedFrame) -> Iterator[StampedFrame]:
        """Yield the frames that come out when `item` goes in; none where the decoder refuses it."""
        if self._arrival_rate is not None:
            self._arrival_rate.add(item.arrival)
            self.frame_seconds = self.clock.frame_seconds = self._arrival_rate.frame_seconds
            self.clock.late_seconds = self._arrival_rate.late_seconds
        if isinstance(item, DecodedFrame):
            # Devices give no time: the frame's arrival stands for it.
            self.clock.feed(item.arrival, item.arrival, item.utc_minus_arrival)
            yield StampedFrame(item.frame, item.arrival, item.arrival, ())
        elif self._codec is not None:
            yield from self._decode(item, self._codec)

    def _decode(self, item: Packet, codec: VideoCodecContext) -> Iterator[StampedFrame]:
        packet = item.packet
        self.clips.add(packet)
        quality = self._corruption.packet(
            key=packet.is_keyframe, lost=item.lost, broken=packet.is_corrupt, interrupted=item.interrupted
        )
        if packet.pts is not None:
            stamp = packet.pts * self._time_base
            self.clock.feed(stamp, item.arrival, item.utc_minus_arrival)
            if item.capture_utc is not None:
                self.clock.feed_camera(stamp, item.capture_utc, report=item.report)
            if len(self._packet_facts) > _WAITING_LIMIT:
                self._packet_facts.clear()
            self._packet_facts[packet.pts] = item.arrival, quality
        try:
            frames = codec.decode(packet)
        except av.FFmpegError:
            self._corruption.decoder_failed()
            return
        for frame in frames:
            # The first frame after PLAY has no time stamp: later frames need it, but it is not shown.
            if frame.pts is None:
                continue
            arrival, marks = self._packet_facts.pop(frame.pts, (item.arrival, quality))
            if frame.is_corrupt:
                marks = tuple(sorted({*marks, *self._corruption.decoder_failed()}))
            yield StampedFrame(frame, frame.pts * self._time_base, arrival, marks)
