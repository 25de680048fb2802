"""Waits between attempts that fail, and to reach a lost camera with the shipped options."""

import subprocess
import sys

import pytest

from stream import Backoff, CaptureOptions
from stream.capture.live.backoff import ReconnectSchedule

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


def test_waits_double_up_to_the_cap_and_begin_anew_after_a_reset() -> None:
    backoff = Backoff(first_seconds=1.0, longest_seconds=6.0)
    for _ in range(2):
        waits = [backoff.next_wait() for _ in range(50)]
        assert backoff.failures == 50
        for wait, whole in zip(waits, [1.0, 2.0, 4.0] + [6.0] * 47, strict=True):
            assert whole / 2 <= wait <= whole
        backoff.reset()


def test_clients_that_failed_together_do_not_return_together() -> None:
    waits = {round(Backoff(first_seconds=1.0, longest_seconds=6.0).next_wait(), 6) for _ in range(50)}
    assert len(waits) > 40


def test_a_single_wait_can_be_capped_lower() -> None:
    backoff = Backoff(first_seconds=8.0, longest_seconds=60.0)
    assert backoff.next_wait(longest_seconds=2.0) <= 2.0
    assert backoff.next_wait() >= 8.0


@pytest.mark.parametrize("waits", [(0.0, 1.0), (1.0, -1.0)])
def test_waits_that_are_not_positive_are_refused(waits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Backoff(*waits)


def test_waits_are_there_without_the_libraries_for_video() -> None:
    program = "import sys, stream; stream.Backoff(1.0, 2.0); print({'av', 'cv2', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
