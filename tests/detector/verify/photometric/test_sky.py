"""Where the sky is, and how much of a light it shows; scenes are grids of block luma, made by hand."""

import numpy as np
import pytest

from detector.prefilter.blocks import Grid
from detector.verify.photometric.sky import share_in_sky, sky_of

ROWS, COLUMNS, HORIZON = 36, 64, 20


def scene(sky: float = 40, ground: float = 15) -> Grid:
    """A sky that is a little brighter lower down, over land."""
    levels = np.full((ROWS, COLUMNS), ground, np.float32)
    levels[:HORIZON] = sky + np.linspace(0, 10, HORIZON, dtype=np.float32)[:, None]
    return levels


def with_light(on: Grid, rows: slice, levels: float) -> Grid:
    """`on` with `levels` more in some rows of its middle."""
    lit = on.copy()
    lit[rows, 20:44] += np.float32(levels)
    return lit


def test_the_sky_is_what_is_joined_to_the_upper_edge_and_no_house_that_stands_in_it() -> None:
    town = scene()
    town[12:, 30:36] = 15
    sky = sky_of(town)
    assert sky[:HORIZON, :28].mean() > 0.9
    assert not sky[HORIZON:].any()
    assert not sky[12:, 30:36].any()


def test_an_eave_a_black_sky_and_a_strip_of_it_are_not_taken_for_a_sky() -> None:
    assert not sky_of(scene(sky=20, ground=60)).any()
    assert not sky_of(scene(sky=0, ground=0)).any()
    strip = np.full((ROWS, COLUMNS), 15, np.float32)
    strip[:8] = 40
    assert not sky_of(strip).any()


def test_what_the_ground_alone_shows_did_not_come_from_the_sky() -> None:
    quiet = scene()
    assert share_in_sky(quiet, with_light(quiet, slice(24, 34), 120)) == 0
    glow = with_light(quiet, slice(24, 34), 120)
    glow[:HORIZON] += 3
    assert share_in_sky(quiet, glow) == pytest.approx(0.03, abs=0.02)


def test_neither_what_coding_leaves_nor_the_lit_edge_of_the_land_is_light_of_the_sky() -> None:
    quiet = scene()
    faint = with_light(quiet, slice(24, 34), 16)
    faint[:HORIZON] += np.float32(0.8)
    assert share_in_sky(quiet, faint) == 0
    edge = with_light(quiet, slice(24, 34), 120)
    edge[HORIZON - 1] += 60
    assert share_in_sky(quiet, edge) == 0


def test_a_stroke_behind_the_houses_lights_the_sky_above_them() -> None:
    quiet = scene()
    both = with_light(with_light(quiet, slice(0, 18), 40), slice(24, 34), 60)
    assert share_in_sky(quiet, both) > 0.4  # type: ignore[operator]


def test_of_a_faint_light_and_without_a_sky_nothing_is_said() -> None:
    quiet = scene()
    assert share_in_sky(quiet, with_light(quiet, slice(24, 34), 12)) is None
    fading = with_light(quiet, slice(24, 34), 120)
    fading[:HORIZON] -= 5
    assert share_in_sky(quiet, fading) is None, "an earlier stroke still goes out there"
    indoors = scene(sky=20, ground=60)
    assert share_in_sky(indoors, with_light(indoors, slice(24, 34), 120)) is None
