"""The question to a model about a candidate, and the verdict from its answer.

The question comes from a prompt file, whose version is part of verdicts.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from detector.candidate import Candidate
from detector.errors import SettingsError
from detector.events import Verdict
from detector.settings import PictureName, QuestionSettings
from detector.verify.probability import logistic
from detector.verify.vlm.images import CandidateImages, Remark, RgbImage, VlmImage, as_array, images_of

SHIPPED = "shipped"
_ALWAYS_NAMED: tuple[PictureName, ...] = ("before", "onset", "peak", "after", "difference")
# Models mark images and turns with tokens of these forms; in a question they would break its structure.
_CONTROL = re.compile(r"<\|[^|]*\|>|</?(?:image|slice|think|image_id)>")


@dataclass(frozen=True, slots=True, eq=False)
class VlmInput:
    """A model's input for one candidate.

    Attributes:
        images: in the order shown.
        text: the question about them.
    """

    images: Sequence[VlmImage]
    text: str

    def arrays(self) -> list[RgbImage]:
        """Return the images, each computed."""
        return [as_array(image) for image in self.images]


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The identity of a model and of the settings that change its answers.

    Attributes:
        verifier: name of the verifier that asks it.
        model: its id.
        revision: its commit; None if unknown.
        mode: settings that change its answers.
    """

    verifier: str
    model: str
    revision: str | None
    mode: str


class Score(msgspec.Struct, frozen=True, array_like=True):
    """A model's answer to one question.

    Attributes:
        log_odds: of Yes over No.
        answer_mass: probability that the answer is one of the two, 0..1.
    """

    log_odds: float
    answer_mass: float


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question as in the prompt file.

    Attributes:
        version: version of the file.
        question: text with a placeholder, {pictures}, for the sentences about the images.
        pictures: a sentence for each kind of image.
        remarks: a sentence for each Remark about the images.
        fingerprint: start of the file's hash, which distinguishes two files of one version.
    """

    version: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    question: str
    pictures: dict[PictureName, str]
    remarks: dict[Remark, str] = {}
    fingerprint: str = ""

    @property
    def label(self) -> str:
        """Version and fingerprint as in verdicts, e.g. 1-9f86d081."""
        return f"{self.version}-{self.fingerprint}"

    def text(self, shown: Iterable[PictureName], remarks: Iterable[Remark] = ()) -> str:
        """Return the question about images of these kinds, in this order, with the remarks about them.

        Images are numbered from 0, like the models' own marks before them.
        """
        names = [self.pictures[name].replace("{number}", str(number)) for number, name in enumerate(shown)]
        said = [self.remarks[remark] for remark in remarks if remark in self.remarks]
        return self.question.strip().replace("{pictures}", " ".join(names + said))


class Question:
    """One question for all candidates of a run.

    Raises:
        SettingsError: the prompt file cannot be used.
    """

    def __init__(self, settings: QuestionSettings, side_pixels: int) -> None:
        self._settings = settings
        self._side_pixels = side_pixels
        self.prompt = read_prompt(settings.prompt)
        unnamed = [name for name in settings.pictures if name not in self.prompt.pictures]
        if unnamed:
            raise SettingsError(
                f"question.pictures asks for {', '.join(unnamed)}: the prompt {settings.prompt} has no sentence for it"
            )

    def images(self, candidate: Candidate) -> CandidateImages:
        """Return the images to show, by name."""
        return images_of(
            candidate, self._settings.pictures, crop=self._settings.crop == "lit", side_pixels=self._side_pixels
        )

    def show(self, candidate: Candidate) -> VlmInput:
        """Return the images to show and the text that names them."""
        shown = self.images(candidate)
        return VlmInput(list(shown.images.values()), self.prompt.text(shown.images, shown.remarks))

    def calibration_key(self, identity: ModelIdentity) -> str:
        """Return in one line everything that a fitted temperature and bias are valid for."""
        shown = "+".join(self._settings.pictures)
        return f"{identity.model}@{identity.revision or '?'} prompt {self.prompt.label} {shown} {identity.mode}"

    def calibration_note(self, identity: ModelIdentity) -> str:
        """Return how reliable the probabilities are, for the line logged at start."""
        key = self.calibration_key(identity)
        if not self._settings.calibrated_for:
            return "probabilities not calibrated"
        if self._settings.calibrated_for == key:
            return "probabilities calibrated"
        return f"calibration was fitted for {self._settings.calibrated_for!r}, not for {key!r}: fit it again"

    def verdict(self, identity: ModelIdentity, log_odds: float, answer_mass: float, seconds: float) -> Verdict:
        """Return the verdict for an answer.

        Args:
            identity: which model answered.
            log_odds: of Yes over No.
            answer_mass: probability of either, 0..1.
            seconds: duration of the answer.
        """
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
            verifier=identity.verifier,
            evidence={name: round(value, 6) for name, value in finite.items() if math.isfinite(value)},
            model=identity.model,
            model_revision=identity.revision,
            prompt_version=self.prompt.label,
            seconds=round(seconds, 4),
            reason=reason,
        )

    def unanswered(self, identity: ModelIdentity, reason: str) -> Verdict:
        """Return the verdict if no answer came."""
        return Verdict(
            lightning=None,
            probability=None,
            verifier=identity.verifier,
            model=identity.model,
            model_revision=identity.revision,
            prompt_version=self.prompt.label,
            reason=reason,
        )


def read_prompt(where: str) -> Prompt:
    """Return the prompt in the file `where`, or the shipped one.

    Raises:
        SettingsError: the file cannot be read, lacks a part, or contains a model's control tokens.
    """
    path = Path(__file__).with_name("prompt.toml") if where == SHIPPED else Path(where)
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode("utf-8"))
        prompt = msgspec.convert(table | {"fingerprint": hashlib.sha256(content).hexdigest()[:8]}, Prompt)
    except OSError as error:
        raise SettingsError(f"question.prompt = {where!r}: cannot read it: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: not a prompt file: {error}; the shipped prompt.toml shows the form") from error
    _check(prompt, path)
    return prompt


def _check(prompt: Prompt, path: Path) -> None:
    missing = set(_ALWAYS_NAMED) - set(prompt.pictures)
    if missing:
        raise SettingsError(f"{path}: [pictures] lacks {', '.join(sorted(missing))}; each needs a sentence")
    if "{pictures}" not in prompt.question:
        raise SettingsError(f"{path}: the question has no {{pictures}}; the pictures must be named in it")
    found = _CONTROL.search(prompt.text(prompt.pictures, prompt.remarks))
    if found:
        raise SettingsError(f"{path}: {found[0]!r} is a control token of the model; leave it out")
