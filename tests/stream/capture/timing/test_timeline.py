"""Time stamps made steady, and capture times in UTC with bounds that hold."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.mangler import Faults, Mangler
from helpers.media import counter
from helpers.rtsp import RtspServer
from stream import Camera, CaptureOptions
from stream.capture.timing.capture_clock import CaptureClock, CaptureTime
from stream.capture.timing.timeline import MonotonicTimeline

FRAME = 0.04


# Steady seconds


@given(st.lists(st.one_of(st.none(), st.floats(-1e5, 1e5)), max_size=40), st.booleans())
def test_time_never_runs_backwards_and_epochs_never_fall(stamps: list[float | None], live: bool) -> None:
    clock = MonotonicTimeline(jump_seconds=1.0)
    last, epoch = 0.0, 0
    for number, stamp in enumerate(stamps):
        seconds = clock.place(stamp, FRAME, number * FRAME if live else None)
        assert seconds >= last
        assert clock.epoch >= epoch
        last, epoch = seconds, clock.epoch


def test_a_wrap_of_the_time_stamps_costs_one_epoch_and_no_time() -> None:
    clock = MonotonicTimeline(jump_seconds=1.0)
    wrap = 2**32 / 90000
    seconds = [clock.place((wrap - 0.1 + n * FRAME) % wrap, FRAME) for n in range(6)]
    assert seconds == pytest.approx([n * FRAME for n in range(6)])
    assert clock.epoch == 1


def test_frames_with_a_doubled_time_stamp_begin_no_epoch_and_later_ones_keep_their_time() -> None:
    clock = MonotonicTimeline(jump_seconds=1.0)
    stamps = [(n - (n % 10 == 5)) * FRAME for n in range(1000)]
    seconds = [clock.place(stamp, FRAME) for stamp in stamps]
    assert seconds == pytest.approx([n * FRAME for n in range(1000)])
    assert clock.epoch == 0


def test_time_goes_on_while_stamps_stand_still_and_waits_for_a_second_afterwards_at_most() -> None:
    clock = MonotonicTimeline(jump_seconds=1.0)
    seconds = [clock.place(stamp, FRAME) for stamp in [0.0] * 100 + [n * FRAME for n in range(1, 100)]]
    assert seconds[100] > 3.9
    assert len(set(seconds[100:])) > 100 - 1.0 / FRAME - 2


def test_across_a_jump_a_live_source_goes_on_by_what_passed_on_the_host() -> None:
    clock = MonotonicTimeline(jump_seconds=1.0)
    clock.place(10.0, FRAME, 100.0)
    clock.place(10.04, FRAME, 100.04)
    assert clock.place(5000.0, FRAME, 100.54) == pytest.approx(0.54)
    assert clock.epoch == 1


def test_a_new_connection_is_a_new_epoch_and_keeps_the_time_that_passed() -> None:
    clock = MonotonicTimeline(jump_seconds=1.0)
    clock.place(10.0, FRAME, 100.0)
    clock.restart()
    assert clock.place(3.0, FRAME, 107.0) == pytest.approx(7.0)
    assert clock.epoch == 1


# Capture times of a made camera


@dataclass(frozen=True)
class MadeCamera:
    """A camera whose capture times are known: its stamps begin at 50 s, its packets travel and its clock may be wrong.

    delay: mean of an exponential travel time; latency: exposure to sending; offset(t), drift: of the camera's clock;
    stamp_offset(t): of its time stamps; report_seconds: between sender reports, 0 for none; held_until(t): no earlier
    does the frame of t come.
    """

    latency: float = 0.06
    delay: float = 0.002
    report_seconds: float = 4.0
    offset: Callable[[float], float] = lambda _: 0.0
    stamp_offset: Callable[[float], float] = lambda _: 0.0
    stamp_drift: float = 0.0
    held_until: Callable[[float], float] = lambda _: 0.0

    def run(self, seconds: float) -> Iterator[tuple[float, CaptureTime, CaptureClock]]:
        """(true capture time, what the clock says, the clock) of every frame."""
        rng = random.Random(7)
        clock = CaptureClock(FRAME, latency_allowance_ms=250)
        began, last_arrival, report_at, told = 1.8e9, 0.0, 1.5, None
        for number in range(round(seconds / FRAME)):
            taken = number * FRAME
            stamp = 50 + taken * (1 + self.stamp_drift) + self.stamp_offset(taken)
            arrival = taken + FRAME + self.latency + rng.expovariate(1 / self.delay)
            arrival = max(last_arrival, arrival, self.held_until(taken))
            last_arrival = arrival
            clock.feed(stamp, arrival, began)
            report = bool(self.report_seconds) and taken >= report_at
            if report:
                report_at = taken + self.report_seconds
                told = began + taken + self.offset(taken) - stamp
            if told is not None:
                clock.feed_camera(stamp, stamp + told, report=report)
            said = clock.at(stamp)
            assert said is not None
            yield began + taken, said, clock


def judged(camera: MadeCamera, seconds: float) -> tuple[float, set[str], list[CaptureTime]]:
    """Share of frames whose true time lies within the stated bound, the clocks used, and all that was said."""
    rows = list(camera.run(seconds))
    within = [abs(said.utc - true) * 1000 <= said.error_ms for true, said, _ in rows]
    return sum(within) / len(within), {said.clock for _, said, _ in rows}, [said for _, said, _ in rows]


@pytest.mark.parametrize("delay", [0.0005, 0.01, 0.1])
@pytest.mark.parametrize("drift_ppm", [0, 50, -200])
def test_with_sender_reports_the_bound_is_small_and_true(delay: float, drift_ppm: float) -> None:
    share, clocks, said = judged(MadeCamera(delay=delay, stamp_drift=drift_ppm * 1e-6), 120)
    assert share >= 0.99
    assert clocks == {"arrival", "rtcp"}
    assert max(s.error_ms for s in said if s.clock == "rtcp") <= 5
    assert said[-1].clock == "rtcp"


@pytest.mark.parametrize("delay", [0.0005, 0.01, 0.1])
@pytest.mark.parametrize("drift_ppm", [0, 50, -200])
def test_without_reports_the_fastest_packets_tell_the_time(delay: float, drift_ppm: float) -> None:
    share, clocks, said = judged(MadeCamera(delay=delay, stamp_drift=drift_ppm * 1e-6, report_seconds=0), 120)
    assert share >= 0.99
    assert clocks == {"arrival"}
    assert said[-1].error_ms < 600


@pytest.mark.parametrize("slow", [0.005, 0.04, 0.1])
def test_time_stamps_that_run_slow_for_good_stay_within_the_bound(slow: float) -> None:
    share, clocks, _ = judged(MadeCamera(stamp_drift=-slow, report_seconds=0), 120)
    assert share == 1.0
    assert clocks == {"arrival"}


def test_a_camera_clock_that_is_years_off_is_told_and_not_believed() -> None:
    *_, (true, said, clock) = MadeCamera(offset=lambda _: -3e8).run(20)
    assert said.clock == "arrival"
    assert abs(said.utc - true) * 1000 <= said.error_ms
    assert "behind" in str(clock.complaint)


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
    assert "drifts" in str(clock.complaint)


def test_a_clock_that_is_a_little_behind_gets_a_bound_that_covers_it() -> None:
    share, _, said = judged(MadeCamera(offset=lambda _: -1.2), 30)
    assert share >= 0.99
    assert said[-1].clock == "rtcp"
    assert said[-1].error_ms > 1200


# A real server whose capture times are known


@dataclass(frozen=True)
class Timed:
    """What was said of one frame's time, and how far that is from the truth."""

    clock: str
    error_ms: float
    bound_ms: float


def timed(url: str, log: Path, options: CaptureOptions, clock: str, enough: int) -> list[Timed]:
    """Frames until `enough` have a time from `clock`; truth is what the server wrote down."""
    said: list[tuple[int, float, str, float]] = []
    with Camera("roof", url, options) as camera:
        for frame in camera:
            assert frame.utc is not None
            assert frame.utc_error_ms is not None
            said.append((counter(frame.levels(frame.luma)), frame.utc, frame.clock, frame.utc_error_ms))
            if [row[2] for row in said].count(clock) >= enough or frame.number > 400:
                break
    truth: dict[int, list[float]] = {}
    for line in log.read_text().splitlines():
        utc_ns, _, index = line.split()
        truth.setdefault(int(index), []).append(int(utc_ns) / 1e9)
    return [
        Timed(clock, min(abs(utc - true) for true in truth[number]) * 1000, bound) for number, utc, clock, bound in said
    ]


Servers = Callable[..., RtspServer]
Mangled = Callable[[RtspServer, Faults], tuple[Mangler, str]]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_with_a_real_camera_the_sender_reports_give_the_true_time(
    transport: str, rtsp_server: Servers, camera_clip: Path, capture_options: CaptureOptions, tmp_path: Path
) -> None:
    server = rtsp_server(camera_clip, "--log", str(tmp_path / "log"))
    options = msgspec.structs.replace(capture_options, transport=transport)
    rows = timed(server.url, tmp_path / "log", options, "rtcp", 50)
    assert [row.clock for row in rows].count("rtcp") == 50
    assert max(row.bound_ms for row in rows if row.clock == "rtcp") <= 5
    assert sum(row.error_ms <= row.bound_ms for row in rows) / len(rows) >= 0.99


def test_with_a_real_camera_without_reports_arrival_gives_a_time_within_its_bound(
    rtsp_server: Servers, mangled: Mangled, camera_clip: Path, capture_options: CaptureOptions, tmp_path: Path
) -> None:
    server = rtsp_server(camera_clip, "--log", str(tmp_path / "log"))
    _, url = mangled(server, Faults(no_reports=True, jitter_ms=10))
    rows = timed(url, tmp_path / "log", capture_options, "arrival", 80)
    assert {row.clock for row in rows} == {"arrival"}
    assert sum(row.error_ms <= row.bound_ms for row in rows) / len(rows) >= 0.99


def test_a_real_camera_with_a_wrong_clock_is_told_in_its_status(
    rtsp_server: Servers, mangled: Mangled, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    _, url = mangled(server, Faults(clock_offset_seconds=-86400.0 * 365))
    with Camera("roof", url, capture_options) as camera:
        for frame in camera:
            if camera.status.clock_problem or frame.number > 200:
                break
        assert "behind" in str(camera.status.clock_problem)
        assert camera.status.clock == "arrival"
