"""Opening a recording, and what its container states of itself."""

import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.capture.addresses import is_url
from stream.capture.files.growing_file import GrowingFile
from stream.capture.live.tls import tls_options
from stream.capture.open_errors import explain_open_error
from stream.capture.options import CaptureOptions
from stream.errors import OpenError

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()  # containers without a date say 1904 or 1970
_CLOCK_TIME = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


def refuse_what_is_not_a_file(address: str, *, may_be_empty: bool = False) -> None:
    """Nothing for a URL or a file with something in it, or one that `may_be_empty`.

    Raises:
        OpenError: there is no such file, or it is a folder, a pipe or empty. FFmpeg would wait on a pipe for ever.
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


def open_container(source: str | GrowingFile, options: CaptureOptions) -> InputContainer:
    """The container at or in `source`, opened.

    Raises:
        OpenError: it is not there, or not video.
    """
    address = str(source)
    limits = (options.open_seconds, options.open_seconds) if is_url(address) else None
    if isinstance(source, str) and not is_url(source):
        source = f"file:{source}"  # a path may hold what looks like a protocol
    try:
        trust = tls_options(address, options)
        container = av.open(source, mode="r", metadata_errors="replace", timeout=limits, options=trust)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise explain_open_error(address, error) from None  # its text and its cause hold the password
    return container


def is_still(container: InputContainer) -> bool:
    """Whether it is a single picture, by FFmpeg's name for its format."""
    return container.format.name.startswith("image2") or container.format.name.endswith("_pipe")


def video_stream(container: InputContainer, shown: str) -> VideoStream:
    """Its first stream of moving pictures; `shown` names the source in errors.

    Raises:
        OpenError: it holds none, or nothing decodes them.
    """
    if is_still(container):
        raise OpenError(f"{shown}: is a still image, not a video", permanent=True)
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        kind = "sound but no pictures" if container.streams.audio else "no pictures"
        raise OpenError(f"{shown}: holds {kind}; a video is needed", permanent=True)
    if streams[0].codec_context is None:
        raise OpenError(f"{shown}: no decoder for its pictures; convert it with: ffmpeg -i IN OUT.mp4", permanent=True)
    return streams[0]


def has_time_stamps(container: InputContainer) -> bool:
    """Whether it says when each picture is shown; bare streams of H.264, H.265 or JPEGs do not."""
    return av.format.Flags.no_timestamps not in av.format.Flags(container.format.flags)


def frame_rate(container: InputContainer, stream: VideoStream) -> float | None:
    """Pictures per second as stated or guessed by the container, if at all; a bare stream may state it in its codec."""
    own = None if has_time_stamps(container) else stream.codec_context.framerate
    rate = own or stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def stated_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds from the first to the end of the last picture as the container states them, if it does."""
    stated = _CLOCK_TIME.fullmatch(stream.metadata.get("DURATION", ""))
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # its duration shrinks with the file
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if stated:
        return _from_its_start(container, int(stated[1]) * 3600 + int(stated[2]) * 60 + float(stated[3]))
    return None


def whole_duration(container: InputContainer) -> float | None:
    """Seconds to the end of its last stream, which may be sound, as the container states them, if it does."""
    return None if container.duration is None else _from_its_start(container, container.duration / av.time_base)


def _from_its_start(container: InputContainer, seconds: float) -> float:
    """Matroska's durations count from 0, where a segment of a longer recording may begin hours later."""
    start = (container.start_time or 0) / av.time_base
    return seconds - start if "matroska" in container.format.name and 0 < start < seconds else seconds


def creation_time(container: InputContainer, stream: VideoStream, length_seconds: float | None) -> float | None:
    """UTC at its beginning as the recording states it, seconds since 1970, if it does and may be believed.

    What devices are known to write instead: their local time without a zone (the date of an AVI file) or as if it
    were UTC (GoPro), which tells nothing; and the time of the end (Android), so that `length_seconds` are taken off.
    """
    tags = container.metadata | stream.metadata
    if "GoPro" in tags.get("handler_name", ""):  # older ones write its length before it
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
