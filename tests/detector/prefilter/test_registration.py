"""The way that a whole picture went."""

import numpy as np
import pytest

from detector.prefilter.blocks import Grid
from detector.prefilter.registration import estimate_shift, translated

EVERYWHERE = np.ones((180, 320), np.bool_)


def waves(along_x: float, along_y: float) -> Grid:
    """Waves of 40 pixels, `along_x` and `along_y` levels high."""
    y, x = np.mgrid[0:180, 0:320].astype(np.float32)
    return (100 + along_x * np.sin(2 * np.pi * x / 40) + along_y * np.sin(2 * np.pi * y / 40)).astype(np.float32)


@pytest.mark.parametrize("shift", [(1.5, -0.5), (6.0, 3.0)])
def test_the_way_of_a_picture_with_detail_is_found_to_a_fraction_of_a_pixel(shift: tuple[float, float]) -> None:
    before = waves(30, 20)
    found, explained = estimate_shift(before, translated(before, shift), EVERYWHERE, noise=0.0)
    assert found == pytest.approx(shift, abs=0.1)
    assert explained > 0.95


def test_along_an_edge_no_way_is_known_and_none_is_assumed() -> None:
    before = waves(30, 0)
    found, explained = estimate_shift(before, translated(before, (2.0, 5.0)), EVERYWHERE, noise=0.0)
    assert found == pytest.approx((2.0, 0.0), abs=0.1)
    assert explained > 0.95


def test_a_place_without_any_detail_went_nowhere() -> None:
    before = waves(0, 0)
    found, explained = estimate_shift(before, before + np.float32(5), EVERYWHERE, noise=0.0)
    assert (*found, explained) == (0, 0, 0)


def test_only_what_is_marked_tells_the_way() -> None:
    before, marks = waves(30, 20), np.zeros((180, 320), np.bool_)
    marks[:, :160] = True
    now = translated(before, (2.0, 1.0))
    now[:, 170:] = 0
    found, _ = estimate_shift(before, now, marks, noise=0.0)
    assert found == pytest.approx((2.0, 1.0), abs=0.1)
