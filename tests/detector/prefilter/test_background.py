"""The background of a scene: what it follows, and what it takes for noise."""

import numpy as np
import pytest

from detector.prefilter.background import Background
from detector.prefilter.blocks import Grid
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


def test_the_last_few_pictures_are_kept_however_rarely_they_come() -> None:
    known = background()
    for number in range(6):
        known.learn(number, flat(10 * number), None, 0.0)
        known.remember(number, flat(10 * number))
    assert known.remembered == 3


def test_pictures_of_long_ago_are_no_background() -> None:
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


def test_a_long_pause_between_two_pictures_counts_for_half_a_second_of_noise() -> None:
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
    swings = []
    for number in range(1, 300):
        known.learn(number / 25, flat(20), flat(20), 0.04)
        assert known.swing is not None
        swings.append(float(known.swing.mean()))
    assert swings[24] > 6
    assert swings[-1] < 0.5


def restless(seconds: float, known: Background) -> Background:
    """Has seen ten blocks jump in each of 25 pictures a second."""
    for _ in range(round(25 * seconds)):
        known.learn_restlessness(10, ChangeBalance(200, 100), 0.04)
    return known


def test_what_a_scene_does_by_itself_is_an_average_over_the_time_that_noise_is_remembered() -> None:
    for memory in (3.0, 6.0):
        known = restless(memory, background(memory))
        assert known.restless_blocks == pytest.approx(10 * (1 - np.exp(-1)), rel=0.02)
        assert known.stir.gained == pytest.approx(200 * (1 - np.exp(-1)), rel=0.02)
        assert known.stir.lost == pytest.approx(known.stir.gained / 2)


def test_a_long_pause_makes_the_next_picture_all_that_is_known_and_no_more() -> None:
    known = background()
    known.learn_restlessness(10, ChangeBalance(200, 100), 30.0)
    assert (known.restless_blocks, known.stir) == (10, ChangeBalance(200, 100))


def test_what_a_scene_does_by_itself_is_forgotten_with_its_noise_and_only_then() -> None:
    known = restless(9.0, background())
    known.restart(forget_noise=False)
    assert known.restless_blocks > 9
    assert known.stir.lost > 90
    known.restart(forget_noise=True)
    assert (known.restless_blocks, known.stir) == (0, NO_CHANGE)


def test_the_background_is_the_median_of_the_last_pictures_however_many_there_are() -> None:
    rng = np.random.default_rng(6)
    known = background()
    pictures = [rng.normal(50, 20, (36, 64)).astype(np.float32) for _ in range(14)]
    for number, picture in enumerate(pictures):
        known.learn(0.1 * number, picture, None, 0.0)
        if number == 6:
            assert np.array_equal(known.level, np.median(pictures[:7], axis=0))
    assert np.array_equal(known.level, np.median(pictures[-9:], axis=0))
