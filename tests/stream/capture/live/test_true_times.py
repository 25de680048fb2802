"""A real camera over RTSP whose every capture time is known: slow, unset, with lying stamps; bounds hold, told once."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from helpers.media import Clip, counter, make_clip
from helpers.plain_camera import Behaviour, PlainCamera
from stream import Camera, CaptureOptions, Frame

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds, so that a frame's counter tells its time once and for all within a few seconds."""
    return make_clip(tmp_path_factory.mktemp("times") / "cam.ts", Clip(seconds=10, size=(320, 180)))


def watched(
    camera: PlainCamera, options: CaptureOptions, seconds: float, name: str = "roof"
) -> list[tuple[Frame, float]]:
    """The frames of so many seconds, each with its error in ms."""
    rows: list[tuple[Frame, float]] = []
    with Camera(name, camera.url, options) as roof:
        for frame in roof:
            index = counter(frame.levels(frame.luma))
            assert frame.utc is not None
            truth = min((abs(frame.utc - utc) for number, utc in list(camera.taken) if number == index), default=99.0)
            rows.append((frame, 1000 * truth))
            if frame.arrival - rows[0][0].arrival > seconds:
                break
    return rows


def share_within(rows: list[tuple[Frame, float]]) -> float:
    return sum(error <= (frame.utc_error_ms or 0.0) for frame, error in rows) / len(rows)


@pytest.mark.soak
@pytest.mark.parametrize("report_seconds", [0.0, 2.0])
def test_a_camera_that_slows_down_for_the_night_keeps_its_bound_and_tells_why_once(
    report_seconds: float, clip: Path, capture_options: CaptureOptions, caplog: pytest.LogCaptureFixture
) -> None:
    night = Behaviour(slowness=lambda t: 2.0 if t > 8 else 1.0, report_seconds=report_seconds)
    with caplog.at_level(logging.WARNING), PlainCamera(clip, night).running() as camera:
        rows = watched(camera, capture_options, 22)
    assert share_within(rows) >= 0.95  # a change is seen within 2 s
    last = rows[-20:]
    assert sorted(error for _, error in last)[10] < 50  # by arrival, which a busy host delays
    assert {frame.clock for frame, _ in last} == {"rtcp" if report_seconds else "arrival"}
    assert caplog.text.count("of the frames that its time stamps count") == 1
    assert {frame.epoch for frame, _ in rows} == {0}
    passed = rows[-1][0].seconds - rows[0][0].seconds
    assert passed == pytest.approx(rows[-1][0].arrival - rows[0][0].arrival, rel=0.15)


WRONG = {
    "unset": (Behaviour(clock=lambda _: -2_208_988_800.0), "clock is not set (it says 1900-01-01)"),
    "stopped": (Behaviour(clock=lambda _: 1.79e9), "clock stands still"),
    "ahead": (Behaviour(clock=lambda utc: utc + 3600), "1.00 h ahead"),
    "constant": (Behaviour(stamp=lambda _: 90_000), "stamps stand still"),
    "unit": (Behaviour(stamp=lambda n: n * 40), "advance by 0.01"),
}
"""Cameras with a wrong clock or wrong stamps, and what is said of each."""


@pytest.fixture(scope="module")
def seen_of_wrong(
    clip: Path, capture_options: CaptureOptions
) -> Iterator[tuple[dict[str, list[tuple[Frame, float]]], list[str]]]:
    """What 8 s of each of `WRONG` gave, watched at the same time, and the lines of the log."""

    def rows_of(name: str) -> list[tuple[Frame, float]]:
        with PlainCamera(clip, WRONG[name][0]).running() as camera:
            return watched(camera, capture_options, 8, name)

    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("stream").addHandler(handler)
    try:
        with ThreadPoolExecutor(len(WRONG)) as pool:
            yield dict(zip(WRONG, pool.map(rows_of, WRONG), strict=True)), lines
    finally:
        logging.getLogger("stream").removeHandler(handler)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_clock_or_wrong_stamps_are_told_once_and_every_frame_comes_with_a_true_time(
    name: str, seen_of_wrong: tuple[dict[str, list[tuple[Frame, float]]], list[str]]
) -> None:
    rows = seen_of_wrong[0][name]
    told = [line for line in seen_of_wrong[1] if line.startswith(f"{name}: ")]
    assert share_within(rows) >= 0.99
    assert sum(WRONG[name][1] in line for line in told) == 1
    assert len([line for line in told if "clock" in line or "stamps" in line]) == 1
    counts = [counter(frame.levels(frame.luma)) for frame, _ in rows]
    assert counts == list(range(counts[0], counts[0] + len(counts)))
    assert max(frame.epoch for frame, _ in rows) <= 1
    steps = [after.seconds - before.seconds for (before, _), (after, _) in pairwise(rows[25:])]
    assert sum(steps) / len(steps) == pytest.approx(0.04, rel=0.1)


def test_right_reports_of_a_steady_camera_are_within_a_millisecond(clip: Path, capture_options: CaptureOptions) -> None:
    with PlainCamera(clip).running() as camera:
        rows = watched(camera, capture_options, 5)
    confirmed = [(frame, error) for frame, error in rows if (frame.utc_error_ms or 99.0) <= 5.0]
    assert len(confirmed) > 50
    assert max(error for _, error in confirmed) <= 1.0
    assert max(error for frame, error in rows if frame.clock == "rtcp") <= 1.0
