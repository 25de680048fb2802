"""Which verifier judges better: the flashes of one or several runs, scored for each verifier that judged them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from detector.evaluate.calibration import labelled_clip
from detector.evaluate.comparison import Quality, quality
from detector.evaluate.labels import ClipLabels, Interval
from detector.evaluate.results import by_clip
from detector.evaluate.score import ClipScore, score_all, total
from detector.events import Flash, Opinion, State, Verdict

NO_VERDICT = "no verdict"
_REVISION_DIGITS = 7


@dataclass(frozen=True, slots=True, order=True)
class Judge:
    """A verifier that judged; two are one where nothing that changes their answers differs.

    Attributes:
        run: name of the results.
        within: verifier whose verdict carries this one's opinion; empty where it is the verdict itself.
        verifier: its name.
        model: id of its model, with commit and prompt; empty without one.
    """

    run: str
    within: str
    verifier: str
    model: str

    @property
    def label(self) -> str:
        """Return its name as a table shows it."""
        name = f"{self.verifier} in {self.within}" if self.within else self.verifier
        return f"{name} {self.model}".strip()


@dataclass(frozen=True, slots=True)
class JudgeScore:
    """The flashes of one judge, compared with the labels.

    Attributes:
        judge: who.
        score: all clips together.
        found: (clip, start and end) of each labelled flash that a report matches.
        answered: flashes on which it had an answer.
        asked: flashes of its run.
        quality: of its probabilities as they are; None without labelled flashes of both kinds that have one.
        seconds: median time of an answer; None where it is not known.
    """

    judge: Judge
    score: ClipScore
    found: frozenset[tuple[str, Interval]]
    answered: int
    asked: int
    quality: Quality | None
    seconds: float | None


def score_judges(
    labels: Mapping[str, ClipLabels],
    runs: Mapping[str, Sequence[Flash]],
    *,
    states: Sequence[str],
    collar_seconds: float,
) -> list[JudgeScore]:
    """Return a score for each verifier of each run, those whose opinions a verdict carries included.

    An opinion is scored as if it had decided alone: lightning is confirmed, something else rejected, no answer
    unverified.

    Args:
        labels: what each clip shows; clips that begin inside a flash are left out.
        runs: flashes by the name of their run.
        states: which count as reported.
        collar_seconds: by how much a label is widened.
    """
    labels = {clip: of_clip for clip, of_clip in labels.items() if not of_clip.begins_inside}
    scores: list[JudgeScore] = []
    for run, flashes in runs.items():
        for judge in sorted({judge for flash in flashes for judge in _judges_of(run, flash)}):
            judged = [_as_judged(judge, flash) for flash in flashes if judge.within or judge in _judges_of(run, flash)]
            scores.append(_scored(judge, judged, labels, states, collar_seconds))
    return scores


def _scored(
    judge: Judge,
    flashes: Sequence[Flash],
    labels: Mapping[str, ClipLabels],
    states: Sequence[str],
    collar_seconds: float,
) -> JudgeScore:
    clips = score_all(labels, by_clip(flashes, labels, states), collar_seconds=collar_seconds)
    verdicts = [flash.verdict for flash in flashes if flash.verdict is not None and flash.verdict.lightning is not None]
    seconds = [verdict.seconds for verdict in verdicts if verdict.seconds is not None]
    return JudgeScore(
        judge=judge,
        score=total(clips.values()),
        found=frozenset(
            (clip, interval)
            for clip, score in clips.items()
            for interval in labels[clip].flashes
            if interval not in score.missed
        ),
        answered=len(verdicts),
        asked=len(flashes),
        quality=_quality_of(flashes, labels),
        seconds=statistics.median(seconds) if seconds else None,
    )


def _quality_of(flashes: Iterable[Flash], labels: Mapping[str, ClipLabels]) -> Quality | None:
    probabilities: list[float] = []
    truths: list[bool] = []
    for flash in flashes:
        labelled = labelled_clip(labels, flash)
        if labelled is not None and flash.verdict is not None and flash.verdict.probability is not None:
            probabilities.append(flash.verdict.probability)
            truths.append(labelled[1])
    return quality(np.array(probabilities), np.array(truths, bool)) if len(set(truths)) == 2 else None


def _judges_of(run: str, flash: Flash) -> list[Judge]:
    verdict = flash.verdict
    if verdict is None:
        return [Judge(run, "", NO_VERDICT, "")]
    if not verdict.opinions:
        return [Judge(run, "", verdict.verifier, _model_of(verdict))]
    # What decided is all of its opinions' models; its own label needs none of them.
    return [Judge(run, "", verdict.verifier, "")] + [
        Judge(run, verdict.verifier, opinion.verifier, _model_of(opinion)) for opinion in verdict.opinions
    ]


def _as_judged(judge: Judge, flash: Flash) -> Flash:
    """Return the flash with the state and the verdict that `judge` gives it."""
    if not judge.within:
        return flash
    given = () if flash.verdict is None else flash.verdict.opinions
    opinion = next((one for one in given if (one.verifier, _model_of(one)) == (judge.verifier, judge.model)), None)
    lightning = None if opinion is None else opinion.lightning
    state: State = "unverified" if lightning is None else "confirmed" if lightning else "rejected"
    verdict = Verdict(
        lightning=lightning,
        probability=None if opinion is None else opinion.probability,
        verifier=judge.verifier,
        seconds=None if opinion is None else opinion.seconds,
    )
    return msgspec.structs.replace(flash, state=state, verdict=verdict)


def _model_of(judged: Verdict | Opinion) -> str:
    if judged.model is None:
        return ""
    revision = f"@{judged.model_revision[:_REVISION_DIGITS]}" if judged.model_revision else ""
    prompt = f" prompt {judged.prompt_version}" if judged.prompt_version else ""
    return f"{judged.model}{revision}{prompt}"
