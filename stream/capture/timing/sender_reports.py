"""Capture times by the camera's own clock, from its RTCP sender reports, and whether these are consistent."""

import math
from collections import deque
from dataclasses import dataclass

from stream.capture.timing.rate_meter import RateMeter
from stream.capture.timing.usual_delay import UsualDelay

_SAME_OFFSET_SECONDS = 0.002  # two frames after one report agree within this
_BASE_ERROR = 0.003  # seconds; reports of a steady camera never differed by more
_AGREEMENT_SECONDS = 0.05  # a report that differs more from the previous one's prediction does not confirm it
_CARELESS_SECONDS = 0.0025
_STEADY_RATE = 0.001  # a rate closer to 1 counts as 1: crystals differ by 0.0002 at most
_RATES = (0.5, 30.0)  # real seconds per stamped second; outside, stamps have a wrong unit
_RATE_SLACK_SECONDS = 0.3  # tolerated difference of the time between two reports by arrival and by the reports
_SET_AFTER = 1_000_000_000.0  # 2001; an earlier clock was never set (1900, 1970, 2000 or the uptime)
_SET_BEFORE = 4_102_444_800.0  # 2100
_EARLY_SECONDS = 0.05  # a frame may arrive this much earlier than any before it, on a busy host
_TICKS = 90_000  # ticks per second of RTP's time stamps for video
_WRAP_SECONDS = 2**32 / _TICKS
_STRANGE_PACKETS = 10  # after so many misfits the stamps must have stepped
_UNUSUAL_SECONDS = 0.01  # excess over the longest recent delay that counts as unusual
_STILL_SECONDS = 0.005
_MISFIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """One sender report on the time axis of the stamps.

    Attributes:
        stamp: the time stamp that it refers to, in seconds.
        utc: the camera's time at that stamp, in seconds since 1970.
        came: when it arrived, by this computer's monotonic clock.
        gap: UTC by arrival minus the camera's, in seconds.
    """

    stamp: float
    utc: float
    came: float
    gap: float


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The content of an RTCP sender report.

    Attributes:
        utc: the camera's time, in seconds since 1970.
        ticks: the RTP time stamp that belongs to it.
    """

    utc: float
    ticks: int


@dataclass(frozen=True, slots=True)
class Announced:
    """A report that came with a packet.

    Attributes:
        report: the content of the report.
        stamp: time stamp of the packet in seconds, or None.
        came: when the packet's first bytes came, by this computer's monotonic clock.
        came_utc: the same in UTC, in seconds since 1970.
    """

    report: SenderReport
    stamp: float | None
    came: float
    came_utc: float


@dataclass(frozen=True, slots=True)
class ReportedTime:
    """The capture time of a frame by the camera's clock.

    Attributes:
        utc: seconds since 1970.
        error: seconds within which the reports agree.
        confirmed: whether a second report agreed with the first, and nothing has contradicted it since.
    """

    utc: float
    error: float
    confirmed: bool


class SenderReports:
    """The mapping of one connection's time stamps to the camera's UTC, learned from its sender reports.

    Between reports time continues at the rate of the last two: 1 if the stamps are right, more if the camera delivers
    fewer frames than it stamps. A report that agrees with the prediction of the previous one confirms both.

    Attributes:
        last: the last accepted report, or None.
        unset_utc: the camera's last stated time, if its clock was never set.
        stuck: whether its time stands still from report to report.
        misfits: reports in a row whose gap to arrival jumped.
        gaps: arrival minus the camera's time at each of the last consistent reports, in seconds.
        rate: real seconds per stamped second.
    """

    def __init__(self) -> None:
        self.last: Report | None = None
        self.unset_utc: float | None = None
        self.stuck = False
        self.misfits = 0
        self.gaps: deque[float] = deque(maxlen=3)
        self.rate = 1.0
        self._announced: Announced | None = None
        self._settling: float | None = None
        self._strange = 0
        self._zero: float | None = None  # the RTP time of the stamp 0, in seconds
        self._agreeing = 0
        self._errors: deque[float] = deque(maxlen=6)
        self._meter = RateMeter()
        self._least_gap = math.inf
        self._delays = UsualDelay()

    def restart(self) -> None:
        """Forget all reports, because the time stamps have stepped."""
        self.last = self._announced = self._settling = self._zero = None
        self._begin()

    def announce(self, report: Announced) -> None:
        """Note a new report. Its packet may still carry the time of the one before; later packets carry its own."""
        self._announced, self._settling, self._strange = report, None, 0

    def feed(self, stamp: float, capture_utc: float) -> bool:
        """Note the camera's time of one packet.

        Args:
            stamp: time stamp of the packet in seconds.
            capture_utc: capture time by the last report and the nominal rate of the stamps.

        Returns:
            whether a new report was accepted with it.
        """
        if self._announced is None:
            return False
        offset = capture_utc - stamp
        if self._settling is None or abs(offset - self._settling) > _SAME_OFFSET_SECONDS:
            self._settling = offset
            return False
        announced = self._announced
        if not self._belongs(announced.report, offset):
            return False
        self._announced = None
        utc = announced.report.utc
        came_stamp = stamp if announced.stamp is None else announced.stamp
        self._accept(Report(utc - offset, utc, announced.came, announced.came_utc - (offset + came_stamp)))
        return True

    def _belongs(self, report: SenderReport, offset: float) -> bool:
        """Return whether `offset` follows from this report, and not from the previous one.

        The RTP time of the stamp 0 is one number for the whole connection: an offset of another report gives a
        different number.
        """
        zero = (report.ticks / _TICKS - (report.utc - offset)) % _WRAP_SECONDS
        off = abs(zero - self._zero) if self._zero is not None else 0.0
        if min(off, _WRAP_SECONDS - off) > _SAME_OFFSET_SECONDS:
            self._strange += 1
            if self._strange < _STRANGE_PACKETS:
                return False
        self._zero = zero
        return True

    def _accept(self, report: Report) -> None:
        if not _SET_AFTER < report.utc < _SET_BEFORE:
            self.restart()
            self.unset_utc = report.utc
            return
        self.unset_utc = None
        before, self.last = self.last, report
        if before is not None:
            self.misfits = self.misfits + 1 if abs(report.gap - before.gap) > _MISFIT_SECONDS else 0
        if before is None or report.stamp <= before.stamp:
            self._begin()
            self.gaps.append(report.gap)
            return
        moved, stamped, arrived = report.utc - before.utc, report.stamp - before.stamp, report.came - before.came
        self.stuck = abs(moved) < _STILL_SECONDS
        error = abs(report.utc - (before.utc + self.rate * stamped))
        measured = moved / stamped
        self._meter.clear()
        if error > _AGREEMENT_SECONDS and abs(moved - arrived) > _RATE_SLACK_SECONDS + 0.05 * arrived:
            self._begin()  # the camera's clock was set, or stands still: the rate cannot be measured
        elif not _RATES[0] <= measured <= _RATES[1]:
            self._begin()
        else:
            self.rate = 1.0 if abs(measured - 1.0) < _STEADY_RATE else measured
            if error > _AGREEMENT_SECONDS:
                self._agreeing = 0
                self._errors.clear()  # they were measured before the rate was known
            else:
                self._agreeing += 1
                self._errors.append(error)
        self.gaps.append(report.gap)

    def _begin(self) -> None:
        """Start again, since earlier reports do not fit."""
        self.rate, self._agreeing = 1.0, 0
        self._errors.clear()
        self.gaps.clear()
        self._meter.clear()
        self._delays.clear()
        self._least_gap = math.inf

    def at(self, stamp: float, came: float, came_utc: float) -> ReportedTime | None:
        """Return the capture time of the frame with `stamp` that arrived at `came`; None without a usable report."""
        if self.last is None or self.stuck:
            return None
        utc = self.last.utc + self.rate * (stamp - self.last.stamp)
        gap = came_utc - utc
        if self._agreeing and self._is_contradicted(came, gap):
            self._agreeing = 0
        error = max(self._errors, default=0.0)
        # Two reports that differ by more than crystals do were stamped inexactly: so are frames.
        error *= 2.0 if error > _CARELESS_SECONDS else 1.0
        if self._delays.excess(came, gap) > _UNUSUAL_SECONDS:
            # A delay longer than any recent one may come from frames left out since the last report.
            error = max(error, gap - min(self._least_gap, gap))
        return ReportedTime(utc, _BASE_ERROR + error, self._agreeing > 0)

    def _is_contradicted(self, came: float, gap: float) -> bool:
        """Return whether arrival shows that the camera's rate has changed since the last report.

        Args:
            came: when a frame arrived, by this computer's monotonic clock.
            gap: UTC by its arrival minus UTC by the last report, in seconds.
        """
        if gap < min(self._least_gap, 0.0) - _EARLY_SECONDS:
            return True  # the frame would have arrived before its capture
        measured = self._meter.add(came, gap)
        slope = self._meter.slope() if measured else 0.0
        lower = gap < self._least_gap
        self._least_gap = min(self._least_gap, gap)
        # Growing delays: the camera delivers fewer frames. Delays that shrink below the least so far: it delivers more.
        return slope > 0 or (slope < 0 and lower)
