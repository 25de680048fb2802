"""What comes back: places that showed a level before, and light that they never showed."""

import numpy as np
import pytest

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid
from detector.prefilter.level_memory import SAMPLES, LevelMemory
from detector.settings import load_settings
from detector.verify.photometric.verifier import PhotometricVerifier
from helpers.scenes import Change, Picture, closed, frames, land, lit, patch, sky_light

SHAPE = (36, 64)


def level(value: float) -> Grid:
    return np.full(SHAPE, value, np.float32)


def share_seen(past: list[float], before: float, now: float, *, every: float = 0.25) -> float | None:
    memory = LevelMemory()
    for number, value in enumerate(past):
        memory.remember(number * every, level(value))
    return memory.share_seen(len(past) * every, level(before), level(now - before), np.ones(SHAPE, np.bool_))


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        pytest.param([60] * 4 + [20] * 12, 1.0, id="it was as bright before something covered it"),
        pytest.param([40] * 4 + [20] * 12, 0.5, id="half as bright"),
        pytest.param([20] * 16, 0.0, id="never"),
        pytest.param([10] * 16, 0.0, id="darker"),
        pytest.param([60] * 11, None, id="less than three seconds are known"),
        pytest.param([60] + [20] * SAMPLES, 0.0, id="too long ago"),
        pytest.param([60 - 40 * n / 32 for n in range(32)], 0.44, id="clouds drifted away from that level in 8 s"),
        pytest.param([60] * 4 + [50, 40, 30] + [20] * 8, 1.0, id="an exposure that fell within a second"),
        pytest.param([20, 20, 60, 60, 60] + [20] * 12, 0.0, id="a flash that was not found: less than a second"),
    ],
)
def test_the_share_of_a_rise_that_the_place_showed_before(past: list[float], expected: float | None) -> None:
    found = share_seen(past, before=20, now=60)
    assert found == (None if expected is None else pytest.approx(expected, abs=0.02))


def test_black_below_the_black_of_video_is_no_light() -> None:
    assert share_seen([-18.6] * 16, before=-18.6, now=0) == pytest.approx(0, abs=0.02)


def test_one_moment_must_have_shown_the_whole_rise() -> None:
    """Over many moments, each place has had any level by chance."""
    memory, rise = LevelMemory(), np.full(SHAPE, 40, np.float32)
    for number in range(16):
        shown = level(20)
        shown[:, number * 4 : number * 4 + 4] = 60
        memory.remember(number / 4, shown)
    assert memory.share_seen(4.0, level(20), rise, np.ones(SHAPE, np.bool_)) == pytest.approx(1 / 16, abs=0.01)


def test_a_forgotten_scene_and_a_place_that_did_not_rise_tell_nothing() -> None:
    memory = LevelMemory()
    for number in range(16):
        memory.remember(number / 4, level(60))
    nowhere = np.zeros(SHAPE, np.bool_)
    assert memory.share_seen(4.0, level(20), level(40), nowhere) is None
    memory.forget()
    assert memory.share_seen(4.0, level(20), level(40), ~nowhere) is None


def judged(change: Change, *, scene: Picture | None = None, rate: float = 25) -> tuple[Candidate, dict[str, float]]:
    """The last candidate, and what the photometric verifier measured of it."""
    found = closed(frames(change, scene=scene, seconds=9, rate=rate, noise=1))[-1]
    (verdict,) = PhotometricVerifier(load_settings().photometric).verify([found])
    return found, verdict.evidence


def test_a_place_that_something_dark_leaves_and_comes_back_to_has_been_seen_before() -> None:
    wall = land(90)

    def birds(when: float, quiet: Picture) -> Picture:
        """They sit before the camera, leave for a moment, and come back."""
        covered = 4.0 <= when < 7.0 - 1e-6 or when >= 7.4 - 1e-6
        return quiet - patch(60, (40, 110), (60, 260)) if covered else quiet

    found, evidence = judged(birds, scene=wall)
    assert found.start_seconds == pytest.approx(7.0)
    assert evidence["seen_before"] > 0.9


def test_lightning_over_the_same_place_was_not_seen_before_and_earlier_strokes_do_not_count() -> None:
    found, evidence = judged(lit((4.0, 4.2), (6.0, 6.2), (7.0, 7.2), light=sky_light(60)), scene=land(90))
    assert found.start_seconds == pytest.approx(7.0)
    assert evidence["seen_before"] < 0.1
