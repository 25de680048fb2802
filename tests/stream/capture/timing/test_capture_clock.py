"""Capture times in UTC of cameras whose true times are known: bounds hold, and what is wrong is named once."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from stream import CaptureOptions
from stream.capture.timing.capture_clock import CaptureClock, CaptureTime
from stream.capture.timing.host_clock import HostClock, HostClockError
from stream.capture.timing.sender_reports import Announced, SenderReport, SenderReports

FRAME = 0.04
BEGAN = 1.8e9
DEFAULTS = CaptureOptions()
SYNCHRONISED = HostClock(synchronised=True, error_ms=0.0, source="adjtimex")


@dataclass(frozen=True)
class MadeCamera:
    """A camera whose capture times are known: its stamps begin at 50 s, its packets travel and its clock may be wrong.

    delay: mean of an exponential travel time; latency: exposure to sending; offset(t), drift: of the camera's clock;
    stamp_offset(t): of its time stamps; report_seconds: between sender reports, 0 for none; held_until(t): no earlier
    does the frame of t come; slowness(t): real seconds for a stamped one; clock(t): what its reports give as UTC;
    stated: time from frame to frame as it says; stamp(n): of frame n, whatever else is set.
    """

    latency: float = 0.06
    delay: float = 0.002
    report_seconds: float = 4.0
    offset: Callable[[float], float] = lambda _: 0.0
    stamp_offset: Callable[[float], float] = lambda _: 0.0
    stamp_drift: float = 0.0
    held_until: Callable[[float], float] = lambda _: 0.0
    slowness: Callable[[float], float] = lambda _: 1.0
    clock: Callable[[float], float] | None = None
    stated: float = FRAME
    stamp: Callable[[int], float] | None = None
    options: CaptureOptions = DEFAULTS
    host: HostClock = SYNCHRONISED

    def _tell(self, taken: float) -> float:
        return self.clock(taken) if self.clock is not None else BEGAN + taken + self.offset(taken)

    def run(self, seconds: float) -> Iterator[tuple[float, CaptureTime, CaptureClock]]:
        """(true capture time, what the clock says, the clock) of every frame."""
        rng = random.Random(7)
        clock = CaptureClock(
            self.stated, self.options, host=HostClockError(1000.0, read=lambda: self.host, now=lambda: 0.0)
        )
        last_arrival, report_at, told = 0.0, 1.5, None
        before: float | None = None
        number, taken = 0, 0.0
        while taken < seconds:
            counted = number * FRAME
            stamp = 50 + counted * (1 + self.stamp_drift) + self.stamp_offset(taken)
            if self.stamp is not None:
                stamp = self.stamp(number)
            following = taken + FRAME * self.slowness(taken)
            arrival = max(
                last_arrival, following + self.latency + rng.expovariate(1 / self.delay), self.held_until(taken)
            )
            last_arrival = arrival
            report = bool(self.report_seconds) and taken >= report_at
            if report:
                report_at, told = taken + self.report_seconds, self._tell(taken) - stamp
            said = clock.feed(
                stamp,
                arrival,
                BEGAN,
                before=before,
                capture_utc=None if told is None else stamp + told,
                report=SenderReport(self._tell(taken), round(stamp * 90_000) & 0xFFFFFFFF) if report else None,
            )
            before = arrival
            yield BEGAN + taken, said, clock
            number, taken = number + 1, following


def judged(camera: MadeCamera, seconds: float) -> tuple[float, set[str], list[CaptureTime]]:
    """Share of frames whose true time lies within the stated bound, the clocks used, and all that was said."""
    rows = list(camera.run(seconds))
    within = [abs(said.utc - true) * 1000 <= said.error_ms for true, said, _ in rows]
    return sum(within) / len(within), {said.clock for _, said, _ in rows}, [said for _, said, _ in rows]


def told(camera: MadeCamera, seconds: float) -> list[tuple[str, str]]:
    """The kinds of problems that were named, each with its first words."""
    found: dict[str, str] = {}
    for _, _, clock in camera.run(seconds):
        if clock.problem is not None:
            found.setdefault(clock.problem.kind, clock.problem.text)
    return list(found.items())


@pytest.mark.parametrize("delay", [0.0005, 0.01, 0.1])
@pytest.mark.parametrize("drift_ppm", [0, 50, -200])
def test_with_sender_reports_the_bound_is_small_and_true(delay: float, drift_ppm: float) -> None:
    share, clocks, said = judged(MadeCamera(delay=delay, stamp_drift=drift_ppm * 1e-6), 120)
    assert share >= 0.99
    assert clocks == {"arrival", "rtcp"}
    confirmed = said[round(10 / FRAME) :]
    assert {s.clock for s in confirmed} == {"rtcp"}
    assert sum(s.error_ms <= 5 for s in confirmed) / len(confirmed) >= 0.99
    assert said[-1].clock == "rtcp"


@pytest.mark.parametrize("delay", [0.0005, 0.01, 0.1])
@pytest.mark.parametrize("drift_ppm", [0, 50, -200])
def test_without_reports_the_fastest_packets_tell_the_time(delay: float, drift_ppm: float) -> None:
    share, clocks, said = judged(MadeCamera(delay=delay, stamp_drift=drift_ppm * 1e-6, report_seconds=0), 120)
    assert share >= 0.99
    assert clocks == {"arrival"}
    assert said[-1].error_ms < 600


@pytest.mark.parametrize("latency", [0.01, 0.2])
def test_a_frame_came_when_its_own_first_bytes_did_not_when_ffmpeg_gave_it_out(latency: float) -> None:
    rows = list(MadeCamera(latency=latency, delay=0.0005, report_seconds=0).run(20))
    late = sorted(said.utc - true for true, said, _ in rows[round(6 / FRAME) :])
    # By arrival, so the camera's own latency stays in it; the frame that FFmpeg holds back must not.
    assert late[len(late) // 2] == pytest.approx(latency, abs=0.005)
    first = [said.utc - true for true, said, _ in rows[:1]]
    assert first == [pytest.approx(latency, abs=0.01)]


@pytest.mark.parametrize("slow", [0.005, 0.04, 0.1])
def test_time_stamps_that_run_slow_for_good_stay_within_the_bound(slow: float) -> None:
    share, clocks, _ = judged(MadeCamera(stamp_drift=-slow, report_seconds=0), 120)
    assert share == 1.0
    assert clocks == {"arrival"}


def test_a_camera_clock_that_is_years_off_is_told_and_not_believed() -> None:
    *_, (true, said, clock) = MadeCamera(offset=lambda _: -3e8).run(20)
    assert said.clock == "arrival"
    assert abs(said.utc - true) * 1000 <= said.error_ms
    assert "behind" in str(clock.problem)


@pytest.mark.parametrize("step_seconds", [10.0, -10.0])
def test_a_clock_that_steps_is_followed_or_dropped_and_bounds_stay_true(step_seconds: float) -> None:
    camera = MadeCamera(offset=lambda taken: step_seconds if 30 < taken < 60 else 0.0)
    rows = list(camera.run(90))
    within = [abs(said.utc - true) * 1000 <= said.error_ms for true, said, _ in rows]
    assert sum(within) / len(within) >= 0.99
    assert rows[round(45 / FRAME)][1].clock == "arrival"
    assert rows[-1][1].clock == "rtcp"


@pytest.mark.parametrize("step_seconds", [10.0, -10.0])
@pytest.mark.parametrize("report_seconds", [0.0, 4.0])
def test_time_stamps_that_step_are_followed_at_once(step_seconds: float, report_seconds: float) -> None:
    stepping = MadeCamera(stamp_offset=lambda t: step_seconds if t > 30 else 0.0, report_seconds=report_seconds)
    share, _, said = judged(stepping, 60)
    assert share >= 0.99
    begun, stepped = round(1 / FRAME) + 1, round(31 / FRAME) + 2
    assert max(s.error_ms for s in said[begun : round(30 / FRAME)] + said[stepped:]) < 600


@pytest.mark.parametrize(
    "held_until",
    [
        pytest.param(lambda _: 0.9, id="all at once"),
        pytest.param(lambda taken: 1.8 if taken else 0.6, id="the first one and, much later, all the others"),
    ],
)
def test_frames_that_waited_while_the_connection_was_made_get_a_bound_that_covers_it(
    held_until: Callable[[float], float],
) -> None:
    share, _, said = judged(MadeCamera(report_seconds=0, held_until=held_until), 7)
    assert share >= 0.99
    assert said[-1].error_ms < 600


def test_a_camera_clock_that_drifts_against_the_host_is_told_and_not_believed() -> None:
    *_, (_, said, clock) = MadeCamera(offset=lambda taken: taken * -500e-6).run(600)
    assert said.clock == "arrival"
    assert "drifts" in str(clock.problem)


def test_a_clock_that_is_a_little_behind_gets_a_bound_that_covers_it() -> None:
    share, _, said = judged(MadeCamera(offset=lambda _: -1.2), 30)
    assert share >= 0.99
    assert said[-1].clock == "rtcp"
    assert said[-1].error_ms > 1200


# Cameras that deliver another number of frames than they stamp


@pytest.mark.parametrize("slowness", [2.0, 1.19, 1 / 0.9, 1.02, 25.0, 0.9])
@pytest.mark.parametrize("report_seconds", [0.0, 4.0])
def test_a_camera_that_delivers_fewer_or_more_frames_than_it_stamps_keeps_its_bound(
    slowness: float, report_seconds: float
) -> None:
    camera = MadeCamera(slowness=lambda _: slowness, report_seconds=report_seconds)
    share, _, said = judged(camera, 120)
    assert share >= 0.99
    assert said[-1].error_ms < (12 if report_seconds else 250 + 1000 * FRAME * slowness + 600)
    assert [kind for kind, _ in told(camera, 120)] == ["stamps"]


@pytest.mark.parametrize("slower", [1.02, 1.1, 2.0, 8.0])
@pytest.mark.parametrize("report_seconds", [0.0, 4.0])
def test_long_exposures_at_night_are_followed_and_the_stamps_believed_again_in_the_morning(
    slower: float, report_seconds: float
) -> None:
    camera = MadeCamera(slowness=lambda t: slower if 60 < t < 600 else 1.0, report_seconds=report_seconds)
    rows = list(camera.run(700))
    within = [abs(said.utc - true) * 1000 <= said.error_ms for true, said, _ in rows]
    assert sum(within) / len(within) >= 0.99
    night = [said for true, said, _ in rows if 300 < true - BEGAN < 590]
    assert max(said.error_ms for said in night) < (30 if report_seconds else 300 + 1000 * FRAME * slower + 100)
    assert rows[-1][2].problem is None
    assert rows[-1][1].error_ms <= (5 if report_seconds else 300)
    assert [kind for kind, _ in told(camera, 700)] == ["stamps"]


@pytest.mark.parametrize("slower", [1.02, 1.1, 2.0])
def test_on_a_quiet_network_not_even_the_first_slow_frames_leave_their_bound(slower: float) -> None:
    rows = list(MadeCamera(slowness=lambda t: slower if t > 60 else 1.0, delay=0.0005).run(90))
    outside = [1000 * (true - BEGAN) for true, said, _ in rows if abs(said.utc - true) * 1000 > said.error_ms]
    assert len(outside) <= 0.01 * len(rows), outside


def test_a_camera_whose_rate_changes_all_the_time_keeps_its_bound() -> None:
    rates = random.Random(3)
    changes = [rates.choice([1.0, 1.2, 1.5, 2.0, 4.0]) for _ in range(100)]
    share, _, _ = judged(MadeCamera(slowness=lambda t: changes[int(t // 9) % 100]), 600)
    assert share >= 0.95  # each of 66 changes is seen within 2 s


def test_a_link_with_stalls_and_jitter_does_not_make_a_steady_camera_slow() -> None:
    stalled = MadeCamera(delay=0.03, held_until=lambda t: (t // 10) * 10 + 0.4 if t % 10 < 0.4 else 0.0)
    share, _, said = judged(stalled, 200)
    assert share >= 0.99
    assert told(stalled, 200) == []
    confirmed = said[round(10 / FRAME) :]
    assert sum(s.clock == "rtcp" and s.error_ms <= 5 for s in confirmed) / len(confirmed) > 0.95


def test_a_busy_host_that_catches_up_over_seconds_does_not_make_a_camera_fast() -> None:
    busy = MadeCamera(report_seconds=0, held_until=lambda t: t + (30 - t) / 4 if 20 < t < 30 else 0.0)
    share, _, _ = judged(busy, 60)
    assert share >= 0.99
    assert told(busy, 60) == []


def test_one_report_alone_claims_no_more_than_arrival_allows_and_a_second_confirms_it() -> None:
    rows = list(MadeCamera().run(20))
    first = [said for true, said, _ in rows if 2.0 < true - BEGAN < 5.4]
    later = [said for true, said, _ in rows if true - BEGAN > 6.0]
    assert {said.clock for said in first} == {"rtcp"}
    assert min(said.error_ms for said in first) > 200
    assert max(said.error_ms for said in later) <= 5


def test_a_connection_that_begins_late_and_catches_up_is_no_drifting_clock() -> None:
    busy = MadeCamera(report_seconds=1.4, held_until=lambda taken: taken + 0.45 if taken < 2 else 0.0)
    assert told(busy, 60) == []


# Clocks and stamps that are wrong


@pytest.mark.parametrize(
    ("clock", "kind", "words"),
    [
        pytest.param(lambda _: -2_208_988_800.0, "unset", "not set (it says 1900-01-01)", id="NTP 0"),
        pytest.param(lambda t: -2_208_988_800.0 + 500 + t, "unset", "not set (it says 1900-01-01)", id="uptime"),
        pytest.param(lambda t: 10.0 + t, "unset", "not set (it says 1970-01-01)", id="1970"),
        pytest.param(lambda _: BEGAN, "stuck", "stands still", id="stuck"),
        pytest.param(lambda t: BEGAN + t - 7200, "behind", "2.00 h behind this host's", id="local time"),
        pytest.param(lambda t: BEGAN + t + 10, "ahead", "s ahead of this host's", id="ahead"),
        pytest.param(lambda t: BEGAN + (t * 7919) % 977, "misfit", "do not fit", id="random"),
    ],
)
def test_a_wrong_clock_is_named_once_and_every_bound_stays_true(
    clock: Callable[[float], float], kind: str, words: str
) -> None:
    camera = MadeCamera(clock=clock)
    share, clocks, _ = judged(camera, 180)
    assert share >= 0.99
    ((found, text),) = told(camera, 180)
    assert found == kind
    assert words in text
    assert "rtcp" not in clocks or kind in ("stuck", "misfit")


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        pytest.param(lambda n: 50.0, "stand still", id="constant"),
        pytest.param(lambda n: 50 + n * 0.04 / 90, "advance by 0.011 s in a second", id="milliseconds as ticks"),
        pytest.param(lambda n: 50 + n * 4.0, "jump about", id="a hundred times too fast"),
        pytest.param(lambda n: 50 + (n * 7919) % 977, "jump about", id="random"),
    ],
)
def test_stamps_in_a_wrong_unit_or_constant_are_named_and_no_small_bound_is_claimed(
    stamp: Callable[[int], float], words: str
) -> None:
    camera = MadeCamera(stamp=stamp)
    share, _, said = judged(camera, 60)
    assert share >= 0.99
    assert min(s.error_ms for s in said) > 100
    ((kind, text),) = told(camera, 60)
    assert kind == "stamps"
    assert words in text


@pytest.mark.parametrize("stated", [0.2, 0.01])
def test_a_frame_rate_that_is_stated_wrong_changes_no_time(stated: float) -> None:
    camera = MadeCamera(stated=stated)
    share, _, said = judged(camera, 30)
    assert share >= 0.99
    assert max(s.error_ms for s in said[-100:]) <= 5
    assert told(camera, 30) == []


# Settings of a camera, and this computer's clock


def test_times_by_arrival_only_use_no_report_and_say_nothing_of_the_clock() -> None:
    camera = MadeCamera(clock=lambda _: 0.0, options=CaptureOptions(times="arrival"))
    share, clocks, _ = judged(camera, 60)
    assert (share, clocks) == (1.0, {"arrival"})
    assert told(camera, 60) == []


def test_times_by_the_camera_are_taken_even_where_its_clock_differs_from_this_computers() -> None:
    rows = list(MadeCamera(offset=lambda _: 10.0, options=CaptureOptions(times="camera")).run(20))
    true, said, clock = rows[-1]
    assert said.clock == "rtcp"
    assert said.utc - true == pytest.approx(10.0, abs=0.001)
    assert clock.problem is None


def test_a_camera_asked_for_its_times_that_tells_none_is_named() -> None:
    ((kind, text),) = told(MadeCamera(report_seconds=0, options=CaptureOptions(times="camera")), 40)
    assert kind == "no reports"
    assert 'times = "camera"' in text


def test_a_known_latency_is_taken_off_all_times() -> None:
    options = CaptureOptions(offset_seconds=0.5)
    for report_seconds in (0.0, 4.0):
        plain = list(MadeCamera(report_seconds=report_seconds).run(20))
        shifted = list(MadeCamera(report_seconds=report_seconds, options=options).run(20))
        assert [b[1].utc - a[1].utc for a, b in zip(plain, shifted, strict=True)] == pytest.approx([-0.5] * len(plain))


@pytest.mark.parametrize(
    ("host", "added"),
    [
        (HostClock(synchronised=True, error_ms=70.0, source="adjtimex"), 70.0),
        (HostClock(synchronised=False, source="adjtimex"), 1000.0),
    ],
)
def test_the_error_of_this_computers_clock_is_part_of_bounds_by_arrival_alone(host: HostClock, added: float) -> None:
    by_arrival = MadeCamera(report_seconds=0)
    plain, worse = (list(c.run(20))[-1][1] for c in (by_arrival, replace(by_arrival, host=host)))
    assert worse.error_ms - plain.error_ms == pytest.approx(added)
    assert list(replace(MadeCamera(), host=host).run(20))[-1][1].error_ms <= 5


def test_words_about_a_clock_that_differs_do_not_blame_the_camera_where_the_host_is_not_synchronised() -> None:
    camera = MadeCamera(offset=lambda _: 10.0, host=HostClock(synchronised=False, source="adjtimex"))
    ((_, text),) = told(camera, 30)
    assert "not synchronised itself" in text


@pytest.mark.parametrize("late_packets", [1, 2, 5])
def test_packets_that_still_carry_the_time_of_the_last_report_do_not_confirm_the_new_one(
    late_packets: int,
) -> None:
    # A slow camera: with each report the offset moves by half a second.
    reports = SenderReports()
    frame, slow = 0.04, 1.1
    for number in range(3):
        stamp = number * 4.0
        offsets = [BEGAN + n * 4.0 * slow - n * 4.0 for n in (number - 1, number)]
        report = SenderReport(BEGAN + stamp * slow, round((500 + stamp) * 90_000))
        reports.announce(Announced(report, stamp, stamp * slow, report.utc))
        old = late_packets if number else 0
        for packet in range(1, old + 4):
            when = stamp + packet * frame
            reports.feed(when, when + offsets[packet > old])
        assert reports.last is not None
        assert reports.last.stamp == pytest.approx(stamp, abs=1e-3)
    said = reports.at(10.0, 10.0 * slow, BEGAN + 10.0 * slow)
    assert said is not None
    assert said.utc == pytest.approx(BEGAN + 10.0 * slow, abs=1e-3)
