"""The last seconds of a source's packets, from which clips are cut without re-encoding."""

import heapq
import io
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import dropwhile, islice, product
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from stream.errors import VideoError

_LIMIT_BYTES = 64 * 1024 * 1024  # a burst of 4K must not take the memory of the detector
_JUMP_SECONDS = 1.0  # of the time stamps: packets before it can no longer be found by their time
_FORMS = (("mp4", "mp4"), ("mkv", "matroska"))
_TRANSPORT_STREAM_CODECS = ("h264", "hevc", "vvc", "mpeg4", "mpeg2video", "mpeg1video")  # FFmpeg finds no others there


@dataclass(frozen=True, slots=True)
class Clip:
    """A cut clip.

    Attributes:
        data: the bytes of a whole file.
        container: "mp4" or "mkv".
        start_seconds: of its first frame on the source's own clock; a key frame, at or before the time asked for, or
            later where less is kept.
    """

    data: bytes
    container: str
    start_seconds: float


class ClipBuffer:
    """Keeps the packets of the last seconds, from a key frame on, with their sound, in at most 64 MB.

    Attributes:
        complaint: why there are no clips and what to do, once key frames were too far apart for them.
    """

    def __init__(self, keep_seconds: float, source: VideoStream | VideoCodecContext | None) -> None:
        """Begin with nothing kept.

        Args:
            keep_seconds: how much is kept; 0 = nothing.
            source: the stream of the packets, or their decoder for live packets that carry their parameter sets.
        """
        self.complaint: str | None = None
        self._keep_seconds = keep_seconds if source is not None else 0.0
        self._source = source
        self._packets: deque[av.Packet[VideoStream]] = deque()
        self._sounds: deque[av.Packet[AudioStream]] = deque()
        self._bytes = 0
        self._offset: float | None = None  # seconds on the source's clock less the time stamp

    @property
    def keeps(self) -> bool:
        """Return whether anything is kept at all."""
        return bool(self._keep_seconds)

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Keep `packet`, and drop whole groups of frames that are too old."""
        if not self._keep_seconds or not packet.size or (packet.pts is None and packet.dts is None):
            return
        if not self._packets and not packet.is_keyframe:
            return
        self._packets.append(packet)
        self._bytes += packet.size
        if packet.is_keyframe:
            self._forget(_time(packet) - self._keep_seconds)
        self._keep_within_limit()

    def add_sound(self, packet: "av.Packet[AudioStream]") -> None:
        """Keep `packet`, of the sound in the same container, for as long as the frames of its time."""
        if not self._keep_seconds or not packet.size or packet.pts is None:
            return
        self._sounds.append(packet)
        self._bytes += packet.size
        self._keep_within_limit()

    def place(self, stamp: float | None, seconds: float) -> None:
        """Place the frame with time stamp `stamp` at `seconds` on the source's clock; drop packets before a jump."""
        if stamp is None:
            return
        offset = seconds - stamp
        if self._offset is not None and abs(offset - self._offset) > _JUMP_SECONDS:
            self._begin_at(stamp)
        self._offset = offset

    def cut(self, start_seconds: float, end_seconds: float) -> Clip | None:
        """Return the frames from the key frame before `start_seconds` to `end_seconds` (source's clock) as a file.

        Their sound is included if it was added and the container takes it.
        None where nothing of that time is kept any more.

        Raises:
            VideoError: no container takes them.
        """
        if self._source is None or self._offset is None:
            return None
        chosen = self._choose(start_seconds - self._offset, end_seconds - self._offset)
        if not chosen:
            return None
        begin, end = _time(chosen[0]), end_seconds - self._offset
        sounds = [packet for packet in self._sounds if begin <= _time(packet) < end]
        error: Exception | None = None
        for (container, form), heard in product(_FORMS, (sounds, []) if sounds else ([],)):
            try:
                data = _write(chosen, heard, self._source, form)
            except (av.FFmpegError, ValueError) as refused:
                error = refused
                continue
            return Clip(data, container, begin + self._offset)
        raise VideoError(f"a clip of {len(chosen)} frames could not be written as MP4 or Matroska: {error}")

    def _begin_at(self, stamp: float) -> None:
        """Drop packets before the jump to `stamp`; those after it came while its first frame was decoded."""
        after = islice(self._packets, _before_jump(self._packets, stamp), None)
        self._packets = deque(dropwhile(lambda packet: not packet.is_keyframe, after))
        self._sounds = deque(islice(self._sounds, _before_jump(self._sounds, stamp), None))
        self._bytes = sum(packet.size for packet in self._packets) + sum(packet.size for packet in self._sounds)

    def _keep_within_limit(self) -> None:
        while self._bytes > _LIMIT_BYTES:
            seconds = _time(self._packets[-1]) - _time(self._packets[0]) if self._packets else None
            self._forget_group()
            if seconds is not None and not self._packets:
                self.complaint = (
                    f"{_LIMIT_BYTES // 2**20} MB came in {seconds:.0f} s without a key frame, more than is kept: "
                    "flashes will be without clips; set the camera to a key frame every 1 or 2 s"
                )

    def _forget(self, before: float) -> None:
        """Drop groups of frames that end before `before`."""
        keys = [_time(packet) for packet in self._packets if packet.is_keyframe]
        for following in keys[1:]:
            if following > before:
                return
            self._forget_group()

    def _forget_group(self) -> None:
        """Drop packets up to the next key frame, or all where there is none."""
        if self._packets:
            self._bytes -= self._packets.popleft().size
        while self._packets and not self._packets[0].is_keyframe:
            self._bytes -= self._packets.popleft().size
        begin = _time(self._packets[0]) if self._packets else float("inf")
        while self._sounds and _time(self._sounds[0]) < begin:
            self._bytes -= self._sounds.popleft().size

    def _choose(self, start: float, end: float) -> list["av.Packet[VideoStream]"]:
        packets = list(self._packets)
        first = 0
        for number, packet in enumerate(packets):
            if packet.is_keyframe and _time(packet) <= start:
                first = number
        inside = [number for number in range(first, len(packets)) if _time(packets[number]) < end]
        return packets[first : inside[-1] + 1] if inside else []


def _write(
    packets: list["av.Packet[VideoStream]"],
    sounds: Sequence["av.Packet[AudioStream]"],
    source: VideoStream | VideoCodecContext,
    form: str,
) -> bytes:
    if isinstance(source, VideoStream):
        return _mux(packets, form, lambda output: output.add_stream_from_template(source), sounds)
    if source.name not in _TRANSPORT_STREAM_CODECS:
        if form == "mp4":
            raise ValueError(f"MP4 needs more than live packets of {source.name} hold")
        return _mux(packets, form, lambda output: _live_stream(output, source))
    # Such packets carry their parameter sets inside. FFmpeg finds them in a transport stream, and can then write
    # them at the beginning of a file, where MP4 needs them.
    with av.open(io.BytesIO(_as_transport_stream(packets, source)), "r", format="mpegts") as stream:
        if not stream.streams.video:
            raise ValueError(f"its packets are not recognised as {source.name}")
        template = stream.streams.video[0]
        return _mux(stream.demux(template), form, lambda output: output.add_stream_from_template(template))


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
    packets: Iterable["av.Packet[VideoStream]"],
    form: str,
    add_stream: Callable[[OutputContainer], Stream],
    sounds: Sequence["av.Packet[AudioStream]"] = (),
) -> bytes:
    """Return the bytes of a file; `sounds` holds none from before the first frame."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as output:
        stream = add_stream(output)
        if form == "mp4" and stream.codec_context is not None and stream.codec_context.codec.canonical_name == "hevc":
            stream.codec_context.codec_tag = "hvc1"  # Apple's players refuse FFmpeg's own choice, hev1
        streams = {sounds[0].stream: output.add_stream_from_template(sounds[0].stream)} if sounds else {}
        both: tuple[Iterable[av.Packet[Any]], ...] = (packets, sounds)
        begin: Fraction | None = None
        for packet in heapq.merge(*both, key=_decode_time):
            if not packet.size:
                continue
            copy = _copy(packet, streams.get(packet.stream, stream))
            if begin is None:
                begin = (packet.pts if packet.pts is not None else packet.dts or 0) * packet.time_base
            # A clip begins at 0: players show nothing for as long as the first stamp says.
            ahead = round(begin / packet.time_base)
            copy.pts = None if packet.pts is None else packet.pts - ahead
            copy.dts = None if packet.dts is None else packet.dts - ahead
            output.mux(copy)
    return file.getvalue()


def _copy(packet: "av.Packet[Any]", stream: Any, ahead: bytes = b"") -> "av.Packet[Any]":
    """Return a copy for `stream`: writing changes a packet, and the kept one may be needed again."""
    copy = av.Packet(ahead + bytes(packet))
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    copy.duration = packet.duration
    copy.is_keyframe = packet.is_keyframe
    copy.stream = stream
    return copy


def _before_jump(packets: Sequence["av.Packet[Any]"], stamp: float) -> int:
    """Return how many packets come before the last jump to about `stamp`; all, without such a jump."""
    for number in range(len(packets) - 1, 0, -1):
        before, after = packets[number - 1], packets[number]
        if abs(_decode_time(after) - _decode_time(before)) > _JUMP_SECONDS >= abs(_time(after) - stamp):
            return number
    return len(packets)


def _time(packet: "av.Packet[Any]") -> float:
    """Return its presentation time in seconds of its time stamps."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    return float((stamp or 0) * packet.time_base)


def _decode_time(packet: "av.Packet[Any]") -> float:
    """Return its decoding time in seconds of its time stamps."""
    return _time(packet) if packet.dts is None else float(packet.dts * packet.time_base)
