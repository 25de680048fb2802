"""Verification by light curve and shape alone; needs no model: the embedded default."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.flash import Candidate, Verdict
from detector.settings import PhotometricSettings

# How sure one is before looking: a candidate has already passed the prefilter.
PRIOR_LOG_ODDS = 1.0


@dataclass(frozen=True, slots=True)
class Clue:
    """One physical reason: how it is measured, and what a value says.

    measure: the value, or None where this candidate cannot tell.
    low, high: values at which it speaks against lightning with `against` and for it with `favour` (log-odds, i.e.
    ln(p / (1 - p))); between them linear, beyond them no stronger.
    """

    name: str
    measure: Callable[[Candidate], float | None]
    low: float
    high: float
    against: float
    favour: float

    def log_odds(self, value: float) -> float:
        """What `value` adds to the log-odds of lightning."""
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return -self.against + share * (self.favour + self.against)


class PhotometricVerifier:
    """Adds up what each physical reason says for or against lightning."""

    name = "photometric"
    at_once = True

    def __init__(self, settings: PhotometricSettings) -> None:
        self._settings = settings

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """One verdict for each of `candidates`, in order."""
        return [self._judge(candidate) for candidate in candidates]

    def close(self) -> None:
        """Nothing is held."""

    def _judge(self, candidate: Candidate) -> Verdict:
        began = time.perf_counter()
        evidence: dict[str, float] = {}
        log_odds = PRIOR_LOG_ODDS
        for clue in CLUES:
            value = clue.measure(candidate)
            if value is not None:
                evidence[clue.name] = round(value, 4)
                log_odds += clue.log_odds(value)
        probability = 1.0 / (1.0 + math.exp(-log_odds))
        settings = self._settings
        threshold = settings.damaged_threshold if candidate.quality else settings.threshold
        return Verdict(
            lightning=probability >= threshold,
            probability=round(probability, 4),
            verifier=self.name,
            evidence=evidence,
            seconds=round(time.perf_counter() - began, 6),
        )


def positivity(candidate: Candidate) -> float | None:
    """Share of rises in all noticeable changes at the onset: added light darkens nothing, motion does."""
    return float(candidate.curve.positivity[candidate.curve.lit].max(initial=0.0))


def fallen_share(candidate: Candidate) -> float | None:
    """How far the light fell back after its brightest moment: lightning goes out, a lamp or an exposure step stays."""
    rise = candidate.curve.rise
    brightest = int(np.argmax(rise))
    left = rise[brightest:]
    if candidate.after is None and len(left) < 3:
        return None
    return 1.0 - float(left.min()) / max(float(rise[brightest]), 1e-6)


CLUES: tuple[Clue, ...] = (
    Clue("positivity", positivity, low=0.8, high=0.95, against=3.0, favour=1.0),
    Clue("fallen_share", fallen_share, low=0.3, high=0.7, against=4.0, favour=1.0),
)
