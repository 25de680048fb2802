"""Calibration: a temperature and a bias that turn a model's log-odds into probabilities, fitted on labelled flashes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from detector.errors import LabelsError
from detector.evaluate.comparison import Quality, compare, fit_logistic, smoothed
from detector.evaluate.labels import ClipLabels
from detector.evaluate.results import by_clip, detection_of
from detector.evaluate.score import score_clip
from detector.events import Flash, State, Verdict
from detector.verify.fused import MIN_PROBABILITY
from detector.verify.probability import log_odds, logistic

MIN_OF_EACH = 5
BRIGHTNESS = "brightness alone"


@dataclass(frozen=True, slots=True)
class JudgedFlash:
    """One flash that a model judged.

    Attributes:
        log_odds: of Yes over No.
        lightning: whether a label says that it was lightning.
        photometric: log-odds of the photometric verifier; None where it was not asked.
        brightness: rise of the flash times its area, logarithm: what tells lightning apart without looking.
        clip: the recording.
    """

    log_odds: float
    lightning: bool
    photometric: float | None = None
    brightness: float = 0.0
    clip: str = ""


@dataclass(frozen=True, slots=True)
class AnswerSource:
    """The source of log-odds; a fit is valid for one source."""

    verifier: str
    model: str
    revision: str | None
    prompt_version: str


@dataclass(frozen=True, slots=True)
class FitQuality:
    """The agreement of probabilities with frequencies.

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
        answer = _model_answer(flash.verdict)
        if answer is None:
            continue
        log_odds, source = answer
        labelled = labelled_clip(labels, flash)
        if labelled is None:
            continue
        clip, truth = labelled
        brightness = math.log(max(flash.peak_rise_levels, 0.1) * max(flash.lit_fraction, 1e-4))
        judged.append(JudgedFlash(log_odds, truth, _photometric_odds(flash.verdict), brightness, clip))
        sources.add(source)
    if not sources:
        raise LabelsError(
            "no flash in these results has a model's log-odds and a label; make them with "
            "`replay --verifier minicpm --json` (or fused, or --out) on the labelled clips"
        )
    if len(sources) > 1:
        found = "; ".join(sorted(f"{s.model}@{s.revision or '?'} prompt {s.prompt_version}" for s in sources))
        raise LabelsError(f"these results mix {len(sources)} models or prompts, a fit holds for one: {found}")
    return sources.pop(), judged


def fit(judged: Sequence[JudgedFlash]) -> Fit:
    """Fit by Platt scaling (1999); its smoothed targets keep the fit finite when the two kinds do not overlap.

    Returns:
        the fit, with the quality before and after it.

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
    slope, offset = map(float, fit_logistic(odds[:, None], smoothed(truths)))
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


@dataclass(frozen=True, slots=True)
class FusedFit:
    """A fit of log-odds = photometric_weight * photometric log-odds + model_weight * the model's + bias."""

    photometric_weight: float
    model_weight: float
    bias: float


def fit_fused(judged: Sequence[JudgedFlash]) -> FusedFit | None:
    """Return the weights with which both opinions are added; None if both are known for too few flashes.

    A weight is never negative: an opinion against lightning must not count for it.
    """
    both = [one for one in judged if one.photometric is not None]
    truths = np.array([one.lightning for one in both], bool)
    if min(int(truths.sum()), int((~truths).sum())) < MIN_OF_EACH:
        return None
    light, model = (
        np.array([[getattr(one, name)] for one in both], np.float64) for name in ("photometric", "log_odds")
    )
    targets = smoothed(truths)
    light_weight, model_weight, bias = fit_logistic(np.hstack([light, model]), targets)
    if light_weight < 0:
        light_weight, (model_weight, bias) = 0.0, fit_logistic(model, targets)
    elif model_weight < 0:
        model_weight, (light_weight, bias) = 0.0, fit_logistic(light, targets)
    return FusedFit(float(max(light_weight, 0.0)), float(max(model_weight, 0.0)), float(bias))


def compare_judges(judged: Sequence[JudgedFlash]) -> dict[str, Quality]:
    """Return the quality on unseen recordings of the model, of brightness alone and of the photometric verifier.

    Raises:
        LabelsError: the flashes are all of one recording.
    """
    clips = [one.clip for one in judged]
    if len(set(clips)) < 2:
        raise LabelsError(
            f"all flashes are of one recording ({clips[0] if clips else 'none'}): a fit can be tried only on "
            "recordings that it has not seen; label more of them"
        )
    truths = np.array([one.lightning for one in judged], bool)

    def column(name: str) -> NDArray[np.float64]:
        return np.array([[getattr(one, name)] for one in judged], np.float64)

    predictors = {"the model": column("log_odds"), BRIGHTNESS: column("brightness")}
    if all(one.photometric is not None for one in judged):
        predictors["photometric"] = column("photometric")
        predictors["both added"] = np.hstack([column("photometric"), column("log_odds")])
    return compare(predictors, truths, clips)


def _model_answer(verdict: Verdict | None) -> tuple[float, AnswerSource] | None:
    """Return the model's log-odds in a verdict, whichever verifier decided, and their source."""
    if verdict is None:
        return None
    for opinion in verdict.opinions:
        if opinion.model is not None and opinion.log_odds is not None and opinion.lightning is not None:
            source = AnswerSource(
                opinion.verifier, opinion.model, opinion.model_revision, opinion.prompt_version or "?"
            )
            return opinion.log_odds, source
    if verdict.opinions or "log_odds" not in verdict.evidence:
        return None
    source = AnswerSource(verdict.verifier, verdict.model or "?", verdict.model_revision, verdict.prompt_version or "?")
    return verdict.evidence["log_odds"], source


def _photometric_odds(verdict: Verdict | None) -> float | None:
    if verdict is None:
        return None
    for opinion in verdict.opinions:
        if opinion.model is None and opinion.log_odds is not None:
            return opinion.log_odds
    probability = verdict.evidence.get("photometric_probability")
    return None if probability is None else log_odds(probability, MIN_PROBABILITY)


def labelled_clip(labels: Mapping[str, ClipLabels], flash: Flash) -> tuple[str, bool] | None:
    """Return the clip of `flash`, and whether a label says that it was lightning; None if no label decides."""
    for clip, found in by_clip([flash], labels, get_args(State)).items():
        if found:
            score = score_clip(labels[clip], [detection_of(flash)])
            if score.found:
                return clip, True
            return (clip, False) if score.false_alarms else None
    return None


def _quality(probabilities: NDArray[np.float64], truths: NDArray[np.bool_]) -> FitQuality:
    likely = np.clip(np.where(truths, probabilities, 1 - probabilities), 1e-12, 1.0)
    tenths = np.minimum((probabilities * 10).astype(int), 9)
    gaps = [abs(probabilities[tenths == k].sum() - truths[tenths == k].sum()) for k in range(10)]
    return FitQuality(float(-np.log(likely).mean()), float(sum(gaps) / len(truths)))
