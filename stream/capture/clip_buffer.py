"""A buffer of a source's last packets, from which clips are cut without re-encoding."""

from collections import deque
from collections.abc import Sequence
from itertools import dropwhile, islice
from typing import Any

import av
from av.audio.stream import AudioStream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from stream.capture.clip_writer import Clip, decode_time, packet_time, write_clip

HISTORY_BYTES = 64_000_000
"""Bytes kept at most, so that a burst of 4K video does not exhaust the memory."""
_SHORT_SECONDS = 0.1  # a clip may end this much early rather than later than asked for
_JUMP_SECONDS = 1.0  # a larger jump of the time stamps: packets before it cannot be found by their time


class ClipBuffer:
    """Keep the packets of the last seconds, from a key frame on, with their sound, in bounded memory.

    Attributes:
        complaint: why there are no clips and what to do, if key frames are too far apart for clips.
    """

    def __init__(
        self,
        keep_seconds: float,
        source: VideoStream | VideoCodecContext | None,
        limit_bytes: int = HISTORY_BYTES,
    ) -> None:
        """Create an empty buffer.

        Args:
            keep_seconds: seconds to keep; 0 keeps nothing.
            source: the stream of the packets, or their decoder for live packets that carry their parameter sets.
            limit_bytes: bytes to keep at most, of frames and sound together.
        """
        self.complaint: str | None = None
        self._limit_bytes = limit_bytes
        self._keep_seconds = keep_seconds if source is not None else 0.0
        self._source = source
        self._packets: deque[av.Packet[VideoStream]] = deque()
        self._sounds: deque[av.Packet[AudioStream]] = deque()
        self._bytes = 0
        self._offset: float | None = None  # seconds on the source's clock minus the time stamp

    @property
    def keeps(self) -> bool:
        """Whether packets are kept at all."""
        return bool(self._keep_seconds)

    @property
    def outlives_its_source(self) -> bool:
        """Whether clips can still be cut after the connection of the packets is closed."""
        return isinstance(self._source, VideoCodecContext)

    @property
    def kept_seconds(self) -> float:
        """Seconds that are kept."""
        return packet_time(self._packets[-1]) - packet_time(self._packets[0]) if self._packets else 0.0

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Keep `packet`, and drop whole groups of frames that are too old."""
        if not self._keep_seconds or not packet.size or (packet.pts is None and packet.dts is None):
            return
        if not self._packets and not packet.is_keyframe:
            return
        self._packets.append(packet)
        self._bytes += packet.size
        if packet.is_keyframe:
            self._forget(packet_time(packet) - self._keep_seconds)
        self._keep_within_limit()

    def add_sound(self, packet: "av.Packet[AudioStream]") -> None:
        """Keep the sound packet `packet` of the same container as long as the frames of its time."""
        if not self._keep_seconds or not packet.size or packet.pts is None:
            return
        self._sounds.append(packet)
        self._bytes += packet.size
        self._keep_within_limit()

    def forget_sound(self) -> None:
        """Drop all sound, because its time stamps or its source are no longer valid."""
        self._bytes -= sum(packet.size for packet in self._sounds)
        self._sounds.clear()

    def place(self, stamp: float | None, seconds: float) -> None:
        """Place the frame with time stamp `stamp` at `seconds` on the source's clock; drop packets before a jump."""
        if stamp is None:
            return
        offset = seconds - stamp
        if self._offset is not None and abs(offset - self._offset) > _JUMP_SECONDS:
            self._begin_at(stamp)
        self._offset = offset

    def cut(self, start_seconds: float, end_seconds: float, utc_offset: float | None = None) -> Clip | None:
        """Return the frames from the key frame before `start_seconds` to `end_seconds` (source's clock) as a file.

        Their sound is included if it was added and the container supports it.
        Return None if nothing of that time is kept any more.

        Args:
            start_seconds: the clip begins with the last key frame up to this time, or with the first one kept.
            end_seconds: the clip ends with the last frame before this time.
            utc_offset: UTC (seconds since 1970) minus the source's clock, for the file's creation time.

        Raises:
            VideoError: no container supports the packets.
        """
        if self._source is None or self._offset is None:
            return None
        chosen = self._choose(start_seconds - self._offset, end_seconds - self._offset)
        if not chosen:
            return None
        begin, end = packet_time(chosen[0]), end_seconds - self._offset
        sounds = [packet for packet in self._sounds if begin <= packet_time(packet) < end]
        created = None if utc_offset is None else begin + self._offset + utc_offset
        return write_clip(chosen, sounds, self._source, self._offset, created)

    def _begin_at(self, stamp: float) -> None:
        """Drop packets before the jump to `stamp`; those after it came while the first frame after it was decoded."""
        after = islice(self._packets, _before_jump(self._packets, stamp), None)
        self._packets = deque(dropwhile(lambda packet: not packet.is_keyframe, after))
        self._sounds = deque(islice(self._sounds, _before_jump(self._sounds, stamp), None))
        self._bytes = sum(packet.size for packet in self._packets) + sum(packet.size for packet in self._sounds)

    def _keep_within_limit(self) -> None:
        while self._bytes > self._limit_bytes:
            seconds = packet_time(self._packets[-1]) - packet_time(self._packets[0]) if self._packets else None
            self._forget_group()
            if seconds is not None and not self._packets:
                self.complaint = (
                    f"{self._limit_bytes / 1e6:.0f} MB came in {seconds:.0f} s without a key frame, more than is kept: "
                    "flashes will be without clips; set the camera to a key frame every 1 or 2 s"
                )

    def _forget(self, before: float) -> None:
        """Drop groups of frames that end before `before`."""
        keys = [packet_time(packet) for packet in self._packets if packet.is_keyframe]
        for following in keys[1:]:
            if following > before:
                return
            self._forget_group()

    def _forget_group(self) -> None:
        """Drop packets up to the next key frame, or all if there is none."""
        if self._packets:
            self._bytes -= self._packets.popleft().size
        while self._packets and not self._packets[0].is_keyframe:
            self._bytes -= self._packets.popleft().size
        begin = packet_time(self._packets[0]) if self._packets else float("inf")
        while self._sounds and packet_time(self._sounds[0]) < begin:
            self._bytes -= self._sounds.popleft().size

    def _choose(self, start: float, end: float) -> list["av.Packet[VideoStream]"]:
        packets = list(self._packets)
        first = 0
        for number, packet in enumerate(packets):
            if packet.is_keyframe and packet_time(packet) <= start:
                first = number
        inside = [number for number in range(first, len(packets)) if packet_time(packets[number]) < end]
        if not inside:
            return []
        # The last frames may refer to one that is shown after the end; without both the clip may end closer to it.
        whole = packets[first : inside[-1] + 1]
        beyond = next((number for number, packet in enumerate(whole) if packet_time(packet) >= end), None)
        if not beyond:
            return whole
        too_long = max(map(_end_of, whole)) - end
        too_short = end - max(map(_end_of, whole[:beyond]))
        return whole[:beyond] if too_short < too_long and too_short <= _SHORT_SECONDS else whole


def _end_of(packet: "av.Packet[Any]") -> float:
    return packet_time(packet) + (float(packet.duration * packet.time_base) if packet.duration else 0.0)


def _before_jump(packets: Sequence["av.Packet[Any]"], stamp: float) -> int:
    """Return how many packets come before the last jump to about `stamp`; all if there is no such jump."""
    for number in range(len(packets) - 1, 0, -1):
        before, after = packets[number - 1], packets[number]
        if abs(decode_time(after) - decode_time(before)) > _JUMP_SECONDS >= abs(packet_time(after) - stamp):
            return number
    return len(packets)
