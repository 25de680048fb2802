"""CaptureClock: each bound and limit by itself, on a camera without jitter: what a single changed line would break."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from stream import CaptureOptions
from stream.capture.timing.capture_clock import CaptureClock, CaptureTime
from stream.capture.timing.host_clock import HostClock, HostClockError
from stream.capture.timing.sender_reports import SenderReport

FRAME = 0.04
BEGAN = 1.8e9
LATENCY = 0.06
DEFAULTS, EXACT = CaptureOptions(), HostClock(synchronised=True, error_ms=0.0)
ALLOWANCE = DEFAULTS.latency_allowance_ms / 1000
EARLY, LATE = ALLOWANCE + FRAME, FRAME
"""What is allowed for on both sides of a time by arrival, once enough came."""
AGREED = 0.003
"""Reports of a steady camera were never further apart."""


@dataclass
class Line:
    """A camera without jitter whose frames come `LATENCY` late; its reports are exact but for what a test sets.

    behind: seconds by which its clock is behind this computer's, at a time; host_ahead: by which this computer's clock
    was set ahead since, at a time; stamp: of the frame taken at a time.
    """

    options: CaptureOptions = DEFAULTS
    host: HostClock = EXACT
    behind: Callable[[float], float] = lambda _: 0.0
    host_ahead: Callable[[float], float] = lambda _: 0.0
    stamp: Callable[[float], float] = lambda taken: 50.0 + taken
    frame: float = FRAME
    stamps: bool = True
    held_back: bool = True

    def __post_init__(self) -> None:
        self.clock = CaptureClock(
            self.frame, self.options, stamps=self.stamps, held_back=self.held_back,
            host=HostClockError(1000.0, read=lambda: self.host, now=lambda: 0.0),
        )  # fmt: skip
        self.number = 0
        self._told: float | None = None
        self._before: float | None = None

    def run(self, seconds: float, *reports: float) -> Iterator[tuple[float, CaptureTime]]:
        """Go on for so long; yield when each frame was taken and what is said of it. Reports come then."""
        due = sorted(reports)
        end = self.number * self.frame + seconds
        while (taken := self.number * self.frame) < end - 1e-9:
            stamp, utc = self.stamp(taken), BEGAN + taken - self.behind(taken)
            report = None
            if due and taken >= due[0] - 1e-9:
                due.pop(0)
                self._told, report = utc - stamp, SenderReport(utc, round(stamp * 90_000) & 0xFFFFFFFF)
            delivered = taken + LATENCY + self.frame * self.held_back
            said = self.clock.feed(
                stamp, delivered, BEGAN + self.host_ahead(taken), before=self._before,
                capture_utc=None if self._told is None else stamp + self._told, report=report,
            )  # fmt: skip
            self._before = delivered
            self.number += 1
            yield taken, said

    def last(self, seconds: float, *reports: float) -> CaptureTime:
        """What is said of the last frame, its time relative to when it was taken."""
        *_, (taken, said) = self.run(seconds, *reports)
        return CaptureTime(said.utc - BEGAN - taken, said.clock, said.error_ms)

    @property
    def problem(self) -> str | None:
        return self.clock.problem and self.clock.problem.kind


def close(seconds: float) -> object:
    return pytest.approx(seconds, abs=2e-5)


def ms(seconds: float) -> object:
    return pytest.approx(1000 * seconds, abs=0.02)


def test_by_arrival_a_frame_was_taken_when_it_came_and_the_bound_is_what_cameras_and_frames_take() -> None:
    line = Line()
    said = line.last(10)
    assert (said.utc, said.clock, said.error_ms) == (close(LATENCY), "arrival", ms(EARLY))
    assert line.problem is None


def test_where_frames_are_given_out_at_once_that_is_when_they_came() -> None:
    assert Line(held_back=False).last(10).utc == close(LATENCY)


def test_without_stamps_each_frame_has_the_time_at_which_it_was_given_out() -> None:
    line = Line(stamps=False, held_back=True)
    assert line.last(10).utc == close(LATENCY + FRAME)
    assert line.problem is None


def test_the_frame_of_a_larger_gap_widens_the_bound_on_both_sides() -> None:
    assert Line(frame=0.2).last(10).error_ms == ms(ALLOWANCE + 0.2)


@pytest.mark.parametrize(
    ("host", "added"),
    [
        (HostClock(synchronised=True, error_ms=70.0), 0.07),
        (HostClock(synchronised=False), 1.0),
        (HostClock(), 1.0),
    ],
)
def test_the_error_of_this_computers_clock_widens_bounds_by_arrival(host: HostClock, added: float) -> None:
    assert Line(host=host).last(10).error_ms == ms(EARLY + added)


def test_the_latency_that_is_known_is_taken_off_and_changes_no_bound() -> None:
    options = CaptureOptions(offset_seconds=0.5)
    said = Line(options=options).last(10)
    assert (said.utc, said.error_ms) == (close(LATENCY - 0.5), ms(EARLY))
    said = Line(options=options).last(10, 6.0, 8.0)
    assert (said.utc, said.clock, said.error_ms) == (close(-0.5), "rtcp", ms(AGREED))


@pytest.mark.parametrize(
    ("behind", "clock", "error"),
    [
        pytest.param(0.0, "rtcp", max(EARLY - LATENCY, LATENCY + LATE), id="right"),
        pytest.param(-0.05, "rtcp", EARLY - LATENCY + 0.05, id="a little ahead"),
        pytest.param(-LATENCY - LATE + 0.001, "rtcp", EARLY + LATE - 0.001, id="as late as may be"),
        pytest.param(-LATENCY - LATE - 0.001, "arrival", EARLY, id="later than may be"),
        pytest.param(EARLY - LATENCY - 0.001, "rtcp", EARLY + LATE - 0.001, id="as early as may be"),
        pytest.param(EARLY - LATENCY + 0.001, "arrival", EARLY, id="earlier than may be"),
    ],
)
def test_one_report_alone_is_taken_within_what_arrival_leaves_possible_and_claims_no_more(
    behind: float, clock: str, error: float
) -> None:
    line = Line(behind=lambda _: behind)
    said = line.last(10, 8.0)
    assert (said.clock, said.error_ms) == (clock, ms(error))
    assert said.utc == close(-behind if clock == "rtcp" else LATENCY)
    assert line.problem is None


@pytest.mark.parametrize(
    ("gap", "error"),
    [
        pytest.param(LATENCY, AGREED, id="right"),
        pytest.param(0.001, AGREED, id="no latency at all"),
        pytest.param(-0.002, AGREED, id="sooner than it was taken by less than reports differ"),
        pytest.param(-0.05, 0.05, id="sooner than it was taken"),
        pytest.param(-0.0499, 0.0499, id="as much sooner as a busy host may make it"),
        pytest.param(ALLOWANCE, AGREED, id="as late as is allowed for"),
        pytest.param(ALLOWANCE + 0.24, AGREED, id="a little later"),
        pytest.param(ALLOWANCE + 0.26, ALLOWANCE + 0.26, id="as likely late as wrong"),
        pytest.param(1.99, 1.99, id="as late as any camera"),
    ],
)
def test_two_reports_that_agree_are_believed_as_far_as_arrival_does_not_contradict(gap: float, error: float) -> None:
    line = Line(behind=lambda _: gap - LATENCY)
    said = line.last(10, 6.0, 8.0)
    assert (said.utc, said.clock, said.error_ms) == (close(LATENCY - gap), "rtcp", ms(error))
    assert line.problem is None


@pytest.mark.parametrize(
    ("gap", "problem", "words"),
    [(-0.11, "ahead", "0.1 s ahead"), (2.01, "behind", "2.0 s behind"), (-7200.0, "ahead", "2.00 h ahead")],
)
def test_a_clock_further_off_than_any_camera_is_named_and_not_believed(gap: float, problem: str, words: str) -> None:
    line = Line(behind=lambda _: gap - LATENCY)
    said = line.last(10, 6.0, 8.0)
    assert (said.utc, said.clock, said.error_ms) == (close(LATENCY), "arrival", ms(EARLY))
    assert line.problem == problem
    assert words in str(line.clock.problem)
    assert "not synchronised itself" not in str(line.clock.problem)


@pytest.mark.parametrize(("gap", "kind"), [(-5.0, "ahead"), (5.0, "behind")])
def test_a_clock_that_is_off_is_not_blamed_on_the_camera_alone_where_the_host_is_not_set(gap: float, kind: str) -> None:
    line = Line(behind=lambda _: gap - LATENCY, host=HostClock(synchronised=False))
    line.last(10, 6.0, 8.0)
    assert line.problem == kind
    assert "not synchronised itself" in str(line.clock.problem)


def test_one_report_that_is_far_off_is_not_named_yet() -> None:
    line = Line(behind=lambda _: 100.0)
    assert line.last(10, 6.0).clock == "arrival"
    assert line.problem is None


def test_the_camera_asked_for_is_believed_whatever_arrival_says() -> None:
    line = Line(options=CaptureOptions(times="camera"), behind=lambda _: 100.0)
    said = line.last(10, 8.0)
    assert (said.utc, said.clock, said.error_ms) == (close(-100.0), "rtcp", ms(AGREED + 0.25))
    said = line.last(10, 12.0)
    assert (said.utc, said.clock, said.error_ms) == (close(-100.0), "rtcp", ms(AGREED))
    assert line.problem is None


def test_the_camera_asked_for_is_believed_also_where_frames_come_before_they_were_taken() -> None:
    said = Line(options=CaptureOptions(times="camera"), behind=lambda _: -LATENCY - 5.0).last(10, 6.0, 8.0)
    assert (said.utc, said.clock, said.error_ms) == (close(LATENCY + 5.0), "rtcp", ms(AGREED + 0.25))


@pytest.mark.parametrize(("seconds", "problem"), [(30.0, None), (30.2, "no reports")])
def test_a_camera_asked_for_that_tells_no_time_is_named_after_half_a_minute(
    seconds: float, problem: str | None
) -> None:
    line = Line(options=CaptureOptions(times="camera"))
    assert line.last(seconds).clock == "arrival"
    assert line.problem == problem
    if problem:
        assert "in 30 s" in str(line.clock.problem)
        line.last(3, 31.0)
        assert line.problem is None


def test_nobody_is_told_of_missing_reports_where_the_clock_is_not_asked_for() -> None:
    line = Line()
    line.last(40)
    assert line.problem is None


def test_a_camera_asked_for_whose_clock_was_never_set_or_stands_still_is_named() -> None:
    line = Line(options=CaptureOptions(times="camera"), behind=lambda _: BEGAN)
    assert line.last(10, 6.0).clock == "arrival"
    assert line.problem == "unset"
    line = Line(options=CaptureOptions(times="camera"), behind=lambda taken: taken)
    assert line.last(12, 4.0, 8.0).clock == "arrival"
    assert line.problem == "stuck"


def test_reports_that_fit_no_stamps_are_named_at_the_third_that_jumps() -> None:
    jumps = {4.0: 0.0, 8.0: 0.0, 12.0: 1.5, 16.0: 0.0, 20.0: 1.5, 24.0: 0.0}
    line = Line(behind=lambda taken: jumps[max([at for at in jumps if at <= taken], default=4.0)])
    line.last(17, *list(jumps)[:4])
    assert line.problem is None
    line.last(5, 20.0)
    assert line.problem == "misfit"


def test_where_the_arrival_alone_is_asked_for_reports_change_and_say_nothing() -> None:
    line = Line(options=CaptureOptions(times="arrival"), behind=lambda _: BEGAN)
    said = line.last(40, *range(2, 40, 4))
    assert (said.utc, said.clock, said.error_ms) == (close(LATENCY), "arrival", ms(EARLY))
    assert line.problem is None
    line.clock.announce(41.0, BEGAN, SenderReport(BEGAN + 41.0, 0))
    assert line.clock._reports._announced is None
    assert line.last(2).clock == "arrival"


@pytest.mark.parametrize(("drift", "problem"), [(0.18, None), (0.22, "drift")])
def test_a_clock_that_moves_against_this_computers_is_named(drift: float, problem: str | None) -> None:
    line = Line(behind=lambda taken: drift * min(1.0, max(0.0, taken - 20) / 600), frame=0.5)
    said = line.last(700, *range(10, 700, 10))
    assert line.problem == problem
    assert said.clock == ("arrival" if problem else "rtcp")


def test_what_moved_longer_than_a_quarter_of_an_hour_ago_counts_no_more() -> None:
    slow = Line(behind=lambda taken: 0.18 * taken / 900, frame=0.5)
    slow.last(2000, *range(10, 2000, 10))
    assert slow.problem is None
    moved = Line(behind=lambda taken: 0.3 * min(1.0, max(0.0, taken - 20) / 600), frame=0.5)
    moved.last(700, *range(10, 700, 10))
    assert moved.problem == "drift"
    moved.last(910, *range(710, 1610, 10))
    assert moved.problem is None


def test_a_clock_that_drifts_both_ways_is_named_too() -> None:
    line = Line(behind=lambda taken: -0.22 * min(1.0, max(0.0, taken - 20) / 600) + 0.3, frame=0.5)
    line.last(700, *range(10, 700, 10))
    assert line.problem == "drift"


@pytest.mark.parametrize("step", [0.3, -0.3])
def test_this_computers_clock_that_is_set_is_no_drift_of_the_cameras(step: float) -> None:
    line = Line(behind=lambda _: 0.4, host_ahead=lambda taken: step if taken > 30 else 0.0, frame=0.2)
    line.last(100, *range(8, 100, 8))
    assert line.problem is None


def test_a_small_correction_of_this_computers_clock_is_part_of_what_moved() -> None:
    def line(drift: float) -> Line:
        def behind(taken: float) -> float:
            return 0.4 + drift * min(1.0, max(0.0, taken - 20) / 600)

        return Line(behind=behind, host_ahead=lambda taken: 0.045 if taken > 300 else 0.0, frame=0.5)

    for drift, problem in ((0.14, None), (0.17, "drift")):
        one = line(drift)
        one.last(700, *range(10, 700, 10))
        assert one.problem == problem


def test_stamps_that_step_void_the_reports_before() -> None:
    line = Line(stamp=lambda taken: 50.0 + taken + (10.0 if taken > 20 else 0.0))
    assert line.last(20, 6.0, 8.0).clock == "rtcp"
    line.last(1.0)
    assert line.last(5.0).clock == "arrival"
    assert line.last(10.0, 27.0, 32.0).clock == "rtcp"
    assert line.problem is None


def test_stamps_that_are_wrong_are_named_first_of_all() -> None:
    line = Line(stamp=lambda taken: 50.0 + taken / 100, options=CaptureOptions(times="camera"))
    line.last(40)
    assert line.problem == "stamps"
    assert "advance by 0.01 s in a second" in str(line.clock.problem)


def test_one_report_is_not_believed_where_stamps_are_wrong_since_their_rate_is_unknown() -> None:
    line = Line(stamp=lambda taken: 50.0 + taken / 2)
    assert line.last(20).clock == "arrival"
    assert line.clock.arrival.stamps_hold is False
    assert line.last(10, 22.0).clock == "arrival"
    said = line.last(20, 32.0, 40.0, 46.0)
    assert (said.clock, said.utc) == ("rtcp", close(0.0))


def test_a_report_with_a_packet_that_has_no_stamp_counts_as_well() -> None:
    line = Line()
    line.last(6.0)
    report = SenderReport(BEGAN + 6.0, round(56.0 * 90_000))
    line.clock.announce(6.0 + LATENCY, BEGAN, report)
    line._told = BEGAN - 50.0
    said = line.last(1.0)
    assert (said.clock, said.utc) == ("rtcp", close(0.0))
    assert line.clock._reports.last is not None
    assert line.clock._reports.last.came == close(6.0 + LATENCY)
    assert line.clock._reports.gaps[0] == close(LATENCY - FRAME)


def test_before_anything_is_known_the_bound_says_that_all_may_have_waited() -> None:
    (_, first), *_ = Line().run(1.0)
    assert (first.clock, first.error_ms) == ("arrival", ms(EARLY + 1.0))
    assert Line().last(3.0).error_ms == ms(EARLY + 0.1)


@pytest.mark.parametrize(("latest", "clock"), [(0.199, "rtcp"), (0.201, "arrival")])
def test_what_this_computers_clock_may_be_off_is_granted_to_a_single_report_that_is_ahead(
    latest: float, clock: str
) -> None:
    line = Line(host=HostClock(synchronised=True, error_ms=200.0), behind=lambda _: -LATENCY - LATE - latest)
    assert line.last(10, 8.0).clock == clock


def test_where_arrival_alone_is_asked_for_neither_reports_nor_stamps_change_or_report_anything() -> None:
    alone = CaptureOptions(times="arrival")
    right = Line(options=alone)
    said = right.last(20, 6.0, 8.0, 12.0)
    assert (said.clock, said.utc, said.error_ms) == ("arrival", close(LATENCY), ms(EARLY))
    lying = Line(options=alone, stamp=lambda taken: 50.0 + taken / 100)
    lying.last(40)
    assert lying.clock.arrival.stamps_hold is False
    assert lying.problem is None


def test_a_single_report_near_the_truth_is_not_believed_while_the_rate_of_wrong_stamps_is_unknown() -> None:
    line = Line(stamp=lambda taken: 50.0 + taken / 2)
    line.last(20)
    assert {said.clock for _, said in line.run(0.1, 20.0)} == {"arrival"}
