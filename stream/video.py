"""Recorded video: every picture of a file or URL, in order, with its time."""

import logging
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.address import camera_name, is_url, redact
from stream.clock import SteadyClock
from stream.errors import BadVideo, CannotOpen
from stream.explain import explain_open_error
from stream.frame import Clock, Frame
from stream.history import Clip, History
from stream.luma import LumaReader, rotation_of, upright_rgb
from stream.options import CaptureOptions

log = logging.getLogger(__name__)

_FEW_PACKETS = 50  # below this many, a failed share says little
_STILLS = ("image2", "_pipe")  # FFmpeg's names for single pictures end so
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()  # containers without a date say 1904 or 1970


def open_video(
    path_or_url: str | Path,
    *,
    name: str | None = None,
    options: CaptureOptions,
    start_utc: float | None = None,
    history_seconds: float = 0.0,
) -> "Video":
    """The recording at `path_or_url`, opened.

    name: of the camera that made it; without one it is made from the address.
    start_utc: seconds since 1970 at its first picture; without it the container's creation time is used, if any.
    history_seconds: how much of what was read is kept for `Video.cut`; 0: nothing.

    Raises:
        CannotOpen: there is no such file, or it is not video; one line that says what it is.
    """
    address = str(path_or_url)
    _refuse_what_is_not_a_file(address)
    return Video(address, name or camera_name(address), options, start_utc, history_seconds)


class Video:
    """An opened recording; iterating gives every picture once, in order.

    After the last good picture the iteration raises BadVideo when the recording breaks off before its stated end or
    too much of it would not decode. Damaged places only mark pictures: `Frame.quality` holds "decode_error" then.
    """

    def __init__(
        self, address: str, name: str, options: CaptureOptions, start_utc: float | None, history_seconds: float = 0.0
    ) -> None:
        self.name = name
        self.address = redact(address)
        self.damaged = 0
        self.clock: Clock = "none"
        self._options = options
        self._failed = 0
        self._packets = 0
        self._stack = ExitStack()
        self._container = _open(address, options)
        self._stack.callback(self._container.close)
        try:
            self._stream = _video_stream(self._container, self.address)
        except CannotOpen:
            self._stack.close()
            raise
        self._history = History(history_seconds, self._stream)
        self._prepare(start_utc)

    def _prepare(self, start_utc: float | None) -> None:
        stream, container = self._stream, self._container
        codec = stream.codec_context
        codec.thread_type = "AUTO"
        codec.thread_count = self._options.file_threads
        self.size = (codec.width, codec.height)
        self.codec = codec.name
        self.frame_rate = _positive(stream.average_rate) or _positive(stream.guessed_rate)
        self.duration_seconds = _duration(container, stream)
        self._tick = float(stream.time_base or 0)
        start = container.start_time
        self._steady = SteadyClock(self._options.jump_seconds, None if start is None else start / av.time_base)
        self._start_utc, self._utc_error_ms = (
            start_utc,
            None if start_utc is None else 1000.0 / (self.frame_rate or 25.0),
        )
        if start_utc is None:
            self._start_utc = _creation_time(container, stream)
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
            BadVideo: after the last good picture: the recording breaks off, or too much would not decode.
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
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:
                broken = redact(getattr(error, "strerror", None) or error)
                break
            self._packets += 1
            if packet.pts is not None and packet.pts > self._last_stamp:
                self._last_stamp = packet.pts
            self._history.add(packet)
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
            BadVideo: no container takes it.
        """
        return self._history.cut(start_seconds, end_seconds)

    def _decode(self, packet: "av.Packet[VideoStream] | None") -> list[VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._failed += 1
            self._marked = True
            return []

    def _frame(self, picture: VideoFrame, usual: float) -> Frame:
        duration = picture.duration * self._tick if picture.duration else usual
        stamp = None if picture.pts is None else picture.pts * self._tick
        seconds = self._steady.place(stamp, duration)
        self._history.place(stamp, seconds)
        if picture.key_frame:
            self._marked = False
            self._rotation = rotation_of(picture)
        if (picture.width, picture.height) != self._shape:
            self._shape = self.size = (picture.width, picture.height)
            self._steady.new_epoch()
        damaged = picture.is_corrupt or self._marked
        self.damaged += damaged
        luma, black, white = self._luma.read(picture)
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
            epoch=self._steady.epoch,
            quality=("decode_error",) if damaged else (),
            rotation=self._rotation,
            color=partial(upright_rgb, picture, self._rotation),
        )

    def _judge(self, broken: str | None) -> None:
        """Raise BadVideo where the recording did not hold what it promised."""
        if not self._number:
            raise BadVideo(f"{self.address}: not one picture could be decoded ({broken or 'no data'}); is it complete?")
        if broken is not None:
            raise BadVideo(
                f"{self.address}: breaks off after {self._end:.2f} s ({broken}); the pictures before are good"
            )
        promised, reached = self.duration_seconds, self._reached()
        if promised is not None and promised - reached > max(1.0, 0.02 * promised):
            raise BadVideo(
                f"{self.address}: breaks off after {reached:.2f} of {promised:.2f} s: recording or copy was cut short"
            )
        share = self._failed / self._packets
        if self._packets >= _FEW_PACKETS and share > self._options.max_failed_fraction:
            raise BadVideo(
                f"{self.address}: {share:.0%} of {self._packets} pictures would not decode: the file is damaged"
            )

    def _reached(self) -> float:
        """Seconds to which data came, decoded or not."""
        return max(self._end, self._last_stamp * self._tick - self._steady.origin)


def _refuse_what_is_not_a_file(address: str) -> None:
    if is_url(address):
        return
    path = Path(address)
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise CannotOpen(f"{address}: no such file", permanent=True) from error
    except OSError as error:
        raise CannotOpen(f"{address}: cannot be read: {error.strerror}", permanent=True) from error
    if stat.S_ISDIR(status.st_mode):
        raise CannotOpen(
            f"{address}: is a folder; name a video file, or use replay, which takes folders", permanent=True
        )
    if not stat.S_ISREG(status.st_mode):
        raise CannotOpen(f"{address}: is not a regular file (a pipe or device); record to a file first", permanent=True)
    if status.st_size == 0:
        raise CannotOpen(f"{address}: is empty (0 bytes); the recording or copy failed", permanent=True)


def _open(address: str, options: CaptureOptions) -> InputContainer:
    source = address if is_url(address) else f"file:{address}"  # a path may hold what looks like a protocol
    limits = (options.open_seconds, options.open_seconds) if is_url(address) else None
    try:
        container = av.open(source, metadata_errors="replace", timeout=limits)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise explain_open_error(address, error) from None  # its text and its cause hold the password
    return container


def _video_stream(container: InputContainer, shown: str) -> VideoStream:
    if container.format.name.endswith(_STILLS) or "image2" in container.format.name:
        raise CannotOpen(f"{shown}: is a still image, not a video", permanent=True)
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        kind = "sound but no pictures" if container.streams.audio else "no pictures"
        raise CannotOpen(f"{shown}: holds {kind}; a video is needed", permanent=True)
    if streams[0].codec_context is None:
        raise CannotOpen(f"{shown}: no decoder for its pictures; convert it with: ffmpeg -i IN OUT.mp4", permanent=True)
    return streams[0]


def _positive(rate: object) -> float | None:
    return float(rate) if rate else None  # type: ignore[arg-type]


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds from the first to the end of the last picture as the container states them."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # its duration shrinks with the file
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    stated = stream.metadata.get("DURATION") or stream.metadata.get("duration")
    if stated and stated.count(":") == 2:
        hours, minutes, seconds = stated.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return None if container.duration is None else container.duration / av.time_base


def _creation_time(container: InputContainer, stream: VideoStream) -> float | None:
    tags = container.metadata | stream.metadata
    for key in ("com.apple.quicktime.creationdate", "creation_time", "DATE_UTC"):
        try:
            moment = datetime.fromisoformat(tags[key])
        except (KeyError, ValueError):
            continue
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if _EARLIEST < seconds < datetime.now(UTC).timestamp() + 86400:
            return seconds
    return None
