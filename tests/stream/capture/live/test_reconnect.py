"""When a lost camera is tried again, with the shipped options."""

import pytest

from stream import CaptureOptions
from stream.capture.live.reconnect import ReconnectSchedule

OPENING_SECONDS = 1.0  # what reaching a camera that is back takes, with room to spare


def attempts(outage_seconds: float, *, refused: bool = False) -> tuple[list[float], ReconnectSchedule]:
    """When a camera that was live is tried while it is away, in seconds after its last frame."""
    retry = ReconnectSchedule(CaptureOptions())
    retry.succeeded(0.0)
    retry.lost(100.0, 100.0)
    tried = []
    while retry.due < 100 + outage_seconds:
        tried.append(retry.due - 100)
        retry.failed(retry.due, refused=refused)
    return tried, retry


@pytest.mark.parametrize(("outage_seconds", "back_within"), [(2, 3), (29, 3), (590, 10), (7200, 60), (90000, 60)])
def test_a_camera_that_returns_is_reached_in_time(outage_seconds: float, back_within: float) -> None:
    for _ in range(50):
        _, retry = attempts(outage_seconds)
        assert retry.due - 100 - outage_seconds + OPENING_SECONDS <= back_within


def test_a_camera_that_stays_away_costs_few_attempts() -> None:
    tried, _ = attempts(86400)
    assert len([t for t in tried if t < 60]) < 80
    assert len(tried) < 5000


def test_a_wrong_password_is_tried_at_most_twice_a_minute_and_never_given_up() -> None:
    retry = ReconnectSchedule(CaptureOptions())
    now, waits = 0.0, []
    for _ in range(20):
        retry.failed(now, refused=True)
        waits.append(retry.due - now)
        now = retry.due
    assert min(waits) >= 30
    assert max(waits) <= 60


@pytest.mark.parametrize("refused", [False, True])
def test_cameras_that_were_lost_together_are_not_tried_together(refused: bool) -> None:
    first = set()
    for _ in range(50):
        schedule = ReconnectSchedule(CaptureOptions())
        schedule.failed(0.0, refused=refused)
        first.add(round(schedule.due, 6))
    assert len(first) > 40


def test_a_camera_that_refuses_while_it_starts_is_tried_again_soon() -> None:
    tried, _ = attempts(10, refused=True)
    assert len(tried) >= 3
    assert tried[2] < 3


def test_a_camera_that_shows_one_frame_and_leaves_is_not_hammered() -> None:
    retry = ReconnectSchedule(CaptureOptions())
    now, tried = 0.0, 0
    while now < 60:
        retry.succeeded(now)
        retry.lost(now + 0.1, now + 0.1)
        now = retry.due
        tried += 1
    assert tried < 70
