"""The sound of an RTSP camera, for its clips, read over a session of its own.

In one session with the frames it would shift their time stamps, and hide that they have stopped.
"""

import contextlib
import logging
import time
from collections import deque

import av

from stream.capture.addresses import redact
from stream.capture.clip_buffer import ClipBuffer
from stream.capture.live.connection import Connection, Disconnected, Item, Sound
from stream.capture.live.network import READ_SECONDS, rtsp_options
from stream.capture.open_errors import explain_open_error, reason_of
from stream.capture.options import CaptureOptions
from stream.errors import OpenError, StreamError

log = logging.getLogger(__name__)

_WAITING = 1000  # packets; about 20 s of sound
_RETRY_SECONDS = 30.0
_SETTLE_SECONDS = 1.0  # of sound; the first packets come in a burst
_RESET_SECONDS = 0.5  # a delay that changes by more is a jump of the time stamps

_Waiting = deque[tuple[Connection, Item | Sound]]


class _Delay:
    """The least delay from time stamp to arrival of one kind of packets: that of packets that did not wait."""

    def __init__(self) -> None:
        self.least: float | None = None
        self._since = 0.0

    def add(self, stamp: float, arrival: float) -> None:
        """Add one packet."""
        delay = arrival - stamp
        if self.least is None or delay > self.least + 10 * _RESET_SECONDS or delay < self.least - _RESET_SECONDS:
            self.least, self._since = delay, arrival
        self.least = min(self.least, delay)

    def settled(self, now: float) -> bool:
        """Return whether the delay has been measured for long enough."""
        return self.least is not None and now - self._since >= _SETTLE_SECONDS


class SoundConnection(Connection):
    """A reader of the sound of one RTSP camera."""

    def __init__(self, name: str, address: str, options: CaptureOptions, waiting: _Waiting) -> None:
        self._options = options
        self._waiting = waiting
        super().__init__(f"{name}-sound", address, lambda connection, item: waiting.append((connection, item)))

    def _read(self, opened: contextlib.ExitStack) -> None:
        options = rtsp_options(self._address, self._options, "audio")
        limits = (self._options.open_seconds, READ_SECONDS)
        try:
            container = av.open(self._address, options=options, timeout=limits, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise explain_open_error(self._address, error) from None
        opened.callback(container.close)
        if not container.streams.audio:
            raise OpenError(f"{redact(self._address)}: sends no sound", permanent=True)
        packets = container.demux(container.streams.audio[0])
        while not self._release_asked.is_set():
            try:
                packet = next(packets)
            except av.error.ExitError:
                packets = container.demux(container.streams.audio[0])
                continue
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                raise StreamError(f"{redact(self._address)}: reading its sound failed: {reason_of(error)}") from None
            if packet.size == 0:
                return
            self._waiting.append((self, Sound(packet, time.monotonic())))


class CameraSound:
    """Add the sound of a camera to its clips while frames come; a failure affects only the sound.

    Sound packets get stamps of the frames' clock by the arrival of both; that is exact to some hundredths of a second.
    All methods are called from the thread that takes the frames.
    """

    def __init__(self, name: str, address: str, options: CaptureOptions) -> None:
        self._name = name
        self._address = address
        self._options = options
        self._waiting: _Waiting = deque(maxlen=_WAITING)
        self._connection: SoundConnection | None = None
        self._due = 0.0
        self._frames, self._sounds = _Delay(), _Delay()
        self._shift: float | None = None

    def advance(self, clips: ClipBuffer, stamp: float, arrival: float) -> list[Connection]:
        """Add new sound to `clips` when a frame with time stamp `stamp` arrived, and return released connections."""
        self._frames.add(stamp, arrival)
        if self._connection is None and arrival >= self._due:
            self._connection = SoundConnection(self._name, self._address, self._options, self._waiting)
        released: list[Connection] = []
        while self._waiting:
            connection, item = self._waiting.popleft()
            if connection is not self._connection:
                continue
            if isinstance(item, Sound):
                self._take(clips, item)
            elif isinstance(item, Disconnected):
                released += self._lost(clips, item.error, arrival)
        return released

    def close(self, clips: ClipBuffer | None = None) -> list[Connection]:
        """End the session, and return released connections."""
        if clips is not None:
            clips.forget_sound()
        connection, self._connection = self._connection, None
        if connection is None:
            return []
        connection.release()
        return [connection]

    def _take(self, clips: ClipBuffer, item: Sound) -> None:
        packet = item.packet
        if packet.pts is None:
            return
        self._sounds.add(float(packet.pts * packet.time_base), item.arrival)
        frames, sounds = self._frames.least, self._sounds.least
        if frames is None or sounds is None or not self._sounds.settled(item.arrival):
            return
        if self._shift is None or abs(sounds - frames - self._shift) > _RESET_SECONDS:
            self._shift = sounds - frames
            clips.forget_sound()
        packet.pts += round(self._shift / packet.time_base)
        packet.dts = packet.pts
        clips.add_sound(packet)

    def _lost(self, clips: ClipBuffer, error: StreamError | None, now: float) -> list[Connection]:
        for_good = isinstance(error, OpenError) and error.permanent
        self._due = float("inf") if for_good else now + _RETRY_SECONDS
        log.debug("%s: clips are without sound: %s", self._name, error or "the camera closed its session")
        self._frames, self._sounds, self._shift = _Delay(), _Delay(), None
        return self.close(clips)
