"""A live camera: opened, watched, and reopened with growing waits; its state and counters."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from msgspec.structs import replace

from stream.capture.addresses import in_one_word, redact
from stream.capture.clip_buffer import ClipBuffer
from stream.capture.clip_writer import Clip
from stream.capture.frame import Frame
from stream.capture.live.connection import Connected, Connection, DecodedFrame, Disconnected, Item, Packet
from stream.capture.live.device import DeviceConnection, is_device
from stream.capture.live.network import NetworkConnection
from stream.capture.live.packet_queue import PacketQueue
from stream.capture.live.reconnect import ReconnectSchedule
from stream.capture.live.sound import CameraSound
from stream.capture.options import CaptureOptions
from stream.capture.status import CameraStatus, State
from stream.capture.timing.decoder import LiveDecoder
from stream.capture.timing.timeline import FrameAssembler
from stream.errors import OpenError, StreamError

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_STALLED_LIMITS = 5.0  # stall limits after which a silent old connection is given up
_JOIN_SECONDS = 2.8
_EARLIER_SECONDS = 1.0  # after the start of a new connection all clips of the previous one are cut
_SKIPPED_LOG_SECONDS = 60.0  # between two warnings about skipped frames


class Camera:
    """Frames of a live source, over all reconnects.

        with Camera("roof", "rtsp://...") as camera:
            for frame in camera: ...     # ends only after camera.stop()

    One thread per connection reads packets; they are decoded in the iterating thread. While a camera is silent its
    connection is kept and a second one is tried beside it: the first to deliver a frame is used from then on.

    Attributes:
        name: name of the camera.
    """

    def __init__(
        self,
        name: str,
        address: str,
        options: CaptureOptions | None = None,
        on_state: Callable[[CameraStatus], None] | None = None,
        *,
        history_seconds: float = 0.0,
        tap: Callable[[Item], None] | None = None,
    ) -> None:
        """Prepare to connect; the iteration connects.

        Args:
            name: of the camera.
            address: URL, device number or /dev/videoN.
            options: how it is opened and watched; the defaults if omitted.
            on_state: called from the iterating thread at every change of state, and at most once a minute while frames
                are skipped.
            history_seconds: seconds of packets kept for `cut`; 0 keeps nothing.
            tap: called from the iterating thread with each item of its connections, before it is decoded.
        """
        options = options or CaptureOptions()
        self._tap = tap
        self.name = name
        self._address = in_one_word(address)
        self._options = options
        self._on_state = on_state
        self._history_seconds = history_seconds
        self._stopped = threading.Event()
        self._iterating: int | None = None
        self._idle = threading.Event()
        self._queue = PacketQueue(options.backlog_seconds)
        self._status = CameraStatus(camera=name, since=time.time())
        self._assembler = FrameAssembler(name, options)
        self._current: _Attempt | None = None  # delivers frames, or did until it stalled
        self._fresh: _Attempt | None = None  # being opened
        self._released: list[Connection] = []
        self._reconnects = ReconnectSchedule(options)
        self._skipped_logged = 0
        self._next_skipped_log = 0.0
        self._clips_complained = False
        self._streams = 1
        self._clock_told: set[str] = set()
        self._own_login = threading.Event()
        wanted = options.sound and history_seconds > 0 and self._address.lower().startswith(("rtsp://", "rtsps://"))
        self._sound = CameraSound(name, self._address, options) if wanted else None
        self._earlier: ClipBuffer | None = None  # of the previous connection, if it was lost during a flash

    @property
    def status(self) -> CameraStatus:
        """The camera's state and counters; may be read from any thread."""
        return self._status

    @property
    def streams(self) -> int:
        """Return how many video streams it sends, one of which is watched; 1 until it answered."""
        return self._streams

    def cut(self, start_seconds: float, end_seconds: float, utc_offset: float | None = None) -> Clip | None:
        """Return the packets of that time (the camera's clock) as a file, from the key frame before it on.

        At most the last `history_seconds` are kept, and of the previous connection only clips that end before this one.
        Return None if the packets are not kept any more.

        Raises:
            VideoError: no container supports the packets.
        """
        decoder = self._current.decoder if self._current is not None else None
        clip = None if decoder is None else decoder.clips.cut(start_seconds, end_seconds, utc_offset)
        if clip is None and self._earlier is not None:
            return self._earlier.cut(start_seconds, end_seconds, utc_offset)
        return clip

    def stop(self) -> None:
        """End the iteration and return at once; any thread may call it."""
        self._stopped.set()
        self._queue.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and wait for the reading threads.

        A thread that FFmpeg blocks in an unanswered open is not waited for; it ends by itself within the open limit.
        """
        self.stop()
        until = time.monotonic() + _JOIN_SECONDS
        if self._iterating not in (None, threading.get_ident()):
            self._idle.wait(_JOIN_SECONDS)  # the decoder must not lose its stream while it decodes a frame
        self._drop_all()
        for connection in self._released:
            if not connection.join(max(0.0, until - time.monotonic())):
                log.info("%s: still waiting for an answer while closing; that ends by itself", self.name)
        self._released.clear()

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame, over all reconnects, until `stop` is called."""
        self._iterating = threading.get_ident()
        self._idle.clear()
        try:
            while not self._stopped.is_set():
                self._keep_connected()
                entry = self._queue.get(_TICK_SECONDS)
                if entry is not None:
                    yield from self._handle(*entry)
        finally:
            self._drop_all()
            self._iterating = None
            self._idle.set()

    # Items of the connections

    def _handle(self, connection: Connection, item: Item) -> Iterator[Frame]:
        attempt = self._attempt_of(connection)
        if attempt is None:
            return
        if self._tap is not None:
            self._tap(item)
        if isinstance(item, Connected):
            attempt.decoder = LiveDecoder(item, self._options, self._history_seconds)
            log.debug("%s: connected", self.name)
            self._say_left_out(item.streams)
        elif isinstance(item, Disconnected):
            self._lost(attempt, item.error)
        elif attempt.decoder is not None:
            yield from self._frames(attempt, attempt.decoder, item)

    def _say_left_out(self, streams: int) -> None:
        if streams > 1 and streams != self._streams:
            log.info(
                "%s: sends %d video streams, number %d is watched here; stream = N chooses another",
                self.name,
                streams,
                self._options.stream or 1,
            )
        self._streams = streams

    def _frames(self, attempt: "_Attempt", decoder: LiveDecoder, item: Packet | DecodedFrame) -> Iterator[Frame]:
        for stamped in decoder.decode(item):
            if attempt is not self._current:
                self._take_over(attempt)
            elif self._earlier is not None and decoder.clips.kept_seconds >= _EARLIER_SECONDS:
                self._earlier = None
            if self._sound is not None and stamped.stamp is not None:
                self._released += self._sound.advance(decoder.clips, stamped.stamp, stamped.arrival)
            now = time.monotonic()
            attempt.last_frame = item.arrival if item.delayed else now
            frame = self._assembler.frame(stamped, decoder)
            self._count(frame, now, decoder, delayed=item.delayed)
            yield frame
            if self._stopped.is_set():
                return

    def _count(self, frame: Frame, now: float, decoder: LiveDecoder, *, delayed: bool) -> None:
        status = self._status
        was_live = status.state == "live"
        problem = self._assembler.clock_problem
        self._status = replace(
            status,
            frames=status.frames + 1,
            damaged=status.damaged + bool(frame.quality),
            skipped=self._queue.skipped,
            late=status.late + (now - frame.arrival > self._options.late_seconds),
            fps=self._assembler.fps,
            size=decoder.size,
            clock=frame.clock,
            clock_problem=problem.text if problem is not None else None,
        )
        if not was_live and not delayed:
            self._enter("live", None)
        if problem is not None and problem.kind not in self._clock_told:
            self._clock_told.add(problem.kind)
            log.warning("%s: %s", self.name, problem.text)
        if decoder.clips.complaint and not self._clips_complained:
            log.warning("%s: %s", self.name, decoder.clips.complaint)
            self._clips_complained = True
        if self._status.skipped > self._skipped_logged and now >= self._next_skipped_log:
            self._report_skipped(now)

    def _report_skipped(self, now: float) -> None:
        status = self._status
        log.warning(
            "%s: frames came faster than they were handled: %d skipped so far and %d handled late, of %d; "
            "unless a stall delayed them before, this computer is too slow: watch fewer cameras, or a smaller stream",
            self.name,
            status.skipped,
            status.late,
            status.frames + status.skipped,
        )
        self._skipped_logged, self._next_skipped_log = status.skipped, now + _SKIPPED_LOG_SECONDS
        if self._on_state is not None:
            self._on_state(status)

    def _take_over(self, attempt: "_Attempt") -> None:
        """Use `attempt` from now on, since it delivers frames."""
        if self._current is not None:
            self._keep_clips(self._current)
            self._drop(self._current)
        if self._fresh is attempt:
            self._fresh = None
        self._current = attempt
        if self._status.frames:
            self._status = replace(self._status, reconnects=self._status.reconnects + 1)
        self._assembler.reconnected()
        self._reconnects.succeeded(time.monotonic())

    # Watching, losing and coming back

    def _keep_connected(self) -> None:
        now = time.monotonic()
        current, fresh = self._current, self._fresh
        limit = self._options.stall_seconds
        if current is not None:
            silent = now - current.last_frame
            if silent > limit and self._queue.waiting:
                return  # items wait: the program is slow, the camera is not silent
            if silent <= limit:
                if fresh is not None:  # the old connection delivered first
                    self._drop(fresh)
                    self._fresh = None
                return
            if self._status.state != "stalled":
                self._reconnects.lost(now, current.last_frame)
                self._enter("stalled", f"{redact(self._address)}: no frame for {limit:g} s")
            if silent > _STALLED_LIMITS * limit:
                self._drop(current)
                self._current = None
        if fresh is None:
            if now >= self._reconnects.due:
                self._status = replace(self._status, attempts=self._status.attempts + 1)
                self._fresh = _Attempt(self._connect(), now)
                log.debug("%s: attempt %d", self.name, self._status.attempts)
        elif now - fresh.last_frame > self._options.open_seconds * 2 + limit:
            self._lost(fresh, StreamError(f"{redact(self._address)}: connected, but delivered no frame"))

    def _connect(self) -> Connection:
        if is_device(self._address):
            return DeviceConnection(self.name, self._address, self._queue.put)
        return NetworkConnection(self.name, self._address, self._options, self._queue.put, self._own_login)

    def _lost(self, attempt: "_Attempt", error: StreamError | None) -> None:
        words = str(error) if error is not None else f"{redact(self._address)}: the camera closed the connection"
        refused = isinstance(error, OpenError) and error.permanent
        was_current = attempt is self._current
        if was_current:
            self._keep_clips(attempt)
        self._drop(attempt)
        if was_current:
            self._current = None
            self._reconnects.lost(time.monotonic(), attempt.last_frame)
        else:
            self._fresh = None
            self._reconnects.failed(time.monotonic(), refused=refused)
        changed = (words, refused) != (self._status.last_error, self._status.refused)
        self._status = replace(self._status, refused=refused)
        if self._current is None and (changed or self._status.state != "down"):
            self._enter("down", words)

    def _enter(self, state: State, error: str | None) -> None:
        before = self._status
        since = before.since if state == before.state else time.time()
        refused = before.refused and state != "live"
        fps = before.fps if state == "live" else 0.0
        last_error = error or before.last_error
        self._status = replace(before, state=state, since=since, last_error=last_error, refused=refused, fps=fps)
        if error is not None:
            log.warning("%s: %s: %s", self.name, state, error)
        else:
            log.info("%s: %s", self.name, state)
        if self._on_state is not None:
            self._on_state(self._status)

    def _attempt_of(self, connection: Connection) -> "_Attempt | None":
        for attempt in (self._current, self._fresh):
            if attempt is not None and attempt.connection is connection:
                return attempt
        return None

    def _keep_clips(self, attempt: "_Attempt") -> None:
        """Keep the packets of a connection that is given up, so that a flash during the loss still gets its clip."""
        decoder = attempt.decoder
        # Parameter sets that are only in the stream are lost with its connection.
        self._earlier = None if decoder is None or not decoder.clips.outlives_its_source else decoder.clips

    def _drop(self, attempt: "_Attempt") -> None:
        attempt.connection.release()
        self._released = [c for c in self._released if not c.join(0)]
        self._released.append(attempt.connection)

    def _drop_all(self) -> None:
        for attempt in (self._current, self._fresh):
            if attempt is not None:
                self._drop(attempt)
        self._current = self._fresh = None
        if self._sound is not None:
            self._released += self._sound.close()


@dataclass(slots=True)
class _Attempt:
    """One attempt to connect.

    Attributes:
        connection: reads the source.
        last_frame: time.monotonic() of its last frame, or of its start.
        decoder: set once the connection is open.
    """

    connection: Connection
    last_frame: float
    decoder: LiveDecoder | None = None
