"""Quantiles are those of NumPy."""

import numpy as np
import pytest

from detector.prefilter.quantile import quantile


@pytest.mark.parametrize("count", [1, 2, 3, 4, 100, 2304])
def test_a_quantile_is_that_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).random((2, count)).astype(np.float32)[0]
    assert quantile(values) == pytest.approx(float(np.median(values)))
    for share in (0.0, 0.8, 0.97, 1.0):
        assert quantile(values, share) == pytest.approx(float(np.percentile(values, 100 * share)))
