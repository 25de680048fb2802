"""Capture times by arrival: from the fastest packets while time stamps can be trusted, else for each frame alone."""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from stream.capture.timing.arrival_rate import ArrivalRate
from stream.capture.timing.rate_meter import RateMeter

_ENVELOPE_SECONDS = 30.0
_WARM_UP_SECONDS = 5.0
_WARM_UP_ERROR = 0.1  # seconds; the envelope's first seconds were up to 98 ms wrong under heavy jitter
_BURST_SECONDS = 1.0  # a connection often begins with frames that waited at the sender or for a busy host
_BURST_FRAMES = 10
_BURST_SHARE = 0.3  # of their stamped time; frames that arrive within less had waited
_STEP_SECONDS = 1.0  # B-frames step back by less, and packets arrive early by less
_STEPS_WINDOW = 10.0
_MOST_STEPS = 3  # in that window; more than from a set clock or a rebooting camera
_QUEUE_SECONDS = 2.0  # no camera or network delays frames for longer
_SOONEST_SECONDS = 1.0  # if the fastest packet of all came this recently, delays still shrink
_FIRST_FRAMES = 12  # enough to recognise stamps that hardly advance
_FIRST_SECONDS = 0.4
_STILL_SHARE = 0.2  # of the passed time; stamps that advance by less stand still


@dataclass(frozen=True, slots=True)
class ArrivalTime:
    """The capture time of a frame, by this computer's monotonic clock.

    Attributes:
        arrival: the best estimate.
        early: seconds by which the frame may have been taken earlier.
        late: seconds by which it may have been taken later.
        came: arrival of its first packet, which is never before its capture.
        stamp: its time stamp in seconds.
    """

    arrival: float
    early: float
    late: float
    came: float
    stamp: float


class ArrivalClock:
    """The mapping of one connection's time stamps to this computer's monotonic clock, learned from its packets.

    While the stamps advance as frames arrive, time is the lower envelope of arrival minus stamp over 30 s, which the
    fastest packets define. If they advance at another rate (a camera that delivers fewer frames than it stamps, a wrong
    unit, stamps that stand still), each frame gets its own arrival time. The rate is measured in buckets.

    Attributes:
        stamps_hold: whether the stamps are used.
        stamped_share: stamped seconds per second of arrival, as measured when the stamps were given up.
        restarts: how often the stamps stepped, so that earlier measurements became void.
    """

    def __init__(self, frame_seconds: float, allowance: float, *, stamps: bool, held_back: bool) -> None:
        """Start without measurements.

        Args:
            frame_seconds: time from frame to frame as the source states it.
            allowance: seconds that a camera may take from exposure to sending.
            stamps: False if arrival is used instead of time stamps.
            held_back: whether FFmpeg returns a packet only when the next begins.
        """
        self.stamps_hold = stamps
        self.stamped_share = 1.0
        self.restarts = 0
        self.rate = ArrivalRate(frame_seconds)
        self._stamps = stamps
        self._held_back = held_back
        self._allowance = allowance
        self._meter = RateMeter()
        self._envelope: deque[tuple[float, float]] = deque()
        self._recent: deque[tuple[float, float]] = deque(maxlen=_FIRST_FRAMES)
        self._steps: deque[float] = deque()
        self._known_since: tuple[float, float] | None = None
        self._settled = False
        self._held_offset: float | None = None

    def feed(self, stamp: float, delivered: float, before: float | None) -> ArrivalTime:
        """Add a packet.

        Args:
            stamp: its time stamp in seconds.
            delivered: when FFmpeg returned it, in monotonic seconds.
            before: when FFmpeg returned the previous one, or None.

        Returns:
            when its frame was taken.
        """
        self.rate.add(delivered)
        came = delivered
        if self._held_back:
            # This packet was complete when the next frame's first bytes came; its own came with the previous one.
            came = delivered - self.rate.frame_seconds if before is None else before
        if self._stamps:
            self._watch_steps(stamp, came)
            self._recent.append((came, stamp))
            self._note_burst()
            if self._meter.add(came, came - stamp):
                self._judge(came - stamp)
            self._judge_beginning()
        self._push(came, came - stamp)
        return self._time(stamp, came)

    def note_step(self, came: float) -> None:
        """Note that the stamps stepped, or that a frame shown later has no later stamp; give them up if often."""
        self._steps.append(came)
        while self._steps[0] < came - _STEPS_WINDOW:
            self._steps.popleft()
        if len(self._steps) > _MOST_STEPS:
            self.stamped_share = 0.0
            self.stamps_hold = False

    @property
    def settled(self) -> bool:
        """Whether there are enough packets to trust the fastest: the first ones may all have waited."""
        return self._settled

    @property
    def in_order(self) -> bool:
        """Whether the stamps can say when a frame was taken."""
        return self.stamps_hold or len(self._steps) <= _MOST_STEPS

    def _push(self, came: float, offset: float) -> None:
        while self._envelope and self._envelope[-1][1] >= offset:
            self._envelope.pop()
        self._envelope.append((came, offset))
        while self._envelope[0][0] < came - _ENVELOPE_SECONDS:
            self._envelope.popleft()

    def _watch_steps(self, stamp: float, came: float) -> None:
        """Restart if the stamps stepped back, or forward by more than any packet was ever early."""
        if self._recent and (
            stamp < self._recent[-1][1] - _STEP_SECONDS
            or (self._envelope and came - stamp < self._envelope[0][1] - _STEP_SECONDS)
        ):
            self.restarts += 1
            self._restart()
            self.note_step(came)
        if self._known_since is None:
            self._known_since = came, stamp

    def _restart(self) -> None:
        self._envelope.clear()
        self._recent.clear()
        self._meter.clear()
        self._known_since = None
        self._settled = False
        self._held_offset = None

    def _note_burst(self) -> None:
        """Restart the warm-up while a connection begins with frames that had waited."""
        if self._known_since is None or self._settled:
            return
        came, stamp = self._recent[-1]
        known = min(came - self._known_since[0], stamp - self._known_since[1])
        self._settled = known >= _WARM_UP_SECONDS
        if len(self._recent) >= _BURST_FRAMES:
            first_came, first_stamp = self._recent[-_BURST_FRAMES]
            if came - first_came < _BURST_SHARE * (stamp - first_stamp):
                self._known_since = came, stamp

    def _judge(self, offset: float) -> None:
        """Decide after each bucket whether the stamps advance as frames arrive."""
        slope = self._meter.slope()
        if slope < 0 and not (self._settled and self._came_soonest_lately()):
            return  # delays shrink, but not below the least so far: a queue empties
        if self.stamps_hold and slope:
            self._give_stamps_up(1.0 - slope, offset)
        elif not self.stamps_hold and self._meter.is_steady() and not self._stepped_lately():
            self.stamps_hold = True
            self._envelope.clear()
            self._known_since = self._recent[-1]
            self._settled = False

    def _came_soonest_lately(self) -> bool:
        return self._recent[-1][0] - self._envelope[0][0] < _SOONEST_SECONDS

    def _judge_beginning(self) -> None:
        """Recognise stamps that stand still or have a wrong unit after the first frames, within half a second."""
        if not self.stamps_hold or self._settled or len(self._recent) < _FIRST_FRAMES:
            return
        came = self._recent[-1][0] - self._recent[0][0]
        stamped = self._recent[-1][1] - self._recent[0][1]
        gaps = max(later[0] - sooner[0] for sooner, later in pairwise(self._recent))
        if came >= _FIRST_SECONDS and gaps < came / 2 and stamped < _STILL_SHARE * came:
            self._give_stamps_up(max(0.0, stamped / came), self._recent[-1][0] - self._recent[-1][1])

    def _give_stamps_up(self, share: float, offset: float) -> None:
        self.stamps_hold = False
        self.stamped_share = share
        self._held_offset = min([value for _, value in self._envelope], default=offset)

    def _stepped_lately(self) -> bool:
        while self._steps and self._steps[0] < self._recent[-1][0] - _STEPS_WINDOW:
            self._steps.popleft()
        return bool(self._steps)

    def _time(self, stamp: float, came: float) -> ArrivalTime:
        frame = min(self.rate.frame_seconds, self._allowance + _STEP_SECONDS)
        offset = came - stamp
        if not self.stamps_hold:
            queued = 0.0
            if self._held_offset is not None:
                # Growing delays may be a queue on the way, until the queue would be longer than any can be.
                growth = offset - self._held_offset
                if 0.0 < growth <= _QUEUE_SECONDS:
                    queued = growth
                else:
                    self._held_offset = None
            early = self._allowance + frame + max(self.rate.late_seconds, queued)
            return ArrivalTime(came, early + self._beginning(), frame, came, stamp)
        arrival = stamp + self._envelope[0][1]
        early = self._allowance + frame + self._beginning()
        return ArrivalTime(arrival, early, max(0.0, came - arrival) + frame, came, stamp)

    def _beginning(self) -> float:
        """Return the seconds by which the first packets may all have been late."""
        if not self._stamps or self._settled:
            return 0.0
        if self._known_since is None or not self._recent:
            return _BURST_SECONDS
        came, stamp = self._recent[-1]
        passed = came - self._known_since[0]
        # A busy host lets time pass without a frame; a sender's buffer arrives without time passing.
        known = min(passed, stamp - self._known_since[1]) if self.stamps_hold else passed
        if known >= _WARM_UP_SECONDS:
            return 0.0
        return _WARM_UP_ERROR if known >= _BURST_SECONDS else _BURST_SECONDS
