"""Quantiles of a few thousand values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantile(values: NDArray[Any], share: float = 0.5) -> float:
    """Return the value that `share` 0..1 of all `values` do not exceed, interpolated; the median by default.

    It is NumPy's own, but several times faster, and the first call does not load `numpy.ma`.
    """
    flat = values.ravel()
    place = share * (flat.size - 1)
    low = int(place)
    high = min(low + 1, flat.size - 1)
    parted = np.partition(flat, (low, high))
    return float(parted[low]) + (place - low) * (float(parted[high]) - float(parted[low]))
