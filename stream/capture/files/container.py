"""Open a recording, read its packets, and read what its container states."""

import logging
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.logging
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from stream.capture.addresses import is_playlist, is_url, redact
from stream.capture.allowed import FORMATS, open_options
from stream.capture.decoding import hardware_of, in_hardware, recipe_of, stop_decoder_threads
from stream.capture.ffmpeg_log import raise_log_level
from stream.capture.files.growing_file import GrowingFile
from stream.capture.open_errors import explain_open_error
from stream.capture.options import CaptureOptions, tls_options
from stream.capture.status import Clock
from stream.capture.stored import StoredFile, is_stored
from stream.errors import OpenError

if TYPE_CHECKING:
    from stream.capture.hls import HlsReader

    Readable = str | GrowingFile | StoredFile | HlsReader

log = logging.getLogger(__name__)

DEFAULT_RATE = 25.0  # frames per second, if the recording states none
_REFUSED_SIZE = re.compile(r"size (\d+)x(\d+) exceeds specified max pixel count")
LEAST_SIDE = 16  # pixels; smaller frames show no shapes to the verifiers
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()  # containers without a date say 1904 or 1970
_CLOCK_TIME = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """An opened recording and what its container states.

    Attributes:
        container: the opened container.
        stream: the video stream that is decoded.
        sound: its first sound stream, if any.
        frame_rate: frames per second as stated or guessed by the container.
        duration_seconds: from the first frame to the end of the last, if stated.
        measured: streams to which `duration_seconds` applies together.
        duration_slack_seconds: how much of that duration may be missing before the recording counts as cut short.
        opened: closes everything that was opened.
        start: (UTC of its first frame, bound on the error in seconds), if a playlist states that.
    """

    container: InputContainer
    stream: VideoStream
    sound: AudioStream | None
    frame_rate: float | None
    duration_seconds: float | None
    measured: tuple[Stream, ...]
    duration_slack_seconds: float
    opened: ExitStack
    start: tuple[float, float] | None = None

    def close(self) -> None:
        """Close the decoder and the file."""
        stop_decoder_threads(self.stream)
        self.opened.close()


def open_recording(source: str | GrowingFile, options: CaptureOptions, number: int | None = None) -> Recording:
    """Open the recording `source` and choose its video stream `number`, counted from 1, or the first.

    Returns:
        the open recording.

    Raises:
        OpenError: it is not there, or not video.
    """
    read = readable(source, options)
    hardware = hardware_of(options)
    with ExitStack() as opening:
        if not isinstance(read, str | GrowingFile):
            opening.callback(read.close)
        container = open_container(read, options, hardware)
        opening.callback(container.close)
        stream = video_stream(container, redact(source), number)
        codec = stream.codec_context
        refuse_odd_sizes(codec.width, codec.height, redact(source), options.max_pixels)
        opened = opening.pop_all()
    codec.options |= recipe_of(options)  # a size may also come later
    if not in_hardware(codec, options, redact(source)):
        codec.thread_type = "AUTO"
        codec.thread_count = options.file_threads
    own = stated_duration(container, stream)
    duration = whole_duration(container) if own is None else own
    measured = tuple(container.streams) if own is None else (stream,)
    share, least = (0.02, 1.0) if len(measured) == 1 else (0.1, 3.0)
    return Recording(
        container=container,
        stream=stream,
        sound=container.streams.audio[0] if container.streams.audio else None,
        frame_rate=frame_rate(container, stream),
        duration_seconds=duration,
        measured=measured,
        duration_slack_seconds=max(least, share * (duration or 0)),
        opened=opened,
        start=None if isinstance(read, str | GrowingFile) else read.start,
    )


def refuse_odd_sizes(width: int, height: int, shown: str, max_pixels: int) -> None:
    """Raise OpenError if frames are too large for memory or too small to judge.

    Args:
        width: in pixels; 0 if unknown.
        height: in pixels; 0 if unknown.
        shown: names the source in the error.
        max_pixels: see `CaptureOptions`.

    Raises:
        OpenError: the frames are too large or too small.
    """
    if width * height > max_pixels:
        raise OpenError(
            f"{shown}: its frames are {width} x {height} pixels, more than capture.max_pixels = {max_pixels}; raise "
            "that if this computer has the memory, or scale the video down",
            permanent=True,
        )
    if 0 < min(width, height) < LEAST_SIDE:
        raise OpenError(
            f"{shown}: its frames are {width} x {height} pixels, too small to judge: at least {LEAST_SIDE} are "
            "needed on each side",
            permanent=True,
        )


def demux_known(container: InputContainer, *streams: Stream) -> "Iterator[av.Packet[Any]]":
    """Yield the packets of `streams`, and skip streams that appear only after opening.

    Yields:
        the packets, in file order.

    Raises:
        av.FFmpegError: reading failed.
        OSError: reading failed.
    """  # noqa: DOC201 - a generator's bare return
    try:
        yield from container.demux(*streams)
    except IndexError:
        # At the end, PyAV 18 flushes the known streams and then fails on those that appeared after opening.
        return


def refuse_what_is_not_a_file(address: str, *, may_be_empty: bool = False) -> None:
    """Raise OpenError unless `address` is a URL or a file with content; FFmpeg would wait forever on a pipe.

    Args:
        address: path or URL.
        may_be_empty: accept an empty file.

    Raises:
        OpenError: there is no such file, or it is a folder, a pipe or empty.
    """
    if is_url(address):
        return
    path = Path(address)
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise OpenError(f"{address}: no such file", permanent=True) from error
    except OSError as error:
        raise OpenError(f"{address}: cannot be read: {error.strerror}", permanent=True) from error
    if stat.S_ISDIR(status.st_mode):
        raise OpenError(
            f"{address}: is a folder; name a video file, or use replay, which takes folders", permanent=True
        )
    if not stat.S_ISREG(status.st_mode):
        raise OpenError(f"{address}: is not a regular file (a pipe or device); record to a file first", permanent=True)
    if status.st_size == 0 and not may_be_empty:
        raise OpenError(f"{address}: is empty (0 bytes); the recording or copy failed", permanent=True)


def readable(source: str | GrowingFile, options: CaptureOptions) -> "Readable":
    """Return the object to open for `source`: a reader of its own for a playlist, or for what is in a store.

    Raises:
        OpenError: the playlist cannot be read, or the file in the store.
    """
    if isinstance(source, str) and is_stored(source):
        return StoredFile(source)
    if not (isinstance(source, str) and is_playlist(source)):
        return source
    from stream.capture.hls import HlsReader  # noqa: PLC0415 - an HTTP client, which files do not need

    return HlsReader(source, options)


def open_container(source: "Readable", options: CaptureOptions, hardware: HWAccel | None = None) -> InputContainer:
    """Open the container at or in `source`; its decoders use `hardware` where they can.

    Returns:
        the open container.

    Raises:
        OpenError: it is not there, or not video.
    """  # noqa: DOC501 - it makes the OpenError
    address = str(source)
    limits = (options.open_seconds, options.open_seconds) if is_url(address) else None
    if isinstance(source, str) and not is_url(source):
        source = f"file:{source}"  # a path may begin like a protocol
        # FFmpeg decodes some frames to detect their format.
    limited = {"max_pixels": str(options.max_pixels)}
    if isinstance(source, str | GrowingFile):
        asked = open_options(address) | tls_options(address, options) | limited
    else:
        asked, limits = {"format_whitelist": FORMATS} | limited, None  # the reader has time limits of its own
    try:
        raise_log_level(av.logging.ERROR)
        with av.logging.Capture(local=True) as lines:
            container = av.open(
                source, mode="r", metadata_errors="replace", timeout=limits, options=asked, hwaccel=hardware
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        from stream.capture.web import may_be_redirect, redirected  # noqa: PLC0415 - the same

        elsewhere = (
            redirected(address, options) if isinstance(source, str) and may_be_redirect(address, error) else None
        )
        if elsewhere is not None:
            return open_container(elsewhere, options, hardware)
        raise explain_open_error(address, error) from None  # its text and its cause hold the password
    for _, _, line in lines:
        refused = _REFUSED_SIZE.search(line)
        if refused is not None:
            container.close()
            refuse_odd_sizes(int(refused[1]), int(refused[2]), redact(address), options.max_pixels)
    return container


def is_still(container: InputContainer) -> bool:
    """Return whether `container` is a single image, by FFmpeg's name for its format."""
    return container.format.name.startswith("image2") or container.format.name.endswith("_pipe")


def video_streams(container: InputContainer, shown: str) -> list[VideoStream]:
    """Return the video streams of `container` without cover images; `shown` names the source in errors.

    Raises:
        OpenError: there is none.
    """
    if is_still(container):
        raise OpenError(f"{shown}: is a still image, not a video", permanent=True)
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        kind = "sound but no video" if container.streams.audio else "no video"
        raise OpenError(f"{shown}: holds {kind}; name a video file", permanent=True)
    return streams


def video_stream(container: InputContainer, shown: str, number: int | None = None) -> VideoStream:
    """Return the video stream `number`, counted from 1, or the first; `shown` names the source in errors.

    Raises:
        OpenError: there is no such stream, or no decoder for it.
    """
    streams = video_streams(container, shown)
    if number is not None and number > len(streams):
        held = "1 video stream" if len(streams) == 1 else f"{len(streams)} video streams"
        raise OpenError(f"{shown}: holds {held}, none with number {number}; count from 1", permanent=True)
    stream = streams[0 if number is None else number - 1]
    if stream.codec_context is None:
        raise OpenError(f"{shown}: no decoder for its video; convert it with: ffmpeg -i IN OUT.mp4", permanent=True)
    return stream


def has_time_stamps(container: InputContainer) -> bool:
    """Return whether `container` states the time of each frame; raw streams of H.264, H.265 or JPEGs do not."""
    return av.format.Flags.no_timestamps not in av.format.Flags(container.format.flags)


def frame_rate(container: InputContainer, stream: VideoStream) -> float | None:
    """Return frames per second as stated or guessed by the container; a raw stream may state it in its codec."""
    own = None if has_time_stamps(container) else stream.codec_context.framerate
    rate = own or stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def stated_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Return seconds from the first frame to the end of the last as the container states them."""
    stated = _CLOCK_TIME.fullmatch(stream.metadata.get("DURATION", ""))
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # the stated duration shrinks with a cut file
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if stated:
        return _from_its_start(container, int(stated[1]) * 3600 + int(stated[2]) * 60 + float(stated[3]))
    return None


def whole_duration(container: InputContainer) -> float | None:
    """Return the seconds to the end of the last stream, which may be sound, as the container states them."""
    return None if container.duration is None else _from_its_start(container, container.duration / av.time_base)


def _from_its_start(container: InputContainer, seconds: float) -> float:
    """Subtract the start: Matroska's durations count from 0, and a segment may begin hours later."""
    start = (container.start_time or 0) / av.time_base
    return seconds - start if "matroska" in container.format.name and 0 < start < seconds else seconds


def creation_time(container: InputContainer, stream: VideoStream, length_seconds: float | None) -> float | None:
    """Return the UTC of the recording's start as it states it, in seconds since 1970, or None if not trustworthy.

    Some devices write other times: local time without a zone (AVI) or as if it were UTC (GoPro), which is ignored, and
    the time of the end (Android), from which `length_seconds` are subtracted.
    """
    tags = container.metadata | stream.metadata
    if "GoPro" in tags.get("handler_name", ""):  # older cameras write the length of the name before it
        return None
    for key in ("com.apple.quicktime.creationdate", "creation_time", "DATE_UTC"):
        try:
            moment = datetime.fromisoformat(tags[key])
        except (KeyError, ValueError):
            continue
        if key == "DATE_UTC" and moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if moment.tzinfo is None or not _EARLIEST < moment.timestamp() < datetime.now(UTC).timestamp() + 86400:
            continue
        if "com.android.version" not in tags:
            return moment.timestamp()
        return None if length_seconds is None else moment.timestamp() - length_seconds
    return None


class FileUtc:
    """Map seconds of a recording to UTC, from the user's start time, a playlist's or the container's creation time.

    Attributes:
        clock: file, or none if neither is known.
        error_ms: bound on the error in milliseconds, or None if unknown.
    """

    def __init__(self, address: str, recording: Recording, start_utc: float | None) -> None:
        """Read the start time of `recording`; `address` names it in the log."""
        rate = recording.frame_rate or DEFAULT_RATE
        self._address = address
        self.error_ms = None if start_utc is None else 1000.0 / rate
        if start_utc is None and recording.start is not None:
            start_utc, error_seconds = recording.start
            self.error_ms = 1000.0 * (1.0 / rate + error_seconds)
        self._first_utc = self._start_utc = start_utc
        if start_utc is None:
            self._start_utc = creation_time(recording.container, recording.stream, recording.duration_seconds)
        self.clock: Clock = "none" if self._start_utc is None else "file"
        if not has_time_stamps(recording.container):
            self.error_ms = None
            log.warning(
                "%s: holds no time stamps: %g frames a second are assumed; if it was recorded at another rate, its "
                "times are off: convert it first with: ffmpeg -framerate RATE -i IN OUT.mp4",
                address,
                rate,
            )

    def at(self, seconds: float, *, stepped_back: bool) -> float | None:
        """Return UTC at `seconds`, in seconds since 1970.

        Args:
            seconds: on the source's clock.
            stepped_back: whether the time stamps jumped back somewhere.
        """
        if stepped_back and self.error_ms is not None:
            self.error_ms = None
            log.warning(
                "%s: its time stamps begin anew at %.2f s, as where recordings were joined: UTC goes on as if nothing "
                "were missing there; replay each part with a --start of its own",
                self._address,
                seconds,
            )
        if self._first_utc is not None:
            # The user's time is that of the first frame; sound, or frames without their key frame, may come earlier.
            self._start_utc, self._first_utc = self._first_utc - seconds, None
        return None if self._start_utc is None else self._start_utc + seconds
