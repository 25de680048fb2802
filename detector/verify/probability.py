"""Probabilities from log-odds."""

import math
from typing import overload

import numpy as np
from numpy.typing import NDArray


@overload
def logistic(log_odds: float) -> float: ...
@overload
def logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]: ...
def logistic(log_odds: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Return 1 / (1 + exp(-log_odds)), without overflow; the inverse is ln(p / (1 - p))."""
    probability = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -700.0, 700.0)))
    return probability if isinstance(log_odds, np.ndarray) else float(probability)


def log_odds(probability: float, least: float) -> float:
    """Return ln(p / (1 - p)), with `probability` limited to `least` .. 1 - `least` so that it stays finite."""
    bounded = min(max(probability, least), 1.0 - least)
    return math.log(bounded / (1.0 - bounded))
