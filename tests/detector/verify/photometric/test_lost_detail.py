"""Detail that is gone without being washed out: damage; what any light leaves of the scene: no damage."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.verify.photometric.lost_detail import detail_kept, loses_detail
from helpers.candidates import candidate
from stream import Frame

HEIGHT, WIDTH = 180, 320
Levels = NDArray[np.float64]


def town(number: int) -> Levels:
    """A night with lit windows and houses, and noise of its own for each frame."""
    levels = np.full((HEIGHT, WIDTH), 20.0)
    levels[90:] = 35
    for left in range(0, WIDTH, 40):
        levels[60 + left % 30 : 130, left : left + 24] = 60
        levels[100:124:8, left + 4 : left + 20 : 8] = 120
    return levels + np.random.default_rng(number).normal(0, 2, levels.shape)


def frame_of(levels: Levels) -> Frame:
    luma = np.clip(levels, 0, 255).astype(np.uint8)
    return Frame(camera="roof", number=0, seconds=0.0, duration=0.04, luma=luma, black=0, white=255)


@pytest.mark.parametrize(
    ("lit", "kept"),
    [
        (town(2) + 80, (0.8, 1.1)),
        (town(2) * 1.6, (0.9, 1.8)),
        (town(2) * 0.5 + 90, (0.4, 0.7)),
        (np.full((HEIGHT, WIDTH), 252.0), (1.0, 1.0)),
        (np.full((HEIGHT, WIDTH), 128.0), (-0.05, 0.05)),
        (np.roll(town(2), (40, 90), (0, 1)), (-0.3, 0.3)),
    ],
    ids=["veil", "gain", "fog", "white-out", "grey", "other place"],
)
def test_what_is_left_of_the_scene(lit: Levels, kept: tuple[float, float]) -> None:
    assert kept[0] <= detail_kept(frame_of(lit), frame_of(town(1))) <= kept[1]


def test_a_scene_without_edges_tells_nothing() -> None:
    dice = np.random.default_rng(3)
    sky = [frame_of(dice.normal(30, 3, (HEIGHT, WIDTH)) + level) for level in (0, 100)]
    assert detail_kept(sky[1], sky[0]) == 1.0


def test_a_candidate_is_damage_where_its_onset_shows_nothing_of_the_scene() -> None:
    grey = replace(candidate(), onset=frame_of(np.full((HEIGHT, WIDTH), 128.0)), before=frame_of(town(1)))
    assert loses_detail(grey)
    assert not loses_detail(replace(grey, onset=frame_of(town(2) + 60)))
    assert not loses_detail(replace(grey, before=None))
