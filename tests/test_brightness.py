"""Block means: what of a picture they are made of."""

import numpy as np

from detector.brightness import block_luma
from stream import Frame


def test_no_more_rows_are_read_than_a_mean_needs() -> None:
    luma = np.zeros((1080, 1920), np.uint8)
    luma[1::6] = luma[2::6] = luma[3::6] = luma[4::6] = luma[5::6] = 255
    assert block_luma(Frame("roof", 0, 0.0, 0.04, luma, black=0, white=255)).max() == 0
