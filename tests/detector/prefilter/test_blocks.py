"""Block means: what of a picture they are made of."""

import numpy as np
import pytest

from detector.prefilter.blocks import WatchedArea, block_luma, watched_blocks
from stream import Frame


def test_no_more_rows_are_read_than_a_mean_needs() -> None:
    luma = np.full((1080, 1920), 255, np.uint8)
    luma[::10] = 0
    assert block_luma(Frame("roof", 0, 0.0, 0.04, luma, black=0, white=255)).max() == 0


def test_the_rows_that_are_read_of_a_block_count_alike() -> None:
    luma = np.zeros((1080, 1920), np.uint8)
    luma[0::30], luma[10::30], luma[20::30] = 30, 60, 120
    assert block_luma(Frame("roof", 0, 0.0, 0.04, luma, black=0, white=255)) == pytest.approx(70, abs=1e-3)


@pytest.mark.parametrize(
    ("height", "width", "white", "shape"),
    [
        pytest.param(180, 320, 255, (36, 64), id="whole blocks"),
        pytest.param(360, 640, 1023, (36, 64), id="10 bit"),
        pytest.param(187, 333, 255, (31, 55), id="blocks that do not fill the picture"),
        pytest.param(320, 180, 255, (64, 36), id="upright"),
        pytest.param(20, 30, 255, (20, 30), id="smaller than the grid"),
    ],
)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_block_is_the_mean_of_its_pixels_turned_upright(
    height: int, width: int, white: int, shape: tuple[int, int], rotation: int
) -> None:
    rows, columns = shape
    high, wide = height // rows, width // columns
    # Rows of one block are alike: which of them are read is another test.
    luma = np.random.default_rng(3).integers(0, white + 1, (rows + 1, width), dtype=np.uint16).repeat(high, axis=0)
    luma = luma[:height].astype(np.uint8 if white == 255 else np.uint16)
    frame = Frame("roof", 0, 0.0, 0.04, luma, black=0, white=white, rotation=rotation)
    blocks = luma[: rows * high, : columns * wide].reshape(rows, high, columns, wide).mean(axis=(1, 3))
    upright = np.rot90(blocks, rotation // 90) * 255 / white
    assert block_luma(frame) == pytest.approx(upright, abs=1e-3)


def test_a_polygon_covers_the_blocks_whose_middle_lies_in_it() -> None:
    watched = watched_blocks((4, 4), mask=[((0, 0), (0.9, 0), (0, 0.9))], region=None)
    assert watched.astype(int).tolist() == [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]]


def test_the_watched_area_is_fitted_to_each_size_of_grid() -> None:
    area = WatchedArea(mask=[((0, 0), (1, 0), (1, 0.5), (0, 0.5))], region=(0.0, 0.0, 0.5, 1.0))
    for shape in ((36, 64), (64, 36)):
        area.fit(shape)
        assert area.blocks.shape == shape
        assert area.count == np.count_nonzero(area.blocks) == 36 * 64 / 4


def test_a_fraction_of_the_watched_area_is_never_a_single_block() -> None:
    area = WatchedArea()
    area.fit((36, 64))
    assert [area.blocks_in(fraction) for fraction in (0.01, 0.5, 0.0001)] == [23, 1152, 2]
