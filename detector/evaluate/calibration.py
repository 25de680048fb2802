"""Calibration: a temperature and a bias that turn a model's log-odds into probabilities, fitted on labelled flashes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from detector.errors import LabelsError
from detector.evaluate.labels import ClipLabels
from detector.evaluate.results import by_clip, detection_of
from detector.evaluate.score import score_clip
from detector.events import Flash, State
from detector.verify.probability import logistic

MIN_OF_EACH = 5
_STEPS = 100


@dataclass(frozen=True, slots=True)
class JudgedFlash:
    """One flash that a model judged.

    Attributes:
        log_odds: of Yes over No.
        lightning: whether a label says that it was lightning.
    """

    log_odds: float
    lightning: bool


@dataclass(frozen=True, slots=True)
class AnswerSource:
    """Who gave the log-odds; a fit holds for one of them."""

    verifier: str
    model: str
    revision: str | None
    prompt_version: str


@dataclass(frozen=True, slots=True)
class FitQuality:
    """How well probabilities agree with frequencies.

    Attributes:
        log_loss: mean log loss, nats.
        calibration_error: mean distance of probability from frequency (ECE).
    """

    log_loss: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit of probability = 1 / (1 + exp(-(log_odds - bias) / temperature)), and its quality before and after."""

    temperature: float
    bias: float
    before: FitQuality
    after: FitQuality


def judged_flashes(
    labels: Mapping[str, ClipLabels], flashes: Iterable[Flash]
) -> tuple[AnswerSource, list[JudgedFlash]]:
    """Return the flashes that a model judged and a label decides: true on a labelled flash, false beside all of them.

    Raises:
        LabelsError: none was judged by a model, or several models or prompts are mixed.
    """
    judged: list[JudgedFlash] = []
    sources: set[AnswerSource] = set()
    for flash in flashes:
        verdict = flash.verdict
        if verdict is None or "log_odds" not in verdict.evidence:
            continue
        truth = _truth(labels, flash)
        if truth is None:
            continue
        judged.append(JudgedFlash(verdict.evidence["log_odds"], truth))
        sources.add(
            AnswerSource(verdict.verifier, verdict.model or "?", verdict.model_revision, verdict.prompt_version or "?")
        )
    if not sources:
        raise LabelsError(
            "no flash in these results has a model's log-odds and a label; make them with "
            "`replay --verifier minicpm --json` or --out on the labelled clips"
        )
    if len(sources) > 1:
        found = "; ".join(sorted(f"{s.model}@{s.revision or '?'} prompt {s.prompt_version}" for s in sources))
        raise LabelsError(f"these results mix {len(sources)} models or prompts, a fit holds for one: {found}")
    return sources.pop(), judged


def fit(judged: Sequence[JudgedFlash]) -> Fit:
    """Fit by Platt scaling (1999), with his targets, which keep the fit finite when the two kinds do not overlap.

    Raises:
        LabelsError: too few of a kind, or higher log-odds do not mean lightning at all.
    """
    truths = np.array([one.lightning for one in judged], bool)
    odds = np.array([one.log_odds for one in judged], np.float64)
    lightning, other = int(truths.sum()), int((~truths).sum())
    if min(lightning, other) < MIN_OF_EACH:
        raise LabelsError(
            f"{lightning} flashes of lightning and {other} of something else were judged; "
            f"at least {MIN_OF_EACH} of each are needed"
        )
    targets = np.where(truths, (lightning + 1) / (lightning + 2), 1 / (other + 2))
    slope, offset = _logistic_regression(odds, targets)
    if slope <= 0:
        raise LabelsError(
            f"lightning has no higher log-odds than the rest here (slope {slope:.3g}): this model cannot tell them "
            "apart, and no calibration can change that"
        )
    return Fit(
        temperature=1 / slope,
        bias=-offset / slope,
        before=_quality(logistic(odds), truths),
        after=_quality(logistic(slope * odds + offset), truths),
    )


def _truth(labels: Mapping[str, ClipLabels], flash: Flash) -> bool | None:
    """Return whether a label says that `flash` was lightning; None where no label decides."""
    for clip, found in by_clip([flash], labels, get_args(State)).items():
        if found:
            score = score_clip(labels[clip], [detection_of(flash)])
            if score.found:
                return True
            return False if score.false_alarms else None
    return None


def _logistic_regression(values: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and offset of the best logistic curve, by Newton's steps on standardised values."""
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    rows = np.stack([(values - centre) / spread, np.ones_like(values)], axis=1)
    weights = np.zeros(2)
    ridge = 1e-6 * np.eye(2)
    for _ in range(_STEPS):
        probabilities = logistic(rows @ weights)
        gradient = rows.T @ (probabilities - targets)
        curvature = (rows * (probabilities * (1 - probabilities))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    slope = float(weights[0]) / spread
    return slope, float(weights[1]) - slope * centre


def _quality(probabilities: NDArray[np.float64], truths: NDArray[np.bool_]) -> FitQuality:
    likely = np.clip(np.where(truths, probabilities, 1 - probabilities), 1e-12, 1.0)
    tenths = np.minimum((probabilities * 10).astype(int), 9)
    gaps = [abs(probabilities[tenths == k].sum() - truths[tenths == k].sum()) for k in range(10)]
    return FitQuality(float(-np.log(likely).mean()), float(sum(gaps) / len(truths)))
