"""The last seconds of a source's packets, as they came: a clip of a moment is cut from them without re-encoding."""

import io
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import av
from av.video.stream import VideoStream

from stream.errors import BadVideo

_ROOM_BYTES = 64 * 1024 * 1024  # a burst of 4K must not take the memory of the detector


@dataclass(frozen=True, slots=True)
class Clip:
    """A cut clip: a whole file's bytes, its container ("mp4" or "mkv"), and when its first picture was taken.

    start_seconds: on the source's own clock; a key frame, so at or before what was asked for.
    """

    data: bytes
    container: str
    start_seconds: float


class History:
    """Keeps the packets of the last `keep_seconds` (0: none), from a key frame on, in at most 64 MB.

    template: the stream that they come from, for files; for live ones None, with `codec` and `extradata` instead.
    """

    def __init__(
        self, keep_seconds: float, template: VideoStream | None, codec: str = "", extradata: bytes | None = None
    ) -> None:
        self._keep_seconds = keep_seconds
        self._template = template
        self._codec = codec
        self._extradata = extradata or b""
        self._packets: deque[av.Packet[VideoStream]] = deque()
        self._bytes = 0
        self._offset = 0.0

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Keep `packet`, and forget what is too old for it, a whole group of pictures at a time."""
        if not self._keep_seconds or not packet.size or (packet.pts is None and packet.dts is None):
            return
        if not self._packets and not packet.is_keyframe:
            return
        self._packets.append(packet)
        self._bytes += packet.size
        if packet.is_keyframe:
            self._forget(_time(packet) - self._keep_seconds)

    def place(self, stamp: float | None, seconds: float) -> None:
        """A picture with time stamp `stamp` stands at `seconds` on the source's clock; a jump empties the history."""
        if stamp is None:
            return
        if abs(seconds - stamp - self._offset) > self._keep_seconds and self._offset:
            self.clear()
        self._offset = seconds - stamp

    def clear(self) -> None:
        """Forget everything."""
        self._packets.clear()
        self._bytes = 0

    def cut(self, start_seconds: float, end_seconds: float) -> Clip | None:
        """The pictures from the key frame before `start_seconds` to `end_seconds` (source's clock) as a file.

        None where nothing of that time is kept any more.

        Raises:
            BadVideo: no container takes them.
        """
        chosen = self._choose(start_seconds - self._offset, end_seconds - self._offset)
        if not chosen:
            return None
        error: Exception | None = None
        for container, form in (("mp4", "mp4"), ("mkv", "matroska")):
            try:
                data = self._write(chosen, form)
            except (av.FFmpegError, ValueError) as refused:
                error = refused
                continue
            return Clip(data, container, _time(chosen[0]) + self._offset)
        raise BadVideo(f"a clip of {len(chosen)} pictures could not be written as MP4 or Matroska: {error}")

    def _forget(self, before: float) -> None:
        keys = [number for number, packet in enumerate(self._packets) if packet.is_keyframe]
        for start, following in pairwise(keys):
            if _time(self._packets[following - start]) > before and self._bytes <= _ROOM_BYTES:
                return
            for _ in range(following - start):
                self._bytes -= self._packets.popleft().size

    def _choose(self, start: float, end: float) -> list["av.Packet[VideoStream]"]:
        packets = list(self._packets)
        first = 0
        for number, packet in enumerate(packets):
            if packet.is_keyframe and _time(packet) <= start:
                first = number
        inside = [number for number in range(first, len(packets)) if _time(packets[number]) < end]
        return packets[first : inside[-1] + 1] if inside else []

    def _write(self, packets: Iterable["av.Packet[VideoStream]"], form: str) -> bytes:
        if self._template is not None:
            return _mux(packets, self._template, form)
        # Live packets carry their parameter sets inside. FFmpeg finds them in a transport stream, and can then say
        # them at the beginning of a file, where MP4 wants them.
        with av.open(io.BytesIO(self._as_transport_stream(packets)), "r") as stream:
            return _mux(stream.demux(video=0), stream.streams.video[0], form)

    def _as_transport_stream(self, packets: Iterable["av.Packet[VideoStream]"]) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="mpegts") as output:
            stream = output.add_mux_stream(self._codec)
            for packet in packets:
                ahead = self._extradata if packet.is_keyframe else b""
                output.mux(_copy(packet, stream, ahead))
        return file.getvalue()


def _mux(packets: Iterable["av.Packet[VideoStream]"], template: VideoStream, form: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form) as output:
        stream = output.add_stream_from_template(template)
        begin: int | None = None
        for packet in packets:
            if not packet.size:
                continue
            copy = _copy(packet, stream)
            if begin is None:
                begin = packet.pts if packet.pts is not None else packet.dts
            # A clip begins at 0: players show nothing for as long as the first stamp says.
            copy.pts = None if packet.pts is None or begin is None else packet.pts - begin
            copy.dts = None if packet.dts is None or begin is None else packet.dts - begin
            output.mux(copy)
    return file.getvalue()


def _copy(packet: "av.Packet[VideoStream]", stream: Any, ahead: bytes = b"") -> "av.Packet[Any]":
    """A packet of its own for `stream`: writing changes it, and the kept one may be wanted again."""
    copy = av.Packet(ahead + bytes(packet))
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    copy.duration = packet.duration
    copy.is_keyframe = packet.is_keyframe
    copy.stream = stream
    return copy


def _time(packet: "av.Packet[VideoStream]") -> float:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return float((stamp or 0) * packet.time_base)
