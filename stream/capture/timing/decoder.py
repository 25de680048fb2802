"""Decode the packets of a live connection, and mark frames that may be damaged."""

from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stream.capture.clip_buffer import ClipBuffer
from stream.capture.decoding import recipe_of
from stream.capture.live.connection import Connected, DecodedFrame, Packet
from stream.capture.luma import LumaReader
from stream.capture.options import CaptureOptions
from stream.capture.status import Quality
from stream.capture.timing.capture_clock import CaptureClock, CaptureTime
from stream.capture.timing.corruption import CorruptionState
from stream.capture.timing.host_clock import HostClockError

# Missing parts are copied from the previous frame. By default FFmpeg fills gaps in key frames from their edges,
# which makes large bright areas.
_CONCEALMENT = {"ec": "guess_mvs+deblock+favor_inter"}
_WHOLE_CODECS = ("mjpeg",)  # FFmpeg returns their packets when complete, others when the next begins
_OTHER_RATE = 0.1  # a measured rate that differs from the stated one by a larger share replaces it
_WAITING_LIMIT = 64  # packets whose frames have not come out; more means that the decoder dropped them


@dataclass(frozen=True, slots=True)
class StampedFrame:
    """One decoded frame with the times and marks of its packet.

    Attributes:
        frame: the decoded frame.
        stamp: its time stamp in seconds, or None.
        arrival: time.monotonic() at the arrival of its packet.
        quality: why it may be damaged.
        position: seconds on a timeline that continues by arrival while stamps are wrong; its stamp if omitted.
        taken: its capture time, or None if unknown.
    """

    frame: VideoFrame
    stamp: float | None
    arrival: float
    quality: tuple[Quality, ...]
    position: float | None = None
    taken: CaptureTime | None = None


@dataclass(frozen=True, slots=True)
class _PacketFacts:
    """Facts about a packet whose frame has not come out."""

    arrival: float
    quality: tuple[Quality, ...]
    taken: CaptureTime | None = None


class LiveDecoder:
    """The decoder of one connection's packets.

    Attributes:
        clips: the last packets.
        clock: maps time stamps to UTC.
        luma: reads the luma of frames.
        frame_seconds: time from frame to frame, as stated or, if that is wrong, as measured.
        size: (width, height) of the frames in pixels; set with the first.
        rotation: degrees counter-clockwise that turn the frames upright.
        timed: whether the capture times of frames are known.
    """

    def __init__(
        self,
        opened: Connected,
        options: CaptureOptions,
        history_seconds: float = 0.0,
        host: HostClockError | None = None,
    ) -> None:
        """Prepare to decode.

        Args:
            opened: the facts that the source stated.
            options: how it is decoded, and which clock is used.
            history_seconds: seconds of packets kept for clips.
            host: the error of this computer's clock; read from the system if omitted.
        """
        name = opened.codec.name if opened.codec else "rawvideo"
        self.clips = ClipBuffer(history_seconds, opened.template or opened.codec, options.history_bytes)
        self.frame_seconds = opened.frame_seconds
        self.size: tuple[int, int] | None = None
        self.rotation = 0
        self.timed = opened.timed
        self.clock = CaptureClock(
            opened.frame_seconds, options, stamps=opened.stamps, held_back=name not in _WHOLE_CODECS, host=host
        )
        self.luma = LumaReader(name)
        self._stated_seconds = opened.frame_seconds
        self._stamps = opened.stamps
        self._codec = opened.codec
        if self._codec is not None:
            self._codec.options |= _CONCEALMENT | recipe_of(options)
        self._time_base = opened.time_base
        self._corruption = CorruptionState()
        self._packet_facts: dict[int, _PacketFacts] = {}
        self._shown_pts: int | None = None
        self._by_arrival = False
        self._shift = 0.0
        self._placed: tuple[float, float] | None = None

    def decode(self, item: Packet | DecodedFrame) -> Iterator[StampedFrame]:
        """Yield the frames that the decoder returns for `item`; none if it refuses the packet."""
        if isinstance(item, DecodedFrame):
            # Devices give no time: the frame's arrival is used instead.
            taken = self.clock.feed(item.arrival, item.arrival, item.utc_minus_arrival)
            self._measure_rate()
            yield StampedFrame(item.frame, item.arrival, item.arrival, (), taken=taken)
        elif self._codec is not None:
            yield from self._decode(item, self._codec)

    def _decode(self, item: Packet, codec: VideoCodecContext) -> Iterator[StampedFrame]:
        packet = item.packet
        self.clips.add(packet)
        quality = self._corruption.packet(
            key=packet.is_keyframe, lost=item.lost, broken=packet.is_corrupt, interrupted=item.interrupted
        )
        facts = _PacketFacts(item.arrival, quality, self._time(item))
        if packet.pts is not None:
            if len(self._packet_facts) > _WAITING_LIMIT:
                self._packet_facts.clear()
            self._packet_facts[packet.pts] = facts
        try:
            frames = codec.decode(packet)
        except av.FFmpegError:
            self._corruption.decoder_failed()
            return
        for frame in frames:
            # The first frame after PLAY has no time stamp: later frames need it, but it is not returned.
            if frame.pts is None:
                continue
            if self._shown_pts is not None and frame.pts <= self._shown_pts:
                self.clock.arrival.note_step(item.arrival)
            self._shown_pts = frame.pts
            known = self._packet_facts.pop(frame.pts, facts)
            marks = known.quality
            if frame.is_corrupt:
                marks = tuple(sorted({*marks, *self._corruption.decoder_failed()}))
            stamp = frame.pts * self._time_base
            yield StampedFrame(frame, stamp, known.arrival, marks, self._position(stamp, known.arrival), known.taken)

    def _time(self, item: Packet) -> CaptureTime | None:
        """Return the capture time of a packet's frame; None without a time stamp."""
        if item.packet.pts is None:
            if item.report is not None:
                self.clock.announce(item.arrival, item.utc_minus_arrival, item.report)
            return None
        taken = self.clock.feed(
            item.packet.pts * self._time_base,
            item.arrival,
            item.utc_minus_arrival,
            before=item.before,
            capture_utc=item.capture_utc,
            report=item.report,
        )
        self._measure_rate()
        return taken

    def _measure_rate(self) -> None:
        """Use the measured time from frame to frame if none is stated, or a wrong one."""
        rate = self.clock.arrival.rate
        if not self._stamps:
            self.frame_seconds = rate.frame_seconds
        elif rate.known:
            off = abs(rate.frame_seconds - self._stated_seconds) > _OTHER_RATE * self._stated_seconds
            self.frame_seconds = rate.frame_seconds if off else self._stated_seconds

    def _position(self, stamp: float, arrival: float) -> float:
        """Return the place of the frame with `stamp` on a timeline that wrong stamps neither stop nor stretch.

        While the stamps are given up, it continues by arrival; when they are valid again, it returns to them without a
        step.
        """
        by_arrival = self._stamps and not self.clock.arrival.stamps_hold
        source = arrival if by_arrival else stamp
        if by_arrival != self._by_arrival and self._placed is not None:
            before, arrived = self._placed
            self._shift = before + max(0.0, arrival - arrived) - source
        self._by_arrival = by_arrival
        position = source + self._shift
        if by_arrival and self._placed is not None:
            position = max(position, self._placed[0])
        self._placed = position, arrival
        return position
