"""Time stamps made steady, and capture times of a real server in UTC with bounds that hold."""

from collections.abc import Callable
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


# A real server whose capture times are known


@dataclass(frozen=True)
class Timed:
    """What was said of one frame's time, and how far that is from the truth."""

    clock: str
    error_ms: float
    bound_ms: float


CONFIRMED_MS = 5.0
"""The largest bound once a second report has agreed with the first."""


def timed(url: str, log: Path, options: CaptureOptions, enough: int, *, confirmed: bool) -> list[Timed]:
    """Frames until `enough` have a time, by reports that agree if `confirmed`; truth is what the server wrote down."""
    said: list[tuple[int, float, str, float]] = []
    with Camera("roof", url, options) as camera:
        for frame in camera:
            assert frame.utc is not None
            assert frame.utc_error_ms is not None
            said.append((counter(frame.levels(frame.luma)), frame.utc, frame.clock, frame.utc_error_ms))
            if sum(row[3] <= CONFIRMED_MS or not confirmed for row in said) >= enough or frame.number > 600:
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
    rows = timed(server.url, tmp_path / "log", options, 50, confirmed=True)
    assert [row.clock for row in rows if row.bound_ms <= CONFIRMED_MS] == ["rtcp"] * 50
    assert max(row.bound_ms for row in rows[-50:]) <= CONFIRMED_MS
    assert sum(row.error_ms <= row.bound_ms for row in rows) / len(rows) >= 0.99


def test_with_a_real_camera_without_reports_arrival_gives_a_time_within_its_bound(
    rtsp_server: Servers, mangled: Mangled, camera_clip: Path, capture_options: CaptureOptions, tmp_path: Path
) -> None:
    server = rtsp_server(camera_clip, "--log", str(tmp_path / "log"))
    _, url = mangled(server, Faults(no_reports=True, jitter_ms=10))
    rows = timed(url, tmp_path / "log", capture_options, 80, confirmed=False)
    assert {row.clock for row in rows} == {"arrival"}
    assert sum(row.error_ms <= row.bound_ms for row in rows) / len(rows) >= 0.99


def test_a_real_camera_with_a_wrong_clock_is_told_in_its_status(
    rtsp_server: Servers, mangled: Mangled, camera_clip: Path, capture_options: CaptureOptions
) -> None:
    server = rtsp_server(camera_clip)
    _, url = mangled(server, Faults(clock_offset_seconds=-86400.0 * 365))
    with Camera("roof", url, capture_options) as camera:
        for frame in camera:
            if camera.status.clock_problem or frame.number > 400:
                break
        assert "behind" in str(camera.status.clock_problem)
        assert camera.status.clock == "arrival"
