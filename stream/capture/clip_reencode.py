"""Re-encode a clip whose codec no browser plays."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.video.frame import PictureType

from stream.capture.clip_writer import Clip
from stream.errors import VideoError

_QUALITY = {"preset": "veryfast", "crf": "20"}
_TICK = Fraction(1, 90_000)
_KEY_SECONDS = 0.5  # between key frames, so that seeking is quick
_SOUND_RATE = 48_000
_FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG: 0..255
_INDEX_BYTES = 262_144  # reserved ahead of the frames: two minutes at 60 frames a second take some 200 KB


def reencode_clip(clip: Clip) -> Clip:
    """Return `clip` as H.264 in MP4, its sound as AAC; use two threads only, so that cameras can still be decoded.

    Raises:
        VideoError: none of its frames can be decoded.
    """
    file = io.BytesIO()
    try:
        with (
            av.open(io.BytesIO(clip.data), "r") as source,
            av.open(file, "w", format="mp4", options={"moov_size": str(_INDEX_BYTES)}) as output,
        ):
            if clip.created_utc is not None:
                output.metadata["creation_time"] = datetime.fromtimestamp(clip.created_utc, UTC).isoformat()
            if not _encode(source, output):
                raise VideoError(f"a clip of {clip.codec} could not be re-encoded: no frame of it decodes")
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"a clip of {clip.codec} could not be re-encoded: {error}") from error
    return replace(clip, data=file.getvalue(), container="mp4", codec="h264")


def _encode(source: Any, output: Any) -> int:
    """Encode the source into the output, and return how many frames were encoded."""
    video, sound = source.streams.video[0], (source.streams.audio or (None,))[0]
    frames = _decoded(source, (video,) if sound is None else (video, sound))
    encoder: Any = None
    speaker = None if sound is None else output.add_stream("aac", rate=_SOUND_RATE)
    resampler = AudioResampler("fltp", "stereo", _SOUND_RATE)
    count, last = 0, -1
    waiting: list[Any] = []  # sound before the first frame: all streams must exist before the first packet
    for frame in frames:
        if isinstance(frame, av.AudioFrame):
            waiting += resampler.resample(frame)
        else:
            if encoder is None:
                encoder = _video_encoder(output, video, frame)
            stamp = max(last + 1, round((frame.time or 0.0) / _TICK))
            last = stamp
            even = _limited(frame, encoder.width, encoder.height)
            even.pts, even.time_base, even.pict_type = stamp, _TICK, PictureType.NONE
            output.mux(encoder.encode(even))
            count += 1
        if encoder is not None and speaker is not None:
            for heard in waiting:
                output.mux(speaker.encode(heard))
            waiting.clear()
    if encoder is not None:
        output.mux(encoder.encode(None))
        if speaker is not None:
            output.mux(speaker.encode(None))
    return count


def _video_encoder(output: Any, video: Any, frame: Any) -> Any:
    rate = video.average_rate or Fraction(25)
    encoder = output.add_stream("libx264", rate=rate, options=_QUALITY)
    encoder.width, encoder.height = max(2, frame.width & ~1), max(2, frame.height & ~1)
    encoder.pix_fmt = "yuv420p"
    encoder.codec_context.time_base = _TICK
    encoder.codec_context.gop_size = max(1, round(_KEY_SECONDS * rate))
    encoder.codec_context.max_b_frames = 0
    encoder.codec_context.thread_count = 2
    return encoder


def _limited(frame: Any, width: int, height: int) -> Any:
    """Return `frame` in this size and in limited range, 16..235, which players assume for all H.264."""
    full = _FULL_RANGE if frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj") else 1
    return frame.reformat(width=width, height=height, format="yuv420p", src_color_range=full, dst_color_range=1)


def _decoded(source: Any, streams: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the frames that can be decoded, and skip the rest."""
    for packet in source.demux(*streams):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue
