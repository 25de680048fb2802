"""Log-odds become probabilities."""

import math

import numpy as np
import pytest

from detector.verify.probability import logistic


@pytest.mark.parametrize("probability", [1e-12, 0.2, 0.5, 0.9])
def test_log_odds_of_a_probability_give_it_back(probability: float) -> None:
    assert logistic(math.log(probability / (1 - probability))) == pytest.approx(probability, rel=1e-9)


def test_the_largest_numbers_overflow_to_nothing_but_certainty() -> None:
    assert logistic(1e308) == 1.0
    assert logistic(-1e308) == pytest.approx(0.0)


def test_an_array_gives_what_its_values_give_one_by_one() -> None:
    values = np.array([-900.0, -3.0, 0.0, 2.5, 900.0])
    assert logistic(values).tolist() == [logistic(float(value)) for value in values]
