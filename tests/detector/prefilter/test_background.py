"""The background of a scene: what it follows, and what it takes for noise."""

import numpy as np
import pytest

from detector.prefilter.background import MAX_ELAPSED_SECONDS, Background, ExposureRecovery
from detector.prefilter.blocks import Grid, Mask
from detector.prefilter.change_balance import NO_CHANGE, ChangeBalance


def flat(levels: float) -> Grid:
    return np.full((36, 64), levels, np.float32)


def background(memory_seconds: float = 3.0) -> Background:
    return Background(step_seconds=0.05, memory_seconds=memory_seconds)


def level_of(known: Background) -> float:
    assert known.level is not None
    return float(known.level.mean())


def noise_of(known: Background) -> float:
    assert known.noise is not None
    return float(known.noise.mean())


def test_drifting_light_is_followed_closer_than_a_median_of_a_second_could() -> None:
    known = background()
    for number in range(60):
        known.learn(number / 25, flat(number), None, 0.0)
        known.remember(number / 25, flat(number))
    now = known.known(60 / 25)
    assert now is not None
    assert 60 - level_of(known) > 10
    assert 60 - now.ground.mean() <= 4.5


def test_the_last_few_frames_are_kept_however_rarely_they_come() -> None:
    known = background()
    for number in range(6):
        known.learn(number, flat(10 * number), None, 0.0)
        known.remember(number, flat(10 * number))
    assert known.remembered == 3


def test_frames_of_long_ago_are_no_background() -> None:
    known = background()
    for number in range(9):
        known.learn(number / 10, flat(20), None, 0.0)
    for number in range(3):
        known.learn(10 + number / 10, flat(50), None, 0.0)
    assert level_of(known) == 50


def test_the_background_is_spread_over_a_second_at_every_rate() -> None:
    known = background()
    for number in range(240):
        known.learn(number / 240, flat(60 if number >= 200 else 20), None, 0.0)
    assert level_of(known) == 20


def test_a_long_pause_between_two_frames_counts_for_half_a_second_of_noise() -> None:
    def after(pause: float) -> float:
        known = background()
        for number in range(75):
            known.learn(number / 25, flat(20), flat(20 - 1.128), 0.04)
        known.learn(3 + pause, flat(20), flat(20 - 3 * 1.128), pause)
        return noise_of(known)

    assert after(30) == pytest.approx(after(0.5))
    assert after(0.5) == pytest.approx(1 + 2 * 0.5 / 3, rel=0.05)


def test_one_large_change_is_no_noise() -> None:
    known = background()
    for number in range(75):
        known.learn(number / 25, flat(20), flat(20 - 1.128), 0.04)
    known.learn(3.0, flat(20), flat(20 - 200), 0.04)
    assert noise_of(known) < 1.1


def test_a_calm_camera_takes_a_large_change_for_little_noise_too() -> None:
    known = background()
    for number in range(75):
        known.learn(number / 25, flat(20), flat(20), 0.04)
    known.learn(3.0, flat(20), flat(20 - 200), 0.04)
    assert 0.005 < noise_of(known) < 0.03


def test_the_largest_change_of_a_place_is_remembered_for_seconds_and_then_forgotten() -> None:
    known = background()
    known.learn(0.0, flat(20), flat(20 - 10), 0.04)
    known.learn(0.04, flat(20), flat(20 - 10), 0.04)
    changes = []
    for number in range(1, 300):
        known.learn(number / 25, flat(20), flat(20), 0.04)
        assert known.peak_change is not None
        changes.append(float(known.peak_change.mean()))
    assert changes[24] > 6
    assert changes[-1] < 0.5


def cluttered(seconds: float, known: Background) -> Background:
    """Has seen ten blocks jump in each of 25 frames a second."""
    for number in range(1, 1 + round(25 * seconds)):
        known.learn_clutter(number / 25 - MAX_ELAPSED_SECONDS, 10, ChangeBalance(200, 100))
    return known


def test_what_a_scene_does_by_itself_is_an_average_over_the_time_that_noise_is_remembered() -> None:
    for memory in (3.0, 6.0):
        known = cluttered(memory, background(memory))
        assert known.clutter_blocks == pytest.approx(10 * (1 - np.exp(-1)), rel=0.02)
        assert known.clutter.gained == pytest.approx(200 * (1 - np.exp(-1)), rel=0.02)
        assert known.clutter.lost == pytest.approx(known.clutter.gained / 2)


@pytest.mark.parametrize("pause", [0.5, 30.0])
def test_however_long_the_pause_before_it_one_frame_of_clutter_counts_for_half_a_second(pause: float) -> None:
    known = background(memory_seconds=2.0)
    known.learn_clutter(0.0, 0, NO_CHANGE)
    known.learn_clutter(pause, 10, ChangeBalance(200, 100))
    assert (known.clutter_blocks, known.clutter) == (2.5, ChangeBalance(50, 25))
    short = background(memory_seconds=0.1)
    short.learn_clutter(pause, 10, ChangeBalance(200, 100))
    assert short.clutter_blocks == 10, "no average is more than what is averaged"


def test_clutter_is_due_at_once_and_then_five_times_a_second() -> None:
    known = background()
    due = []
    for number in range(20):
        if known.clutter_due(number / 10):
            known.learn_clutter(number / 10, 0, NO_CHANGE)
            due.append(number)
    assert due == list(range(0, 20, 2))


def test_what_a_scene_does_by_itself_is_forgotten_with_its_noise_and_only_then() -> None:
    known = cluttered(9.0, background())
    known.restart(forget_noise=False)
    assert known.clutter_blocks > 9
    assert known.clutter.lost > 90
    known.restart(forget_noise=True)
    assert (known.clutter_blocks, known.clutter) == (0, NO_CHANGE)


def test_the_background_is_the_median_of_the_last_frames_however_many_there_are() -> None:
    rng = np.random.default_rng(6)
    known = background()
    frames = [rng.normal(50, 20, (36, 64)).astype(np.float32) for _ in range(14)]
    for number, frame in enumerate(frames):
        known.learn(0.1 * number, frame, None, 0.0)
        if number == 6:
            assert np.array_equal(known.level, np.median(frames[:7], axis=0))
    assert np.array_equal(known.level, np.median(frames[-9:], axis=0))


WATCHED = np.ones((36, 64), np.bool_)


def recovery_after(share: float, levels: float, *, watched: Mask = WATCHED) -> ExposureRecovery:
    """What is expected after a flash at 5 s that left a `share` of the frame darker by so many `levels`."""
    latest = flat(50)
    latest[: round(36 * share)] -= levels
    recovery = ExposureRecovery()
    recovery.begin_if_darker(latest, flat(50), flat(4), watched, 5.0)
    return recovery


@pytest.mark.parametrize(
    ("share", "levels", "expected"),
    [
        pytest.param(0.25, 3, True, id="a quarter of the frame is darker"),
        pytest.param(0.15, 90, False, id="a lamp went out"),
        pytest.param(1.0, 1, False, id="by less than half of what counts as lit"),
    ],
)
def test_an_exposure_that_a_flash_lowered_is_expected_back(share: float, levels: float, expected: bool) -> None:
    assert recovery_after(share, levels).active == expected


def test_what_is_darker_where_nobody_watches_is_not_expected_back() -> None:
    watched = WATCHED.copy()
    watched[:18] = False
    assert not recovery_after(0.5, 20, watched=watched).active
    assert recovery_after(0.7, 20, watched=watched).active


def test_an_exposure_has_some_seconds_to_return() -> None:
    recovery = recovery_after(1.0, 20)
    for seconds, expected in ((5.04, True), (7.4, True), (7.52, True), (7.56, False), (6.0, False)):
        assert (recovery.level(seconds) is not None) == expected
    assert not recovery.active


def test_across_an_edge_no_exposure_is_expected_back() -> None:
    recovery = recovery_after(1.0, 20)
    recovery.stop()
    assert recovery.level(5.04) is None


def test_what_the_scene_does_while_an_exposure_returns_or_a_flash_is_on_is_no_peak_change() -> None:
    for recovering, settled, large in ((False, True, True), (True, True, False), (False, False, False)):
        known = background()
        for number in range(2):
            known.learn(number / 25, flat(20), flat(20), 0.04)
        if recovering:
            known.recovery.begin(flat(20), 0.04)
        known.learn(0.08, flat(20), flat(60), 0.04, settled=settled)
        assert known.peak_change is not None
        assert (float(known.peak_change.max()) > 30) == large
