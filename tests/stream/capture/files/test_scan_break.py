"""Breaks of a scan: told from every light by the coded block at which they begin."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.capture.files.scan_break import ScanBreaks

HEIGHT, WIDTH, BLOCK = 180, 320, 16
COLUMNS = WIDTH // BLOCK
Levels = NDArray[np.float64]


def scene(number: int) -> Levels:
    """A dark sky over brighter land with windows, and noise of its own for each frame."""
    levels = np.full((HEIGHT, WIDTH), 40.0) + np.linspace(0, 20, HEIGHT)[:, None]
    levels[120:] += 30
    levels[130:170:8, 20:300:14] = 180
    return levels + np.random.default_rng(number).normal(0, 2, levels.shape)


def found(*frames: Levels, codec: str = "mjpeg", texture: Levels | float = 0.0) -> list[bool]:
    """Whether each of `frames` breaks, after two sound ones; they have this texture, too."""
    watcher = ScanBreaks(codec)
    coded = [np.clip(levels, 0, 255).astype(np.uint8) for levels in (scene(0) + texture, scene(1) + texture, *frames)]
    return [watcher.found(luma, "yuvj420p", damaged=False) for luma in coded][2:]


def off_from(levels: Levels, row: int, column: int, step: float, *, rows: int | None = None) -> Levels:
    """`levels` with `step` more in every block from one on, for so many rows of blocks."""
    changed = levels.copy()
    end = HEIGHT if rows is None else (row + rows) * BLOCK
    changed[row * BLOCK : (row + 1) * BLOCK, column * BLOCK :] += step
    changed[(row + 1) * BLOCK : end] += step
    return changed


@pytest.mark.parametrize(
    ("row", "column", "step"), [(4, 7, 30.0), (4, 7, 4.0), (1, 13, 20.0), (8, 2, -15.0), (3, 19, 8)]
)
def test_levels_that_are_off_from_one_block_to_the_end_are_a_break(row: int, column: int, step: float) -> None:
    assert found(off_from(scene(2), row, column, step), scene(3)) == [True, False]


def test_a_break_into_white_is_seen_though_its_steps_differ() -> None:
    broken = off_from(scene(2), 6, 7, 235.0)
    broken[6 * BLOCK : 7 * BLOCK, 7 * BLOCK : 11 * BLOCK] -= 120  # garbage where it begins
    assert found(broken) == [True]


def test_a_strong_break_is_seen_though_garbage_hides_a_fifth_of_its_path() -> None:
    broken = off_from(scene(2), 5, 18, 46.0)
    for column, step in ((3, -50.0), (8, -44.0), (12, -60.0), (0, 66.0), (10, 48.0)):
        broken[6 * BLOCK : 7 * BLOCK, column * BLOCK : (column + 1) * BLOCK] += step
    assert found(broken, scene(3)) == [True, False]


def coloured(step: float, begin: int) -> NDArray[np.uint8]:
    """A plane of colour that is off from this block of the sixth row on."""
    levels = np.full((HEIGHT // 2, WIDTH // 2), 128.0) + np.random.default_rng(3).normal(
        0, 0.4, (HEIGHT // 2, WIDTH // 2)
    )
    half = BLOCK // 2
    levels[5 * half : 6 * half, begin * half :] += step
    levels[6 * half :] += step
    return levels.round().astype(np.uint8)


@pytest.mark.parametrize(
    ("step", "begin", "breaks"), [(-4.0, 12, True), (9.0, 3, True), (9.0, 0, False), (0.0, 12, False)]
)
def test_a_plane_of_colour_that_is_off_alone_is_a_break_unless_a_shutter_may_have_cut_it(
    step: float, begin: int, breaks: bool
) -> None:
    watcher = ScanBreaks("mjpeg")
    grey, lost = coloured(0.0, 0), scene(2)
    lost[5 * BLOCK : 6 * BLOCK, 11 * BLOCK : 12 * BLOCK] += 14  # garbage in luma where the decoder lost its way
    seen = [
        watcher.found(luma.astype(np.uint8), "yuvj420p", damaged=False, colours=(grey, other))
        for luma, other in ((scene(0), grey), (scene(1), grey), (lost, coloured(step, begin)), (scene(3), grey))
    ]
    assert seen == [False, False, breaks, False]


def test_light_that_moves_coarsely_coded_colours_is_no_break() -> None:
    watcher = ScanBreaks("mjpeg")
    grey, lit = coloured(0.0, 0), 1.2 * scene(2)
    lit[5 * BLOCK : 6 * BLOCK, 11 * BLOCK : 12 * BLOCK] += 40  # its channel
    seen = [
        watcher.found(luma.astype(np.uint8), "yuvj420p", damaged=False, colours=(grey, other))
        for luma, other in ((scene(0), grey), (scene(1), grey), (lit, coloured(-4.0, 12)))
    ]
    assert seen == [False, False, False]


def test_a_break_along_a_skyline_is_seen_though_its_steps_differ_in_sign() -> None:
    broken = scene(2)
    dice = np.random.default_rng(4)
    steps = dice.choice([-25.0, 30.0, 60.0, 90.0], COLUMNS)
    for column in range(COLUMNS):
        top = (6 if column >= 9 else 7) * BLOCK
        broken[top:, column * BLOCK : (column + 1) * BLOCK] += steps[column]
    assert found(broken, scene(3)) == [True, False]


def test_a_break_in_the_last_row_is_seen() -> None:
    broken = scene(2)
    steps = np.repeat(np.array([8.0, 16.0, 18.0, *[34.0] * 14]), BLOCK)
    broken[11 * BLOCK :, 3 * BLOCK :] += steps
    assert found(broken, scene(3)) == [True, False]


def test_levels_that_are_off_to_the_next_restart_are_a_break() -> None:
    assert found(off_from(scene(2), 3, 6, 25, rows=1)) == [True]


def test_a_break_at_the_very_first_block_raises_all_levels_alike() -> None:
    assert found(scene(2) + 20) == [True]


@pytest.mark.parametrize("column", [2, 3, 7])
def test_a_break_in_the_first_row_of_a_dark_frame_is_seen_by_the_blocks_before_it(column: int) -> None:
    def night(number: int) -> Levels:
        return np.random.default_rng(number).normal(18, 2, (HEIGHT, WIDTH))

    watcher = ScanBreaks("mjpeg")
    frames = [night(0), night(1), off_from(night(2), 0, column, 27.0), night(3), night(4) + 27]
    coded = [np.clip(levels, 0, 255).astype(np.uint8) for levels in frames]
    assert [watcher.found(luma, "yuvj420p", damaged=False) for luma in coded] == [False, False, True, False, False]


def test_blocks_that_are_lost_show_all_that_follows_in_the_wrong_place() -> None:
    texture = np.kron(np.random.default_rng(9).normal(0, 30, (HEIGHT // 4, WIDTH // 16)), np.ones((4, 16)))
    sound, torn = scene(2) + texture, scene(2) + texture
    moved = np.roll(sound, 23, axis=1)
    torn[4 * BLOCK : 5 * BLOCK, 9 * BLOCK :] = moved[4 * BLOCK : 5 * BLOCK, 9 * BLOCK :]
    torn[5 * BLOCK :] = moved[5 * BLOCK :]
    assert found(sound, torn, sound, texture=texture) == [False, True, False]


Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
GLOW = np.exp(-(((X - 200) / 90) ** 2) - ((Y - 30) / 50) ** 2)
LIGHTS = {
    "sheet": 0.8 * scene(2),
    "glow": 80 * GLOW,
    "behind land": np.where(Y < 120, 50, 0),
    "rolling shutter": np.where(Y >= 75, 50, 0),
    "rolling shutter near a border": np.where(Y >= 82, 50, 0),
    "band": np.where((Y >= 37) & (Y < 90), 50, 0),
    "sky, coded coarsely": np.where((Y < 5 * BLOCK) | ((Y < 6 * BLOCK) & (X < 7 * BLOCK)), 50, 0),
    "lamp of blocks": np.where((Y >= 64) & (Y < 96) & (X >= 96) & (X < 208), 50, 0),
    "bolt": np.where(np.abs(X - 160 - 10 * np.sin(Y / 9)) < 4, 150, 0) + 30 * GLOW,
}


@pytest.mark.parametrize("kind", LIGHTS)
def test_no_light_is_taken_for_a_break(kind: str) -> None:
    lit = scene(2) + LIGHTS[kind]
    assert found(lit, scene(3), lit) == [False, False, False]


def test_a_break_nobody_noticed_does_not_mark_the_frames_after_it() -> None:
    watcher = ScanBreaks("mjpeg")
    frames = [off_from(scene(0), 4, 7, 30.0), *(scene(number) for number in range(1, 5))]
    marks = [watcher.found(levels.astype(np.uint8), "yuvj420p", damaged=False) for levels in frames]
    assert marks == [False, True, False, False, False]


def test_other_codecs_have_no_such_breaks() -> None:
    assert found(off_from(scene(2), 4, 7, 30), codec="h264") == [False]
