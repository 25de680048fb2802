"""Mark the damaged frames of a recording: from the packet that its decoder complains about to the next key frame."""

from collections import deque
from dataclasses import dataclass, field
from weakref import finalize

import av
import av.logging
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.capture.ffmpeg_log import complaints, is_damage
from stream.capture.files.jpeg_tables import JpegTables

_KEPT_PACKETS = 600  # packets kept to locate a complaint, or until their frames come out
_KEPT_ALONE = 80  # the same for codecs without prediction: more than any decoder has threads
_KEPT_BYTES = 64 << 20
_CHECKS = 3  # searches in one group, before a complaint that cannot be reproduced is accepted
_CARRIED_FRAMES = 300  # marked without a key frame; streams without key frames repair themselves block by block
_THREADS_SLACK = 2  # packets beyond the number of threads after which a decoder may still complain


@dataclass(slots=True)
class _Group:
    """A key packet and those after it.

    Attributes:
        start: number of its first packet.
        packets: its packets; empty where they were too many to keep.
        damaged_from: number of the first damaged packet, if any is known.
        checks: how often the group was searched for a complaint.
        whole: whether all its packets are kept.
    """

    start: int
    packets: "list[av.Packet[VideoStream]]" = field(default_factory=list)
    damaged_from: int | None = None
    checks: int = 0
    whole: bool = True

    def mark(self, number: int) -> None:
        """Note that packet `number` is damaged."""
        self.damaged_from = number if self.damaged_from is None else min(number, self.damaged_from)


class DamageMarks:
    """Tell which frames of one decoder may be damaged.

    Decoders conceal damage and report it only in their log; with several threads the report comes some packets late
    and in no order. After a complaint the packets since the key frame are decoded again by a single thread, which
    identifies the packet: the marks are the same for every number of threads. In codecs that predict from frame to
    frame a damaged packet marks all frames up to the next key frame, in others only its own.

    Attributes:
        hits: frames that are damaged themselves, not only marked because of earlier ones.
    """

    def __init__(self, codec: VideoCodecContext) -> None:
        """Watch the decoder `codec`, which has decoded nothing yet."""
        self._codec = codec
        self._alone = codec.codec.intra_only
        self._kept_limit = _KEPT_ALONE if self._alone else _KEPT_PACKETS
        self._tables = JpegTables() if codec.name == "mjpeg" else None
        self._groups: deque[_Group] = deque()
        self._numbers: dict[int, int] = {}  # numbers of packets whose frames have not come out, by time stamp
        self._last = -1
        self._kept = self._kept_bytes = 0
        self._carried = 0  # following frames to mark because of earlier damage
        self.hits = 0
        complaints.open()
        # Also if nobody closes the video: the log would be kept forever.
        self._stop_listening = finalize(self, complaints.close)
        self._heard = complaints.update()

    def close(self) -> None:
        """Stop listening; a second call does nothing."""
        self._stop_listening()

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Note that `packet` is decoded next."""
        if not packet.size:
            return
        self._last += 1
        if self._alone or packet.is_keyframe or not self._groups:
            self._groups.append(_Group(self._last))
        group = self._groups[-1]
        if group.whole:
            group.packets.append(packet)
            self._kept += 1
            self._kept_bytes += packet.size
        if packet.pts is not None:
            self._numbers[packet.pts] = self._last
            if len(self._numbers) > _KEPT_PACKETS:
                del self._numbers[next(iter(self._numbers))]
        if packet.is_corrupt or (self._tables is not None and self._tables.are_damaged(memoryview(packet))):
            group.mark(self._last)
        self._forget()

    def listen(self, *, failed: bool = False) -> None:
        """Find the damaged packet if the decoder complained, or `failed`, since the previous packet."""
        heard = complaints.update()
        if heard == self._heard and not failed:
            return
        self._heard = heard
        earliest = self._last - self._codec.thread_count - _THREADS_SLACK
        suspects = [group for group in self._groups if self._end(group) > earliest and group.damaged_from is None]
        for group in suspects:
            group.checks += 1
            found = self._seek(group) if group.whole else None
            if found is not None:
                group.mark(group.start + found)
            elif group is self._groups[-1] and (failed or not group.whole or group.checks >= _CHECKS):
                group.mark(max(group.start, earliest))

    def marks(self, frame: VideoFrame) -> bool:
        """Return whether `frame`, the next to come out, may be damaged."""
        number = self._last if frame.pts is None else self._numbers.pop(frame.pts, self._last)
        group = next((group for group in reversed(self._groups) if group.start <= number), None)
        hit = frame.is_corrupt
        if group is not None and group.damaged_from is not None:
            hit |= number >= group.damaged_from
        self.hits += hit
        if hit:
            self._carry()
        elif frame.key_frame:
            self._carried = 0
        elif self._carried:
            self._carried -= 1
            hit = True
        return hit

    def add_hit(self) -> None:
        """Note that the last frame is damaged, as only its content shows."""
        self.hits += 1
        self._carry()

    def _carry(self) -> None:
        """Mark the next frames, too, if they are predicted from earlier ones."""
        self._carried = 0 if self._alone else _CARRIED_FRAMES

    def _end(self, group: _Group) -> int:
        """Return the number of the last packet of `group`."""
        return group.start + len(group.packets) - 1 if group is not self._groups[-1] else self._last

    def _forget(self) -> None:
        while self._kept > self._kept_limit or self._kept_bytes > _KEPT_BYTES:
            oldest = self._groups[0]
            self._kept -= len(oldest.packets)
            self._kept_bytes -= sum(packet.size for packet in oldest.packets)
            if len(self._groups) > 1:
                self._groups.popleft()
            else:
                oldest.packets, oldest.whole = [], False

    def _seek(self, group: _Group) -> int | None:
        """Return the index in `group` of the first packet that a decoder complains about, if there is one."""
        checker = _same_decoder(self._codec)
        with av.logging.Capture(local=True) as lines:
            for place, packet in enumerate(group.packets):
                try:
                    checker.decode(packet)
                except av.FFmpegError:
                    return place
                if any(is_damage(name, level, line) for level, name, line in lines):
                    return place
                lines.clear()
        return None


def _same_decoder(codec: VideoCodecContext) -> VideoCodecContext:
    """Return a decoder like `codec` with one thread, so that a complaint belongs to the packet before it."""
    same: VideoCodecContext = VideoCodecContext.create(codec.name, "r")  # type: ignore[assignment]
    same.thread_type = "NONE"
    same.thread_count = 1
    same.extradata = codec.extradata
    same.width, same.height = codec.width, codec.height
    same.codec_tag = codec.codec_tag
    return same
