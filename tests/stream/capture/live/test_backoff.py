"""Waits between attempts to reach a lost camera, as shipped."""

import pytest

from detector.settings import load_settings
from stream.capture.live.backoff import Retry

OPENING_SECONDS = 1.0  # what reaching a camera that is back takes, with room to spare


def attempts(outage_seconds: float, *, refused: bool = False) -> tuple[list[float], Retry]:
    """When a camera that was live is tried while it is away, in seconds after its last picture."""
    retry = Retry(load_settings().capture)
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
    retry = Retry(load_settings().capture)
    now, waits = 0.0, []
    for _ in range(20):
        retry.failed(now, refused=True)
        waits.append(retry.due - now)
        now = retry.due
    assert min(waits) >= 30
    assert max(waits) <= 60


def test_a_camera_that_refuses_while_it_starts_is_tried_again_soon() -> None:
    tried, _ = attempts(10, refused=True)
    assert len(tried) >= 3
    assert tried[2] < 3


def test_a_camera_that_shows_one_picture_and_leaves_is_not_hammered() -> None:
    retry = Retry(load_settings().capture)
    now, tried = 0.0, 0
    while now < 60:
        retry.succeeded(now)
        retry.lost(now + 0.1, now + 0.1)
        now = retry.due
        tried += 1
    assert tried < 70
