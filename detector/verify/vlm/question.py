"""What a model is shown of a candidate and asked about it, and the verdict made from its answer."""

import math
from dataclasses import dataclass

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import QuestionSettings
from detector.verify.vlm.images import Picture, pictures_of
from detector.verify.vlm.prompt import read_prompt


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The pictures of one candidate, in order, and the question about them."""

    pictures: list[Picture]
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked: the verifier's name, the model, its commit (None: unknown) and the mode that it ran in."""

    verifier: str
    model: str
    revision: str | None
    mode: str


class Question:
    """One question for all candidates of a run.

    Raises:
        SettingsError: the prompt file cannot be used.
    """

    def __init__(self, settings: QuestionSettings, side_pixels: int) -> None:
        self._settings = settings
        self._side_pixels = side_pixels
        self.prompt = read_prompt(settings.prompt)

    def show(self, candidate: Candidate) -> Shown:
        """The pictures to show and the text that names them."""
        pictures = pictures_of(
            candidate, self._settings.pictures, crop=self._settings.crop == "lit", side_pixels=self._side_pixels
        )
        return Shown(list(pictures.values()), self.prompt.text(pictures))

    def calibration_key(self, asked: Asked) -> str:
        """All that a fitted temperature and bias hold for, in one line."""
        shown = "+".join(self._settings.pictures)
        return f"{asked.model}@{asked.revision or '?'} prompt {self.prompt.label} {shown} {asked.mode}"

    def calibration_note(self, asked: Asked) -> str:
        """How far the probabilities can be trusted, for the line said at start."""
        key = self.calibration_key(asked)
        if not self._settings.calibrated_for:
            return "probabilities not calibrated"
        if self._settings.calibrated_for == key:
            return "probabilities calibrated"
        return f"calibration was fitted for {self._settings.calibrated_for!r}, not for {key!r}: fit it again"

    def verdict(self, asked: Asked, log_odds: float, answer_mass: float, seconds: float) -> Verdict:
        """The verdict for an answer: log-odds of Yes over No, probability 0..1 of either, seconds it took."""
        settings = self._settings
        lightning: bool | None = None
        probability: float | None = None
        reason: str | None = None
        if not (math.isfinite(log_odds) and math.isfinite(answer_mass)):
            reason = f"the model answered with a number that is none: log-odds {log_odds}, mass {answer_mass}"
        elif answer_mass < settings.min_answer_mass:
            reason = (
                f"the model answered neither Yes nor No: together {answer_mass:.2g}, at least "
                f"{settings.min_answer_mass:g} wanted; is it an instruct model, not a thinking one?"
            )
        else:
            probability = logistic((log_odds - settings.bias) / settings.temperature)
            lightning = probability >= settings.threshold
        finite = {"log_odds": log_odds, "answer_mass": answer_mass}
        return Verdict(
            lightning=lightning,
            probability=probability,
            verifier=asked.verifier,
            evidence={name: round(value, 6) for name, value in finite.items() if math.isfinite(value)},
            model=asked.model,
            model_revision=asked.revision,
            prompt_version=self.prompt.label,
            seconds=round(seconds, 4),
            reason=reason,
        )

    def unanswered(self, asked: Asked, reason: str) -> Verdict:
        """The verdict when no answer came."""
        return Verdict(
            lightning=None,
            probability=None,
            verifier=asked.verifier,
            model=asked.model,
            model_revision=asked.revision,
            prompt_version=self.prompt.label,
            reason=reason,
        )


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), without overflow."""
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else 1.0 - 1.0 / (1.0 + math.exp(value))
