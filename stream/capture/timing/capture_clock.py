"""The capture time of a live frame: UTC, the clock that it comes from, and a bound on its error."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from stream.capture.options import CaptureOptions
from stream.capture.timing.arrival_clock import ArrivalClock, ArrivalTime
from stream.capture.timing.clock_problems import (
    ClockProblem,
    ahead,
    behind,
    drifting,
    misfit,
    no_reports,
    stamps_wrong,
    stuck,
    unset,
)
from stream.capture.timing.host_clock import HostClockError
from stream.capture.timing.sender_reports import Announced, Report, ReportedTime, SenderReport, SenderReports

_AHEAD_SECONDS = 0.1  # tolerance for busy hosts: frames cannot arrive before they are taken
_BEHIND_SECONDS = 2.0  # no camera delays frames for longer; a clock further behind is wrong
_SURPLUS_SECONDS = 0.25  # beyond the allowance; the camera is then as likely late as its clock is wrong
_DRIFT_WINDOW_SECONDS = 900.0
_DRIFT_SECONDS = 0.2  # larger drift against the host within the window, 220 ppm, is not NTP's
_HOST_STEP_SECONDS = 0.05  # this computer's clock was set
_MISFITS = 3
_NO_REPORT_SECONDS = 30.0
_UNCONFIRMED_SECONDS = 0.25  # error of a single report, if the camera's clock is required


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """The capture time of a frame.

    Attributes:
        utc: seconds since 1970.
        clock: where it comes from: rtcp or arrival.
        error_ms: bound on the error of `utc` in milliseconds.
    """

    utc: float
    clock: Literal["rtcp", "arrival"]
    error_ms: float


class CaptureClock:
    """The capture times of one connection's packets.

    There are two sources: the camera's own clock, from its RTCP sender reports, and the host's clock, from arrival. The
    second shows whether the first can be true: frames arrive after their capture, but not long after. Until a second
    report agrees with the first, the error bound is that of arrival.

    Attributes:
        arrival: times by arrival, and whether the time stamps can be trusted.
        problem: what is wrong with the camera's clock or stamps, or None.
    """

    def __init__(
        self,
        frame_seconds: float,
        options: CaptureOptions,
        *,
        stamps: bool = True,
        held_back: bool = True,
        host: HostClockError | None = None,
    ) -> None:
        """Start without measurements.

        Args:
            frame_seconds: time from frame to frame as the source states it.
            options: the clock to use, the known latency and the latency allowance.
            stamps: False if arrival is used instead of time stamps.
            held_back: whether FFmpeg returns a packet only when the next begins.
            host: the error of this computer's clock; read from the system if omitted.
        """
        self.problem: ClockProblem | None = None
        self._times = options.times
        self._latency = options.offset_seconds
        self._allowance = options.latency_allowance_ms / 1000.0
        self._stamps = stamps
        self._host = host or HostClockError(options.host_clock_error_ms)
        self.arrival = ArrivalClock(frame_seconds, self._allowance, stamps=stamps, held_back=stamps and held_back)
        self._reports = SenderReports()
        self._restarts = 0
        self._began: float | None = None
        self._utc_minus_arrival: float | None = None
        self._differences: deque[tuple[float, float]] = deque()
        self._wrong: ClockProblem | None = None

    def feed(
        self,
        stamp: float,
        delivered: float,
        utc_minus_arrival: float,
        *,
        before: float | None = None,
        capture_utc: float | None = None,
        report: SenderReport | None = None,
    ) -> CaptureTime:
        """Add the packet with time stamp `stamp`.

        Args:
            stamp: in seconds.
            delivered: when FFmpeg returned it, in monotonic seconds.
            utc_minus_arrival: seconds to add to the monotonic clock for UTC.
            before: when FFmpeg returned the previous packet, or None.
            capture_utc: capture time by the camera's last sender report and the nominal rate of the stamps.
            report: the sender report that came with it, if a new one did.

        Returns:
            when its frame was taken.
        """
        if self._began is None:
            self._began = delivered
        if self._utc_minus_arrival is None or abs(utc_minus_arrival - self._utc_minus_arrival) > _HOST_STEP_SECONDS:
            self._differences.clear()
            self._utc_minus_arrival = utc_minus_arrival
        arrived = self.arrival.feed(stamp, delivered, before)
        if self.arrival.restarts != self._restarts:
            self._restarts = self.arrival.restarts
            self._reports.restart()
            self._differences.clear()
        came_utc = arrived.came + utc_minus_arrival
        if self._times != "arrival":
            if report is not None:
                self._reports.announce(Announced(report, stamp, arrived.came, came_utc))
            elif capture_utc is not None and self._reports.feed(stamp, capture_utc):
                self._wrong = self._judge(arrived, utc_minus_arrival)
        reported = self._reports.at(stamp, arrived.came, came_utc)
        taken = self._choose(reported, arrived, utc_minus_arrival)
        self.problem = self._problem(arrived.came)
        return CaptureTime(taken.utc - self._latency, taken.clock, taken.error_ms)

    def announce(self, delivered: float, utc_minus_arrival: float, report: SenderReport) -> None:
        """Note a sender report that came with a packet without a time stamp."""
        if self._times != "arrival":
            self._reports.announce(Announced(report, None, delivered, delivered + utc_minus_arrival))

    def _choose(self, reported: ReportedTime | None, arrived: ArrivalTime, utc_minus_arrival: float) -> CaptureTime:
        host = self._host.ms() / 1000.0
        utc = arrived.arrival + utc_minus_arrival
        early, late = arrived.early + host, arrived.late + host
        by_arrival = CaptureTime(utc, "arrival", 1000 * max(early, late))
        if reported is None or self._wrong is not None or not self.arrival.in_order:
            return by_arrival
        if reported.confirmed:
            return CaptureTime(reported.utc, "rtcp", 1000 * max(reported.error, self._surplus()))
        if self._times == "camera":
            return CaptureTime(reported.utc, "rtcp", 1000 * (reported.error + _UNCONFIRMED_SECONDS))
        if not self.arrival.stamps_hold and self._reports.rate == 1.0:
            return by_arrival  # a single report: the rate of the stamps is not known yet
        if utc - early <= reported.utc <= utc + late:
            return CaptureTime(reported.utc, "rtcp", 1000 * max(reported.utc - utc + early, utc + late - reported.utc))
        return by_arrival

    def _surplus(self) -> float:
        """Return the error that arrival reveals: frames that arrive before their capture, or later than allowed."""
        gap = min(self._reports.gaps, default=0.0)
        if self._times == "camera":
            return 0.0
        return gap if gap > self._allowance + _SURPLUS_SECONDS else max(0.0, -gap)

    def _judge(self, arrived: ArrivalTime, utc_minus_arrival: float) -> ClockProblem | None:
        """Return the problem of the camera's clock that a report accepted just now reveals, if any."""
        reports = self._reports
        if reports.unset_utc is not None:
            return unset(reports.unset_utc)
        if reports.stuck:
            return stuck()
        if self._times == "camera" or reports.last is None:
            return None
        if reports.misfits >= _MISFITS:
            return misfit()
        return self._compare(arrived, utc_minus_arrival, reports.last)

    def _compare(self, arrived: ArrivalTime, utc_minus_arrival: float, last: Report) -> ClockProblem | None:
        """Return how the camera's clock differs from this computer's, unless there is only one report."""
        if len(self._reports.gaps) < 2:
            self._differences.clear()
            return None
        gap = min(self._reports.gaps)
        if gap < -_AHEAD_SECONDS:
            return ahead(-gap, host_synchronised=self._host.synchronised)
        if gap > _BEHIND_SECONDS:
            return behind(gap, host_synchronised=self._host.synchronised)
        if not (self.arrival.stamps_hold and self.arrival.settled) or self._reports.rate != 1.0:
            self._differences.clear()
            return None
        by_camera = arrived.stamp + last.utc - last.stamp
        self._differences.append((arrived.came, arrived.arrival + utc_minus_arrival - by_camera))
        while self._differences[0][0] < arrived.came - _DRIFT_WINDOW_SECONDS:
            self._differences.popleft()
        values = [value for _, value in self._differences]
        return drifting() if max(values) - min(values) > _DRIFT_SECONDS else None

    def _problem(self, now: float) -> ClockProblem | None:
        """Return the problem to report: wrong stamps first, since they cause other problems."""
        if self._times == "arrival" or not self._stamps:
            return None
        if not self.arrival.stamps_hold:
            return stamps_wrong(self.arrival.stamped_share)
        if self._wrong is not None:
            return self._wrong
        waited = now - self._began if self._began is not None else 0.0
        if self._times == "camera" and self._reports.last is None and waited > _NO_REPORT_SECONDS:
            return no_reports(_NO_REPORT_SECONDS)
        return None
