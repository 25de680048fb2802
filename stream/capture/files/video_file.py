"""Recorded video: every picture of a file or URL, in order, with its time."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.capture.addresses import camera_name, redact
from stream.capture.clip_buffer import Clip, ClipBuffer
from stream.capture.files.avi import PresentationOrder
from stream.capture.files.container import (
    creation_time,
    frame_rate,
    has_time_stamps,
    open_container,
    refuse_what_is_not_a_file,
    stated_duration,
    video_stream,
    whole_duration,
)
from stream.capture.files.growing_file import GrowingFile
from stream.capture.frame import Clock, Frame
from stream.capture.luma import LumaReader, rotation_of, upright_rgb
from stream.capture.open_errors import reason_of
from stream.capture.options import CaptureOptions
from stream.capture.timing.timeline import MonotonicTimeline
from stream.errors import OpenError, VideoError

log = logging.getLogger(__name__)

_FEW_PACKETS = 50  # below this many, a failed share says little


def open_video(
    path_or_url: str | Path | GrowingFile,
    *,
    name: str | None = None,
    options: CaptureOptions,
    start_utc: float | None = None,
    history_seconds: float = 0.0,
) -> "Video":
    """The recording at `path_or_url`, opened; a GrowingFile is read while it is written, and closed with the video.

    An MP4 whose index is at its end can be read once it is complete only.

    name: of the camera that made it; without one it is made from the address.
    start_utc: seconds since 1970 at its first picture; without it the container's creation time is used, if any.
    history_seconds: how much of what was read is kept for `Video.cut`; 0: nothing.

    Raises:
        OpenError: there is no such file, or it is not video; one line that says what it is.
    """
    source = path_or_url if isinstance(path_or_url, GrowingFile) else str(path_or_url)
    refuse_what_is_not_a_file(str(source), may_be_empty=isinstance(source, GrowingFile))
    if isinstance(source, GrowingFile) and source.is_finished_mp4():
        source = str(source)
    return Video(source, name or camera_name(str(source)), options, start_utc, history_seconds)


class Video:
    """An opened recording; iterating gives every picture once, in order.

    After the last good picture the iteration raises VideoError when the recording breaks off before its stated end or
    too much of it would not decode. Damaged places only mark pictures: `Frame.quality` holds "decode_error" then.
    """

    def __init__(
        self,
        source: str | GrowingFile,
        name: str,
        options: CaptureOptions,
        start_utc: float | None,
        history_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self.address = redact(source)
        self.damaged = 0
        self.clock: Clock = "none"
        self._options = options
        self._failed = 0
        self._packets = 0
        self._grows = isinstance(source, GrowingFile)
        self._stack = ExitStack()
        if isinstance(source, GrowingFile):
            self._stack.callback(source.close)
        try:
            self._container = open_container(source, options)
            self._stack.callback(self._container.close)
            self._stream = video_stream(self._container, self.address)
        except OpenError:
            self._stack.close()
            raise
        self._clips = ClipBuffer(history_seconds, self._stream)
        self._sound = self._container.streams.audio[0] if history_seconds and self._container.streams.audio else None
        self._prepare(start_utc)

    def _prepare(self, start_utc: float | None) -> None:
        stream, container = self._stream, self._container
        codec = stream.codec_context
        codec.thread_type = "AUTO"
        codec.thread_count = self._options.file_threads
        self.size = (codec.width, codec.height)
        self.codec = codec.name
        self.frame_rate = frame_rate(container, stream)
        own = stated_duration(container, stream)
        self.duration_seconds = whole_duration(container) if own is None else own
        self._followed = list(container.streams) if own is None else [stream]  # which have that duration together
        share, least = (0.02, 1.0) if len(self._followed) == 1 else (0.1, 3.0)
        self._duration_slack = max(least, share * (self.duration_seconds or 0))
        self._tick = float(stream.time_base or 0)
        self._presentation = PresentationOrder() if container.format.name == "avi" else None
        start = None
        if self._presentation is None and container.start_time is not None:
            start = container.start_time / av.time_base
        self._timeline = MonotonicTimeline(self._options.jump_seconds, start)
        self._set_utc(start_utc)

    def _set_utc(self, start_utc: float | None) -> None:
        self._start_utc, self._utc_error_ms = creation_time(self._container, self._stream, self.duration_seconds), None
        self._first_utc = start_utc
        rate = self.frame_rate or 25.0
        if start_utc is not None:
            self._start_utc, self._utc_error_ms = start_utc, 1000.0 / rate
        if not has_time_stamps(self._container):
            self._utc_error_ms = None
            log.warning(
                "%s: holds no time stamps: %g pictures a second are assumed; if it was recorded at another, its times "
                "are off: convert it first with: ffmpeg -framerate RATE -i IN OUT.mp4",
                self.address,
                rate,
            )
        if self._start_utc is not None:
            self.clock = "file"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file."""
        # Decoder threads that still run while their context is freed could wait for the interpreter for ever.
        self._stream.codec_context.flush_buffers()
        self._stack.close()

    def __iter__(self) -> Iterator[Frame]:
        """Every picture, in order.

        Raises:
            VideoError: after the last good picture: the recording breaks off, or too much would not decode.
        """
        self._luma = LumaReader(self.codec)
        self._rotation = 0
        self._shape = self.size
        self._number = 0
        self._end = 0.0
        self._last_stamp = -1
        self._marked = False
        usual = 1.0 / (self.frame_rate or 25.0)
        broken = None
        self._other_end = 0.0  # of sound, on the container's clock
        wanted = self._followed if self._sound in (None, *self._followed) else [*self._followed, self._sound]
        packets: Iterator[av.Packet[Any]] = self._container.demux(*wanted)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:
                broken = reason_of(error)
                break
            if packet.stream.index != self._stream.index:
                self._pass_by(packet)
                continue
            self._packets += 1
            if packet.pts is not None and packet.pts > self._last_stamp:
                self._last_stamp = packet.pts
            self._keep(packet)
            for picture in self._decode(packet):
                yield self._frame(picture, usual)
        if broken is not None:
            for picture in self._decode(None):
                yield self._frame(picture, usual)
        self._judge(broken)

    def cut(self, start_seconds: float, end_seconds: float) -> Clip | None:
        """What was read of that time (the source's clock) as a file of its own, from the key frame before it on.

        None where it is not kept any more. Call it while iterating.

        Raises:
            VideoError: no container takes it.
        """
        return self._clips.cut(start_seconds, end_seconds)

    def _pass_by(self, packet: "av.Packet[Any]") -> None:
        """Take a packet of no picture: sound for clips, and how far what has the duration in common goes."""
        if packet.stream is self._sound:
            self._clips.add_sound(packet)
        if packet.stream in self._followed:
            self._other_end = max(self._other_end, float((packet.pts or 0) * packet.time_base))

    def _keep(self, packet: "av.Packet[VideoStream]") -> None:
        if self._presentation is None:
            self._clips.add(packet)
            return
        self._presentation.take(packet)
        for known in self._presentation.known():
            self._clips.add(known)

    def _decode(self, packet: "av.Packet[VideoStream] | None") -> list[VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._failed += 1
            self._marked = True
            return []

    def _frame(self, picture: VideoFrame, usual: float) -> Frame:
        duration = picture.duration * self._tick if picture.duration else usual
        ticks = picture.pts if self._presentation is None else self._presentation.show(picture)
        stamp = None if ticks is None else ticks * self._tick
        seconds = self._timeline.place(stamp, duration)
        if self._timeline.stepped_back and self._utc_error_ms is not None:
            self._doubt_utc(seconds)
        self._clips.place(stamp, seconds)
        if picture.key_frame:
            self._marked = False
            self._rotation = rotation_of(picture)
        if (picture.width, picture.height) != self._shape:
            self._shape = self.size = (picture.width, picture.height)
            self._timeline.new_epoch()
        damaged = picture.is_corrupt or self._marked
        self.damaged += damaged
        luma, black, white = self._luma.read(picture)
        if self._first_utc is not None and not self._number:
            self._start_utc = self._first_utc - seconds  # sound, or pictures without their key frame, may come before
        number, self._number = self._number, self._number + 1
        self._end = seconds + duration
        return Frame(
            camera=self.name,
            number=number,
            seconds=seconds,
            duration=duration,
            luma=luma,
            black=black,
            white=white,
            utc=None if self._start_utc is None else self._start_utc + seconds,
            arrival=time.monotonic(),
            clock=self.clock,
            utc_error_ms=self._utc_error_ms,
            epoch=self._timeline.epoch,
            quality=("decode_error",) if damaged else (),
            rotation=self._rotation,
            color=partial(upright_rgb, picture, self._rotation),
        )

    def _doubt_utc(self, seconds: float) -> None:
        self._utc_error_ms = None
        log.warning(
            "%s: its time stamps begin anew at %.2f s, as where recordings were joined: UTC goes on as if nothing were "
            "missing there; replay each part with a --start of its own",
            self.address,
            seconds,
        )

    def _judge(self, broken: str | None) -> None:
        """Raise VideoError where the recording did not hold what it promised."""
        if not self._number and self._grows:
            raise VideoError(
                f"{self.address}: not one picture could be decoded while it grew ({broken or 'no data'}); an MP4 can "
                "be read once it is complete: record to .ts or .mkv, or replay it again"
            )
        if not self._number:
            raise VideoError(
                f"{self.address}: not one picture could be decoded ({broken or 'no data'}); is it complete?"
            )
        if broken is not None:
            raise VideoError(
                f"{self.address}: breaks off after {self._end:.2f} s ({broken}); the pictures before are good"
            )
        promised, reached = self.duration_seconds, self._reached()
        if promised is not None and promised - reached > self._duration_slack:
            raise VideoError(
                f"{self.address}: breaks off after {reached:.2f} of {promised:.2f} s: recording or copy was cut short"
            )
        share = self._failed / self._packets
        if self._packets >= _FEW_PACKETS and share > self._options.max_failed_fraction:
            raise VideoError(
                f"{self.address}: {share:.0%} of {self._packets} pictures would not decode: the file is damaged"
            )

    def _reached(self) -> float:
        """Seconds to which data came, decoded or not."""
        return max(self._end, max(self._last_stamp * self._tick, self._other_end) - self._timeline.origin)
