"""Compare a model with simpler predictors, on recordings that the fit has not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.verify.probability import logistic

_STEPS = 100
_LEAST = 1e-6  # least probability, so that one certain error does not have an infinite loss


@dataclass(frozen=True, slots=True)
class Quality:
    """How well predictions agree with labels.

    Attributes:
        auc: chance that lightning gets a higher probability than something else; 0.5 is no better than guessing.
        brier: mean squared difference of probability and truth.
        log_loss: mean log loss, nats.
    """

    auc: float
    brier: float
    log_loss: float


def compare(
    predictors: Mapping[str, NDArray[np.float64]], truths: NDArray[np.bool_], sources: Sequence[str]
) -> dict[str, Quality]:
    """Return the quality of each predictor on recordings that its fit has not seen.

    Each source in turn is left out, a logistic curve is fitted on the others, and its probabilities for the source left
    out are kept; the quality is measured on these.

    Args:
        predictors: (flashes, values) of each predictor, higher for lightning; several values are weighted by the fit.
        truths: (flashes) whether each was lightning.
        sources: the recording of each flash; at least two different ones.
    """
    groups = np.array(sources)
    found: dict[str, Quality] = {}
    for name, values in predictors.items():
        probabilities = np.empty(len(truths))
        for source in sorted(set(sources)):
            out = groups == source
            weights = fit_logistic(values[~out], smoothed(truths[~out]))
            probabilities[out] = logistic(values[out] @ weights[:-1] + weights[-1])
        found[name] = quality(probabilities, truths)
    return found


def quality(probabilities: NDArray[np.float64], truths: NDArray[np.bool_]) -> Quality:
    """Return how well `probabilities` agree with `truths`."""
    likely = np.clip(np.where(truths, probabilities, 1 - probabilities), _LEAST, 1.0)
    return Quality(
        auc=_auc(probabilities, truths),
        brier=float(np.mean((probabilities - truths) ** 2)),
        log_loss=float(-np.log(likely).mean()),
    )


def smoothed(truths: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return Platt's smoothed targets (1999), which keep a fit finite if the two kinds do not overlap."""
    lightning, other = int(truths.sum()), int((~truths).sum())
    return np.where(truths, (lightning + 1) / (lightning + 2), 1 / (other + 2))


def fit_logistic(values: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each column of `values`, and the offset last, of the best logistic curve.

    It is found by Newton's method on standardised values.
    """
    centre, spread = values.mean(axis=0), values.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    rows = np.column_stack([(values - centre) / spread, np.ones(len(values))])
    weights = np.zeros(rows.shape[1])
    ridge = 1e-6 * np.eye(len(weights))
    for _ in range(_STEPS):
        probabilities = logistic(rows @ weights)
        gradient = rows.T @ (probabilities - targets)
        curvature = (rows * (probabilities * (1 - probabilities))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    slopes = weights[:-1] / spread
    return np.append(slopes, weights[-1] - slopes @ centre)


def _auc(scores: NDArray[np.float64], truths: NDArray[np.bool_]) -> float:
    lightning, other = scores[truths], scores[~truths]
    if not len(lightning) or not len(other):
        return float("nan")
    above = (lightning[:, None] > other[None]).mean()
    return float(above + 0.5 * (lightning[:, None] == other[None]).mean())
