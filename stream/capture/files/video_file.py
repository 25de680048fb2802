"""Recorded video: every frame of a file or URL, in order, with its time."""

import logging
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Self

import av
from av.video.frame import VideoFrame

from stream.capture.addresses import is_playlist, redact
from stream.capture.clip_buffer import ClipBuffer
from stream.capture.clip_writer import Clip
from stream.capture.decoding import DecoderDrift
from stream.capture.files.container import (
    DEFAULT_RATE,
    LEAST_SIDE,
    FileUtc,
    Recording,
    demux_known,
    has_time_stamps,
    open_recording,
    video_streams,
)
from stream.capture.files.damage import DamageMarks
from stream.capture.files.growing_file import GrowingFile
from stream.capture.files.part import Part, PartReading
from stream.capture.files.presentation_order import (
    EXAMINED_PACKETS,
    AviOrder,
    PresentationOrder,
    StampOrder,
    stamps_follow_decoding,
)
from stream.capture.files.scan_break import ScanBreaks
from stream.capture.frame import Frame
from stream.capture.luma import LumaReader, chroma_planes, rotation_of, upright_rgb
from stream.capture.open_errors import reason_of
from stream.capture.options import CaptureOptions
from stream.capture.status import Clock
from stream.capture.timing.timeline import MonotonicTimeline
from stream.errors import OpenError, VideoError

log = logging.getLogger(__name__)

_OTHER_LENGTH, _LEAST_SECONDS = 0.1, 0.5  # share and seconds: larger differences from the stated length are logged
_LAST_PART_BYTES = 512  # a closing boundary and its headers
_FEW_PACKETS = 50  # with fewer packets, the failed share means little


class Video:
    """An opened recording; each iteration gives every frame once, in order.

    A second iteration reads the recording again from its beginning and ends the first.

    Attributes:
        name: name of the camera.
        address: path or URL, without secrets.
        codec: FFmpeg's name of the codec.
        frame_rate: frames per second as stated by the container, if at all.
        duration_seconds: from the first frame to the end of the last as stated by the container, if at all.
        streams: number of video streams in the recording; one of them is read.
    """

    def __init__(
        self,
        source: str | GrowingFile | Part,
        name: str,
        options: CaptureOptions,
        start_utc: float | None,
        history_seconds: float = 0.0,
        stream: int | None = None,
    ) -> None:
        """Open `source`; see `open_video`.

        Raises:
            OpenError: it is not there, or not video.
        """
        self.name = name
        self.address = redact(source)
        self._part = source if isinstance(source, Part) else None
        self._source = source.source if isinstance(source, Part) else source
        self._options = options
        self._start_utc = start_utc
        self._history_seconds = history_seconds
        self._stream = stream
        self._pass = self._begin_pass()
        recording = self._pass.recording
        self.codec = recording.stream.codec_context.name
        self.frame_rate = recording.frame_rate
        self.duration_seconds = recording.duration_seconds
        self.streams = len(video_streams(recording.container, self.address))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames in pixels, as stored; it may change within a recording."""
        return self._pass.frames.size

    @property
    def clock(self) -> Clock:
        """Where the frames' UTC comes from: file or none."""
        return self._pass.frames.utc.clock

    @property
    def damaged(self) -> int:
        """Number of frames of this iteration that may be damaged so far."""
        return self._pass.frames.damaged

    @property
    def divisible(self) -> bool:
        """Whether a `Part` of it can be read: it is complete, and each frame's time follows from its stamp."""
        container = self._pass.recording.container
        stamped = has_time_stamps(container) and container.start_time is not None
        return stamped and self._pass.frames.order is None and not self._grows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file; it may be called twice."""
        self._pass.close()
        if isinstance(self._source, GrowingFile):
            self._source.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame, in order. Damaged frames are only marked: their `Frame.quality` contains "decode_error".

        Raises:
            OpenError: a second iteration finds the recording gone.
            VideoError: after the last good frame, if the recording breaks off before its stated end or too much of it
                does not decode; or the video was closed, or is iterated again.
        """
        current = self._pass = self._next_pass()
        for packet in current.packets():
            for frame in current.decode(packet):
                yield frame
                if self._part is not None and frame.seconds >= self._part.end:
                    return
        if current.read_error is not None:
            yield from current.decode(None)
        current.check_complete()

    def cut(self, start_seconds: float, end_seconds: float, utc_offset: float | None = None) -> Clip | None:
        """Return the packets of that time (the source's clock) as a file, from the key frame before it on.

        Call it while iterating. Return None if they are not kept any more.

        Raises:
            VideoError: no container supports the packets.
        """
        return self._pass.clips.cut(start_seconds, end_seconds, utc_offset)

    def _next_pass(self) -> "_Pass":
        last = self._pass
        if last.closed:
            raise VideoError(f"{self.address}: is closed; open it again with open_video")
        if not last.begun:
            last.begun = True
            return last
        if isinstance(self._source, GrowingFile):
            raise VideoError(f"{self.address}: a growing file is read once; open it again with open_video")
        last.close()
        again = self._begin_pass()
        again.begun = True
        return again

    def _begin_pass(self) -> "_Pass":
        try:
            recording = open_recording(self._source, self._options, self._stream)
        except OpenError:
            if isinstance(self._source, GrowingFile):
                self._source.close()
            raise
        frames = _FrameBuilder(self.name, self.address, recording, self._options, self._start_utc)
        if self._part is not None:
            frames.read_part(PartReading(self._part, recording, self.address), self._part.first)
        clips = ClipBuffer(self._history_seconds, recording.stream, self._options.history_bytes)
        return _Pass(recording, frames, clips, self._options, address=self.address, grows=self._grows)

    @property
    def _grows(self) -> bool:
        return isinstance(self._source, GrowingFile) or is_playlist(self._source)


class _Pass:
    """One pass over a recording from beginning to end.

    Attributes:
        recording: opened for this pass only.
        frames: builds the frames.
        clips: the last packets.
        begun: whether the iteration has begun.
        closed: whether the recording is closed.
        read_error: why reading ended early, if it did.
    """

    def __init__(
        self,
        recording: Recording,
        frames: "_FrameBuilder",
        clips: ClipBuffer,
        options: CaptureOptions,
        *,
        address: str,
        grows: bool,
    ) -> None:
        self.recording = recording
        self.frames = frames
        self.clips = clips
        self.begun = False
        self.closed = False
        self.read_error: str | None = None
        self._options = options
        self._address = address
        self._grows = grows
        self._sound = recording.sound if clips.keeps else None
        self._damage = frames.damage
        self._extent = _Extent(recording)
        self._packets = 0
        self._failed = 0
        self._read_bytes = 0

    def close(self) -> None:
        """Free the decoder and the file; it may be called twice."""
        if not self.closed:
            self.closed = True
            self._damage.close()
            self.recording.close()

    def packets(self) -> "Iterator[av.Packet[Any]]":
        """Yield the video packets; sound goes to the clips, and other streams only show how far the data reaches."""
        recording, video = self.recording, self.recording.stream.index
        wanted = recording.measured
        if self._sound is not None and self._sound not in wanted:
            wanted = (*wanted, self._sound)
        packets = self._examined(demux_known(recording.container, *wanted))
        while not self.closed:  # reading from a closed container would crash the process
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                if not self._is_end(error):
                    self.read_error = reason_of(error)
                return
            if packet.stream.index == video:
                if packet.pos is not None:
                    self._read_bytes = packet.pos + packet.size
                self._packets += 1
                self._extent.add_video(packet)
                self._keep(packet)
                yield packet
            else:
                self._extent.add_other(packet)
                if packet.stream is self._sound:
                    self.clips.add_sound(packet)
        raise VideoError(
            f"{self._address}: was closed, or read again from its beginning, while it was read; "
            "open it twice to read it twice at once"
        )

    def _examined(self, packets: "Iterator[av.Packet[Any]]") -> "Iterator[av.Packet[Any]]":
        """Yield `packets`, after checking whether the time stamps of the first ones are decoding times."""
        stream = self.recording.stream
        if self.frames.order is not None or not stream.codec_context.has_b_frames:
            yield from packets
            return
        first: list[av.Packet[Any]] = []
        try:
            while sum(packet.stream is stream for packet in first) < EXAMINED_PACKETS:
                first.append(next(packets))
        except StopIteration:
            pass
        except (av.FFmpegError, OSError) as error:
            self.read_error = reason_of(error)
        if stamps_follow_decoding([packet for packet in first if packet.stream is stream]):
            self.frames.order = StampOrder()
        yield from first
        if self.read_error is None:
            yield from packets

    def decode(self, packet: "av.Packet[Any] | None") -> Iterator[Frame]:
        """Yield the frames that the decoder returns for `packet`; None flushes the decoder."""
        if packet is not None:
            self._damage.add(packet)
        try:
            decoded = self.recording.stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._failed += 1
            self._damage.listen(failed=True)
            return
        self._damage.listen()
        for video_frame in decoded:
            frame = self.frames.build(video_frame, self.clips)
            self._extent.frames_end = frame.seconds + frame.duration
            yield frame

    def check_complete(self) -> None:
        """Raise VideoError if the recording was shorter than stated, or too much of it did not decode."""
        if not self.frames.count:
            why = self.read_error or "no data"
            if self._grows:
                raise VideoError(
                    f"{self._address}: not one frame could be decoded while it grew ({why}); an MP4 can "
                    "be read once it is complete: record to .ts or .mkv, or replay it again"
                )
            raise VideoError(f"{self._address}: not one frame could be decoded ({why}); is it complete?")
        if self.read_error is not None:
            raise VideoError(
                f"{self._address}: breaks off after {self._extent.frames_end:.2f} s ({self.read_error}); "
                "the frames before are good"
            )
        marked = self._damage.hits / self.frames.count
        if self.frames.count >= _FEW_PACKETS and marked > self._options.max_failed_fraction:
            raise VideoError(
                f"{self._address}: damaged file: {marked:.0%} of {self.frames.count} frames are damaged, so that what "
                "was found in it is unsure"
            )
        promised, reached = self.recording.duration_seconds, self._extent.reached(self.frames.origin_seconds)
        if promised is not None and promised - reached > self.recording.duration_slack_seconds:
            raise VideoError(
                f"{self._address}: breaks off after {reached:.2f} of {promised:.2f} s: recording or copy was cut short"
            )
        if promised and not self._grows and abs(reached - promised) > max(_OTHER_LENGTH * promised, _LEAST_SECONDS):
            log.warning(
                "%s: holds %.2f s by its time stamps, but %.2f s are stated: one of them is wrong, and times in it may "
                "be off by that; if it plays well, convert it first with: ffmpeg -i IN OUT.mp4",
                self._address,
                reached,
                promised,
            )
        share = self._failed / self._packets
        if self._packets >= _FEW_PACKETS and share > self._options.max_failed_fraction:
            raise VideoError(f"{self._address}: {share:.0%} of {self._packets} frames would not decode: damaged file")

    def _is_end(self, error: Exception) -> bool:
        """Return whether reading failed at the end: FFmpeg looks for a further part after the last one of an MPJPEG."""
        container = self.recording.container
        at_end = container.size - self._read_bytes <= _LAST_PART_BYTES
        return container.format.name == "mpjpeg" and isinstance(error, av.error.InvalidDataError) and at_end

    def _keep(self, packet: "av.Packet[Any]") -> None:
        order = self.frames.order
        if order is None:
            self.clips.add(packet)
            return
        order.add(packet)
        for settled in order.settled():
            self.clips.add(settled)


class _Extent:
    """How far the data of a recording reaches.

    Attributes:
        frames_end: end of the last frame, in seconds on the source's clock.
    """

    def __init__(self, recording: Recording) -> None:
        self.frames_end = 0.0
        self._tick = float(recording.stream.time_base or 0)
        self._measured = recording.measured
        self._last_pts = -1
        self._other_end = 0.0  # in seconds on the container's clock

    def add_video(self, packet: "av.Packet[Any]") -> None:
        """Note a video packet, whether or not it decodes."""
        if packet.pts is not None and packet.pts > self._last_pts:
            self._last_pts = packet.pts

    def add_other(self, packet: "av.Packet[Any]") -> None:
        """Note a packet of another stream."""
        if packet.stream in self._measured:
            self._other_end = max(self._other_end, float((packet.pts or 0) * packet.time_base))

    def reached(self, origin_seconds: float) -> float:
        """Return the end of the data in seconds, decoded or not; `origin_seconds` is the time stamp of 0 seconds."""
        return max(self.frames_end, max(self._last_pts * self._tick, self._other_end) - origin_seconds)


class _FrameBuilder:
    """Build the frames of a recording from decoded ones: number, time, size, rotation and damage.

    Attributes:
        count: frames built so far.
        damaged: those of them that may be damaged.
        damage: tells which frames may be damaged.
        size: (width, height) of the last frame in pixels.
        order: presentation times, if packets carry decoding times.
        utc: maps seconds of the recording to UTC.
    """

    def __init__(
        self, name: str, address: str, recording: Recording, options: CaptureOptions, start_utc: float | None
    ) -> None:
        container, codec = recording.container, recording.stream.codec_context
        self.count = 0
        self.damaged = 0
        self.size = (codec.width, codec.height)
        self.order: PresentationOrder | None = AviOrder() if container.format.name == "avi" else None
        self.utc = FileUtc(address, recording, start_utc)
        start = None
        if self.order is None and container.start_time is not None:
            start = container.start_time / av.time_base
        self._timeline = MonotonicTimeline(options.jump_seconds, start)
        self._name = name
        self._address = address
        self.damage = DamageMarks(codec)
        self._scan = ScanBreaks(codec.name)
        self._luma = LumaReader(codec.name)
        self._drift = DecoderDrift(options)
        self._tick = float(recording.stream.time_base or 0)
        self._default_duration = 1.0 / (recording.frame_rate or DEFAULT_RATE)
        self._rotation = 0
        self._part: PartReading | None = None

    def read_part(self, part: PartReading, first_seconds: float) -> None:
        """Read a part of the recording, whose first frame is at `first_seconds`."""
        self._part = part
        self.utc.at(first_seconds, stepped_back=False)  # a start that was given is that of this frame

    @property
    def origin_seconds(self) -> float:
        """The time stamp of 0 seconds."""
        return self._timeline.origin

    def build(self, decoded: VideoFrame, clips: ClipBuffer) -> Frame:
        """Return the next frame, built from `decoded`, and tell `clips` its time."""
        duration = decoded.duration * self._tick if decoded.duration else self._default_duration
        ticks = decoded.pts if self.order is None else self.order.stamp_of(decoded)
        stamp = None if ticks is None else ticks * self._tick
        seconds = self._timeline.place(stamp, duration)
        if self._part is not None:
            self._part.check(stamp, seconds)
        clips.place(stamp, seconds)
        if decoded.key_frame:
            self._rotation = rotation_of(decoded)
        if (decoded.width, decoded.height) != self.size:
            self.size = (decoded.width, decoded.height)
            if min(self.size) < LEAST_SIDE:
                raise VideoError(
                    f"{self._address}: from {seconds:.2f} s on its frames are {decoded.width} x "
                    f"{decoded.height} pixels: too small to judge"
                )
            self._timeline.new_epoch()
        luma, black, white = self._luma.read(decoded)
        damaged = self.damage.marks(decoded)
        colours = chroma_planes(decoded) if self._scan.possible else ()
        if self._scan.found(luma, decoded.format.name, damaged=damaged, colours=colours):
            self.damage.add_hit()
            damaged = True
        self.damaged += damaged
        number, self.count = self.count, self.count + 1
        utc = self.utc.at(seconds, stepped_back=self._timeline.stepped_back)
        return Frame(
            camera=self._name,
            number=number,
            seconds=seconds,
            duration=duration,
            luma=luma,
            black=black,
            white=white,
            utc=utc,
            arrival=time.monotonic(),
            clock=self.utc.clock,
            utc_error_ms=self.utc.error_ms,
            epoch=self._timeline.epoch,
            quality=("decode_error",) if damaged else (),
            rotation=self._rotation,
            unfiltered=self._drift.unfiltered,
            rebased=self._drift.ends_at(decoded),
            color=partial(upright_rgb, decoded, self._rotation),
        )
