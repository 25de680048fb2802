"""What one frame shows: which blocks count as lit up just now, and what speaks against them."""

from dataclasses import replace

import numpy as np
import pytest

from detector.prefilter.blocks import Grid
from detector.prefilter.change_balance import NO_CHANGE, ChangeBalance
from detector.prefilter.frame_change import FrameChange
from helpers.scenes import dark_scene

SHAPE = (36, 64)
THRESHOLD, LEAST = 10.0, 20


def blocks(rows: slice, columns: slice, levels: float) -> Grid:
    grid = np.zeros(SHAPE, np.float32)
    grid[rows, columns] = levels
    return grid


def row(first: int, last: int, levels: float, number: int = 10) -> Grid:
    """Blocks of one row of the picture, from `first` up to `last`."""
    return blocks(slice(number, number + 1), slice(first, last), levels)


def change(
    rise: Grid,
    step: Grid | None = None,
    *,
    unwatched: Grid | None = None,
    clutter: ChangeBalance = NO_CHANGE,
) -> FrameChange:
    scene = dark_scene(THRESHOLD, watched=None if unwatched is None else unwatched == 0)
    earlier = np.zeros(SHAPE, np.float32) if step is None else rise - step
    return FrameChange(rise, earlier, scene, least_blocks=LEAST, clutter=clutter)


@pytest.mark.parametrize(("share", "sudden"), [(0.6, 0), (0.7, 30)])
def test_light_is_sudden_where_most_of_it_came_just_now(share: float, sudden: int) -> None:
    rise = row(10, 40, 20)
    assert change(rise, rise * np.float32(share)).sudden_blocks == sudden


@pytest.mark.parametrize(("sure", "found"), [(15, 21), (12, 12)])
def test_of_a_light_just_as_large_as_asked_for_some_blocks_may_be_fainter(sure: int, found: int) -> None:
    assert change(row(10, 10 + sure, 12) + row(10, 16, 7, number=11)).sudden_blocks == found


@pytest.mark.parametrize(("levels", "found"), [(7, 24), (5, 15)])
def test_a_faint_block_beside_a_sure_one_is_light_from_sixty_hundredths_of_its_threshold_on(
    levels: float, found: int
) -> None:
    assert change(row(10, 25, 12) + row(15, 24, levels, number=11)).sudden_blocks == found


def test_a_faint_block_that_touches_no_sure_one_is_no_light() -> None:
    assert change(row(10, 25, 12) + row(10, 25, 8, number=12)).sudden_blocks == 15


def test_a_light_that_is_large_enough_does_not_grow() -> None:
    assert change(row(10, 32, 12) + row(10, 32, 8, number=11)).sudden_blocks == 22


def test_what_glowed_before_or_is_not_watched_is_no_part_of_a_faint_light() -> None:
    sure, beside = row(10, 25, 12), row(10, 25, 8, number=11)
    assert change(sure + beside, sure).sudden_blocks == 15
    assert change(sure + beside, unwatched=beside).sudden_blocks == 15
    assert change(sure + beside, unwatched=sure).sudden_blocks == change(sure, unwatched=sure).above_blocks == 0


def test_of_the_light_that_is_there_the_faint_blocks_beside_it_say_nothing() -> None:
    small = row(10, 25, 12) + row(10, 25, 8, number=11)
    slow = row(0, 45, 12, number=20)
    assert change(small).suddenness(None) == 1
    assert change(small + slow, small).suddenness(None) == pytest.approx(15 / 60)
    assert change(row(0, 0, 0)).suddenness(None) == 0


def test_a_few_blocks_that_rise_in_a_calm_picture_are_counted_though_they_were_bright_a_while_ago() -> None:
    few, scene = row(10, 15, 12), dark_scene(THRESHOLD)
    scene = replace(scene, known=replace(scene.known, older=few))
    assert FrameChange(few, np.zeros(SHAPE, np.float32), scene, least_blocks=LEAST, most_blocks=5).sudden_blocks == 5


def test_what_has_been_bright_for_a_while_does_not_speak_against_a_light_and_what_has_come_slowly_does() -> None:
    light, cloud, edge = row(0, 30, 20), row(0, 45, 12, number=20), row(0, 15, 12, number=21)
    assert change(light + cloud, light).suddenness(change(cloud)) == 1
    assert change(light + cloud + edge, light).suddenness(change(cloud)) == pytest.approx(30 / 45)


def test_a_light_that_was_bright_already_and_flares_up_has_come_just_now() -> None:
    light, edge = row(0, 30, 40), row(0, 10, 12, number=20)
    assert change(light + edge, 0.7 * light).suddenness(change(light)) == pytest.approx(30 / 40)


@pytest.mark.parametrize(("fallen", "lost"), [(1, 0.0), (2, 11.3), (10, 171.3)])
def test_falls_that_noise_alone_makes_are_taken_off(fallen: int, lost: float) -> None:
    scene = dark_scene(THRESHOLD)
    scene = replace(scene, known=replace(scene.known, noise=np.full(SHAPE, 2, np.float32)))
    step = row(0, 60, 40) + row(0, fallen, -20, number=30)
    balance = FrameChange(step, np.zeros(SHAPE, np.float32), scene, least_blocks=LEAST).balance
    # 2304 blocks fall by 28.7 levels together: 0.0044 deviations of the difference of two frames each.
    assert balance.lost == pytest.approx(lost, abs=0.1)
    assert balance.gained == pytest.approx(60 * 40, abs=0.1)


def test_on_average_noise_darkens_by_as_much_as_is_taken_off() -> None:
    dice, scene = np.random.default_rng(5), dark_scene(1.0)
    noise = np.full(SHAPE, 2, np.float32)
    scene = replace(scene, known=replace(scene.known, noise=noise))
    fallen, quiet = 0.0, FrameChange(noise, noise, scene, least_blocks=LEAST)
    for _ in range(300):
        earlier, grid = (dice.normal(0, 2, SHAPE).astype(np.float32) for _ in range(2))
        frame = replace(quiet, grid=grid, earlier=earlier)
        fallen -= float(np.minimum(frame._noticeable(noise), 0).sum()) / 300
    light = row(0, 60, 40) + row(0, 60, -40, number=30)
    taken_off = 60 * 40 - replace(quiet, grid=light, earlier=np.zeros(SHAPE, np.float32)).balance.lost
    assert fallen == pytest.approx(taken_off, rel=0.1)


def test_what_a_scene_darkens_by_itself_does_not_speak_against_a_light_that_outshines_it() -> None:
    step = row(0, 60, 20) + row(0, 20, -20, number=30)
    assert change(step).positivity == pytest.approx(0.75, abs=0.01)
    assert change(step, clutter=ChangeBalance(400, 400)).positivity == 1
    assert change(step, clutter=ChangeBalance(600, 400)).positivity == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(("away", "positivity"), [(1, 0.75), (2, 0.75), (3, 1.0)])
def test_what_darkens_within_two_blocks_of_a_light_may_be_the_light_that_moved_whatever_the_scene_does(
    away: int, positivity: float
) -> None:
    step = row(0, 60, 20) + row(0, 20, -20, number=10 + away)
    assert change(step, clutter=ChangeBalance(400, 400)).positivity == pytest.approx(positivity, abs=0.01)
