"""When a live frame was taken: UTC, the clock it comes from, and a bound on its error."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

_ENVELOPE_SECONDS = 30.0
_WARM_UP_SECONDS = 5.0
_WARM_UP_ERROR_MS = 100.0  # the envelope's first seconds were up to 98 ms off under heavy jitter
_BURST_SECONDS = 1.0  # a connection often begins with frames that waited in the sender's buffer or for a busy host
_SAME_OFFSET_SECONDS = 0.002  # two frames after one report agree within this
_STEP_SECONDS = 0.05  # a report that moves the camera's clock further is a step, not drift
_AHEAD_SECONDS = 0.1  # frames cannot arrive before they are taken, but for the error of the envelope
_BEHIND_SECONDS = 2.0  # no camera delays frames for longer; a clock further behind is wrong
_BACK_SECONDS = 1.0  # frames that wait for later ones (B-frames) step back by less
_DRIFT_WINDOW_SECONDS = 900.0
_DRIFT_SECONDS = 0.2  # moved against the host by more than this within the window: 220 ppm, no NTP does that
_RTCP_ERROR_MS = 3.0
_RATE_FRAMES = 26  # after so many the rate is known
_CATCHING_UP = 0.8  # of the time from frame to frame: closer frames had waited
_DECAY_SECONDS = 3.0  # of a delay, while frames come at their rate
_DECAY_SHARE = 0.1  # at most so much at one frame: a second stall must not hide the first


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """When a frame was taken.

    Attributes:
        utc: seconds since 1970.
        clock: where it comes from: rtcp or arrival.
        error_ms: the true time lies within this of `utc`.
    """

    utc: float
    clock: Literal["rtcp", "arrival"]
    error_ms: float


class CaptureClock:
    """Learns from one connection's packets how its time stamps map to UTC.

    There are two sources: the camera's own clock, from its RTCP sender reports, and the host's, from the packets that
    came fastest: the lower envelope of arrival minus time stamp over 30 s, less the one frame that FFmpeg keeps back.
    The second shows whether the first can be true: frames arrive after they are taken, but not long after.

    Attributes:
        frame_seconds: time from frame to frame; may be set when it is known better.
        late_seconds: how long the last frame may have waited; to be set where frames carry no time stamps.
        complaint: why the camera's clock is not used.
    """

    def __init__(self, frame_seconds: float, latency_allowance_ms: float, *, stamps: bool = True) -> None:
        """Begin without measurements.

        Args:
            frame_seconds: time from frame to frame.
            latency_allowance_ms: time a camera may take from exposure to sending.
            stamps: False where arrival stands for the time stamps; FFmpeg keeps no frame back then.
        """
        self.frame_seconds = frame_seconds
        self.late_seconds = 0.0
        self._stamps = stamps
        self._allowance = latency_allowance_ms / 1000.0
        self._envelope: deque[tuple[float, float]] = deque()
        self._first: tuple[float, float] | None = None
        self._stamp: float | None = None
        self._excess = 0.0
        self._utc_minus_arrival = 0.0
        self._camera: float | None = None
        self._settling: float | None = None
        self._last_change = 0.0
        self._differences: deque[tuple[float, float]] = deque()
        self.complaint: str | None = None

    def feed(self, stamp: float, arrival: float, utc_minus_arrival: float) -> None:
        """Note that the packet with time stamp `stamp` came at `arrival` (steady seconds)."""
        self._utc_minus_arrival = utc_minus_arrival
        if self._stamp is not None and stamp < self._stamp - _BACK_SECONDS:
            self._begin_anew()
        self._stamp = stamp
        if self._first is None:
            self._first = arrival, stamp
        offset = arrival - stamp
        while self._envelope and self._envelope[-1][1] >= offset:
            self._envelope.pop()
        self._envelope.append((arrival, offset))
        while self._envelope[0][0] < arrival - _ENVELOPE_SECONDS:
            self._envelope.popleft()
        self._excess += 0.05 * (offset - self._envelope[0][1] - self._excess)

    def _begin_anew(self) -> None:
        """Drop all measurements after a step back of the time stamps: they are off by the size of the step.

        A step forward needs no reset: packets seem to come sooner than ever, which the envelope follows at once.
        """
        self._envelope.clear()
        self._differences.clear()
        self._first = None
        self._excess = 0.0
        self._camera = self._settling = None

    def feed_camera(self, stamp: float, capture_utc: float, *, report: bool) -> None:
        """Note that, by the camera, the packet with time stamp `stamp` was taken at `capture_utc`.

        Args:
            stamp: of the packet, in seconds.
            capture_utc: seconds since 1970.
            report: a new sender report came with it. Such a frame carries the time of the one after it, so it only
                opens a new measurement.
        """
        if report:
            self._settling = None
            return
        offset = capture_utc - stamp
        if self._camera is not None and abs(offset - self._camera) < _SAME_OFFSET_SECONDS / 10:
            return
        if self._settling is None or abs(offset - self._settling) > _SAME_OFFSET_SECONDS:
            self._settling = offset
            return
        self._accept(offset)

    def _accept(self, offset: float) -> None:
        if self._camera is not None:
            self._last_change = abs(offset - self._camera)
            if self._last_change > _STEP_SECONDS:
                self._differences.clear()
        self._camera = offset
        if self._envelope:
            arrival = self._envelope[-1][0]
            self._differences.append((arrival, self._arrival_offset() - offset))
            while self._differences[0][0] < arrival - _DRIFT_WINDOW_SECONDS:
                self._differences.popleft()

    def _arrival_offset(self) -> float:
        """Return UTC minus time stamp by the fastest packets."""
        held_back = self.frame_seconds if self._stamps else 0.0
        return self._envelope[0][1] + self._utc_minus_arrival - held_back

    def at(self, stamp: float) -> CaptureTime | None:
        """Return when the frame with time stamp `stamp` was taken; None before the first packet."""
        if self._first is None or self._stamp is None:
            return None
        by_arrival = self._arrival_offset()
        self.complaint = None
        if self._camera is not None:
            behind = by_arrival - self._camera
            self.complaint = self._complaint(behind)
            if self.complaint is None:
                error = (
                    _RTCP_ERROR_MS if self._last_change > _STEP_SECONDS else _RTCP_ERROR_MS + 1000 * self._last_change
                )
                if behind > self._allowance + 0.25:
                    error = max(error, 1000 * behind)
                return CaptureTime(stamp + self._camera, "rtcp", error)
        # Where time stamps run slow, the envelope's oldest packet is off by the whole excess; under jitter of 30 ms
        # with stalls of 400 ms it was off by less than half.
        error = 1000 * (self.frame_seconds + self._excess + self.late_seconds + self._allowance)
        # On a starved host time passes without a frame; a sender's buffer comes without time passing.
        known = min(self._envelope[-1][0] - self._first[0], self._stamp - self._first[1])
        if known < _WARM_UP_SECONDS:
            error += _WARM_UP_ERROR_MS if known >= _BURST_SECONDS else 1000 * _BURST_SECONDS
        return CaptureTime(stamp + by_arrival, "arrival", error)

    def _complaint(self, behind: float) -> str | None:
        if behind < -_AHEAD_SECONDS:
            return f"the camera's clock is {-behind:.1f} s ahead of this host's: times are taken from arrival instead"
        if behind > _BEHIND_SECONDS:
            return f"the camera's clock is {behind:.1f} s behind this host's: times are taken from arrival instead"
        values = [value for _, value in self._differences]
        if len(values) > 1 and max(values) - min(values) > _DRIFT_SECONDS:
            return "the camera's clock drifts against this host's: times are taken from arrival instead"
        return None


class ArrivalRate:
    """The rate of a source whose frames carry no time, and how late its last frame may have come.

    A gap may be a stall of the network: then frames waited, and each that comes faster than the rate makes up for some
    of the delay. It may be the camera's own as well: while frames come at their rate, the delay decays within seconds.

    Attributes:
        frame_seconds: time from frame to frame.
        late_seconds: how long the last frame may have waited on its way.
    """

    def __init__(self, frame_seconds: float) -> None:
        self.frame_seconds = frame_seconds
        self.late_seconds = 0.0
        self._arrival = 0.0
        self._sent = deque[float](maxlen=_RATE_FRAMES)

    def add(self, arrival: float) -> None:
        """Note a frame that came at `arrival` (steady seconds)."""
        if len(self._sent) == _RATE_FRAMES:
            gap = arrival - self._arrival
            if gap >= _CATCHING_UP * self.frame_seconds:
                self.late_seconds *= 1.0 - min(gap / _DECAY_SECONDS, _DECAY_SHARE)
            self.late_seconds = max(0.0, self.late_seconds + gap - self.frame_seconds)
        self._arrival = arrival
        self._sent.append(arrival - self.late_seconds)  # so that a stall and its burst do not change the rate
        if len(self._sent) > 1:
            self.frame_seconds = (self._sent[-1] - self._sent[0]) / (len(self._sent) - 1)
