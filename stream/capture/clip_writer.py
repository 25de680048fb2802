"""Clips: a source's packets written unchanged as the bytes of a file, with its index first."""

import heapq
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import product
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from stream.errors import VideoError

_FORMS = {"mp4": "mp4", "webm": "webm", "mkv": "matroska"}
_WEB_CODECS = ("vp8", "vp9", "av1")
_PLAYED_CODECS = ("h264", "hevc", *_WEB_CODECS)
"""Codecs that browsers play; a clip in another codec has to be re-encoded."""
_TRANSPORT_STREAM_CODECS = ("h264", "hevc", "vvc", "mpeg4", "mpeg2video", "mpeg1video")  # those that FFmpeg finds there
_INDEX_BYTES = 16_384  # reserved for an MP4's index ahead of its frames, apart from the entries of packets
_INDEX_BYTES_A_PACKET = 48  # size, chunk, duration, shift and key frame: 4 to 8 bytes each


@dataclass(frozen=True, slots=True)
class Clip:
    """A cut clip.

    Attributes:
        data: the bytes of a whole file.
        container: "mp4", "webm" or, for codecs that browsers do not play, "mkv".
        start_seconds: time of its first frame on the source's own clock; a key frame, at or before the time asked for,
            or later if less is kept.
        end_seconds: end of its last frame on the same clock.
        codec: FFmpeg's name of the codec of its frames.
        created_utc: UTC of its first frame, in seconds since 1970; None if unknown.
    """

    data: bytes
    container: str
    start_seconds: float
    end_seconds: float
    codec: str = ""
    created_utc: float | None = None


def write_clip(
    packets: "Sequence[av.Packet[VideoStream]]",
    sounds: "Sequence[av.Packet[AudioStream]]",
    source: VideoStream | VideoCodecContext,
    offset: float,
    created_utc: float | None,
) -> Clip:
    """Write packets unchanged to the first container that supports them; without their sound if that is refused.

    Args:
        packets: packets of the frames, beginning with a key frame.
        sounds: packets of the sound; none from before the first frame.
        source: the stream of the packets, or their decoder for live packets that carry their parameter sets.
        offset: the source's clock minus the time stamps, in seconds.
        created_utc: UTC of the first frame in seconds since 1970, if known.

    Returns:
        the clip.

    Raises:
        VideoError: no container supports them.
    """
    codec = _codec_name(source)
    last = max(packets, key=packet_time)
    end = packet_time(last) + (float(last.duration * last.time_base) if last.duration else 0.0)
    error: Exception | None = None
    for container, heard in product(_containers(codec), (sounds, []) if sounds else ([],)):
        try:
            data = _write(packets, heard, source, _FORMS[container], created_utc)
        except (av.FFmpegError, ValueError) as refused:
            error = refused
            continue
        return Clip(data, container, packet_time(packets[0]) + offset, end + offset, codec, created_utc)
    raise VideoError(f"a clip of {len(packets)} frames could not be written as MP4 or Matroska: {error}")


def _codec_name(source: VideoStream | VideoCodecContext) -> str:
    codec = source.codec_context if isinstance(source, VideoStream) else source
    return str(codec.codec.canonical_name)


def _containers(codec: str) -> tuple[str, ...]:
    """Return the containers to try, the best first."""
    if codec not in _PLAYED_CODECS:
        return ("mkv",)
    if codec == "vp8":
        return "webm", "mkv"
    return ("mp4", "webm", "mkv") if codec in _WEB_CODECS else ("mp4", "mkv")


def _write(
    packets: "Sequence[av.Packet[VideoStream]]",
    sounds: "Sequence[av.Packet[AudioStream]]",
    source: VideoStream | VideoCodecContext,
    form: str,
    created_utc: float | None,
) -> bytes:
    if isinstance(source, VideoStream):
        return _mux(packets, form, lambda output: output.add_stream_from_template(source), created_utc, sounds)
    if source.name not in _TRANSPORT_STREAM_CODECS:
        if form == "mp4":
            raise ValueError(f"MP4 needs more than live packets of {source.name} hold")
        return _mux(packets, form, lambda output: _live_stream(output, source), created_utc, sounds)
    # These packets carry their parameter sets. FFmpeg finds them in a transport stream, and can then write
    # them at the start of a file, where MP4 needs them.
    with av.open(io.BytesIO(_as_transport_stream(packets, source)), "r", format="mpegts") as stream:
        if not stream.streams.video:
            raise ValueError(f"its packets are not recognised as {source.name}")
        template = stream.streams.video[0]
        copied = [packet for packet in stream.demux(template) if packet.size]
        moved = packet_time(copied[0]) - packet_time(packets[0]) if copied else 0.0
        heard = [_moved(sound, moved) for sound in sounds]
        return _mux(copied, form, lambda output: output.add_stream_from_template(template), created_utc, heard)


def _live_stream(output: OutputContainer, codec: VideoCodecContext) -> Stream:
    return output.add_mux_stream(codec.name, width=codec.width, height=codec.height)


def _as_transport_stream(packets: Iterable["av.Packet[VideoStream]"], codec: VideoCodecContext) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as output:
        stream = _live_stream(output, codec)
        for packet in packets:
            ahead = codec.extradata if packet.is_keyframe else None
            output.mux(_copy(packet, stream, ahead or b""))
    return file.getvalue()


def _mux(
    packets: "Sequence[av.Packet[VideoStream]]",
    form: str,
    add_stream: Callable[[OutputContainer], Stream],
    created_utc: float | None,
    sounds: "Sequence[av.Packet[AudioStream]]" = (),
) -> bytes:
    """Return the bytes of a file; `sounds` holds none from before the first frame."""
    file = io.BytesIO()
    # The index goes first, so that a player shows the first frame before it has loaded the last.
    room = _INDEX_BYTES + _INDEX_BYTES_A_PACKET * (len(packets) + len(sounds))
    with av.open(file, "w", format=form, options={"moov_size": str(room)} if form == "mp4" else {}) as output:
        if created_utc is not None:
            output.metadata["creation_time"] = datetime.fromtimestamp(created_utc, UTC).isoformat()
        stream = add_stream(output)
        if form == "mp4" and stream.codec_context is not None and stream.codec_context.codec.canonical_name == "hevc":
            stream.codec_context.codec_tag = "hvc1"  # Apple's players refuse FFmpeg's own choice, hev1
        streams = {sounds[0].stream: output.add_stream_from_template(sounds[0].stream)} if sounds else {}
        both: tuple[Iterable[av.Packet[Any]], ...] = (packets, sounds)
        begin: Fraction | None = None
        for packet in heapq.merge(*both, key=decode_time):
            if not packet.size:
                continue
            copy = _copy(packet, streams.get(packet.stream, stream))
            if begin is None:
                begin = (packet.pts if packet.pts is not None else packet.dts or 0) * packet.time_base
            # A clip begins at 0: players show nothing until the first time stamp.
            ahead = round(begin / packet.time_base)
            copy.pts = None if packet.pts is None else packet.pts - ahead
            copy.dts = None if packet.dts is None else packet.dts - ahead
            output.mux(copy)
    return file.getvalue()


def _copy(packet: "av.Packet[Any]", stream: Any, ahead: bytes = b"") -> "av.Packet[Any]":
    """Return a copy for `stream`: writing changes a packet, and the original may be needed again."""
    copy = av.Packet(ahead + bytes(packet))
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    copy.duration = packet.duration
    copy.is_keyframe = packet.is_keyframe
    copy.stream = stream
    return copy


def _moved(packet: "av.Packet[AudioStream]", seconds: float) -> "av.Packet[AudioStream]":
    """Return a copy of `packet`, `seconds` later."""
    copy = _copy(packet, packet.stream)
    ticks = round(seconds / packet.time_base)
    copy.pts = None if packet.pts is None else packet.pts + ticks
    copy.dts = None if packet.dts is None else packet.dts + ticks
    return copy


def packet_time(packet: "av.Packet[Any]") -> float:
    """Return the packet's presentation time in seconds, by its time stamps."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    return float((stamp or 0) * packet.time_base)


def decode_time(packet: "av.Packet[Any]") -> float:
    """Return the packet's decoding time in seconds, by its time stamps."""
    return packet_time(packet) if packet.dts is None else float(packet.dts * packet.time_base)
