"""Verification by light curve and shape alone; needs no model: the embedded default."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detector import clues, colour_clues
from detector.damage import may_be_damage
from detector.flash import Candidate, Verdict
from detector.settings import PhotometricSettings
from detector.shows import SWARM_SPECKS, Shows
from detector.views import Views

# How sure one is before looking: a candidate has already passed the prefilter.
PRIOR_LOG_ODDS = 1.5


@dataclass(frozen=True, slots=True)
class Weight:
    """What a clue says, in log-odds, ln(p / (1 - p)), of lightning.

    At `against` it takes `cost` away, at `clear` and beyond it takes nothing; between them linear, beyond `against` no
    more. `favour` is what it adds at `clear`. No clue alone decides unless its cost says so.
    """

    measure: Callable[[Views], float | None]
    against: float
    clear: float
    cost: float
    favour: float = 0.0

    @property
    def name(self) -> str:
        """The clue's name in a verdict's evidence."""
        return self.measure.__name__

    def log_odds(self, value: float) -> float:
        """What `value` adds to the log-odds of lightning."""
        share = min(1.0, max(0.0, (value - self.against) / (self.clear - self.against)))
        return share * self.favour - (1.0 - share) * self.cost


WEIGHTS: tuple[Weight, ...] = (
    Weight(clues.positivity, against=0.88, clear=0.95, cost=2.0, favour=0.5),
    Weight(clues.fine_positivity, against=0.8, clear=0.93, cost=5.0, favour=0.5),
    Weight(clues.fallen_share, against=0.5, clear=0.8, cost=6.0, favour=0.5),
    Weight(clues.went_dark, against=0.0, clear=1.0, cost=1.5),
    Weight(clues.scene_changed, against=0.7, clear=0.3, cost=4.0),
    Weight(clues.suddenness, against=0.3, clear=0.55, cost=4.0),
    Weight(clues.gain_likeness, against=0.75, clear=0.55, cost=5.0),
    Weight(clues.gain_elsewhere, against=0.6, clear=0.4, cost=4.0),
    Weight(clues.filter_swing, against=0.2, clear=0.1, cost=6.0),
    Weight(clues.shift_likeness, against=0.55, clear=0.45, cost=5.0),
    Weight(clues.smoothness, against=0.1, clear=0.25, cost=4.0),
    Weight(clues.specks, against=SWARM_SPECKS, clear=12.0, cost=4.0),
    Weight(clues.show, against=3.0, clear=1.0, cost=4.0),
    Weight(clues.overlap, against=0.4, clear=0.7, cost=3.0),
    Weight(clues.travel, against=0.8, clear=0.4, cost=4.0),
    Weight(clues.roaming, against=3.0, clear=2.0, cost=4.0),
    Weight(clues.company, against=3.0, clear=1.0, cost=4.0),
    Weight(clues.steadiness, against=0.9, clear=0.6, cost=4.0),
    Weight(clues.regularity, against=0.85, clear=0.6, cost=5.0),
    # Of three flashes of a storm one in ten keeps time by chance, of five hardly any.
    Weight(clues.blinks, against=4.0, clear=2.0, cost=6.0),
    Weight(colour_clues.colour_lost, against=0.9, clear=0.6, cost=4.0),
    Weight(colour_clues.warmth, against=0.5, clear=0.1, cost=4.0),
    Weight(colour_clues.hue_spread, against=0.3, clear=0.2, cost=3.0),
    Weight(colour_clues.greenness, against=0.16, clear=0.08, cost=4.0),
    Weight(clues.height, against=0.88, clear=0.76, cost=4.0),
    Weight(clues.lamplight, against=0.03, clear=-0.02, cost=4.0, favour=1.0),
    Weight(clues.reach, against=0.12, clear=0.16, cost=5.0),
    Weight(clues.size, against=0.02, clear=0.1, cost=1.0),
)


class PhotometricVerifier:
    """Adds up what each physical reason says for or against lightning.

    What it saw of a camera lately counts too: judge the candidates of each camera in the order in which they came.
    """

    name = "photometric"
    at_once = True  # some tens of milliseconds, and events stay in the order of the video

    def __init__(self, settings: PhotometricSettings) -> None:
        self._settings = settings
        self._shows = Shows()

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """One verdict for each of `candidates`, in order."""
        return [self._judge(candidate) for candidate in candidates]

    def close(self) -> None:
        """Nothing is held."""

    def _judge(self, candidate: Candidate) -> Verdict:
        began = time.perf_counter()
        views = Views(candidate, self._shows.swarms_before(candidate))
        evidence: dict[str, float] = {}
        log_odds = PRIOR_LOG_ODDS
        for weight in WEIGHTS:
            value = weight.measure(views)
            if value is not None:
                evidence[weight.name] = round(value, 4)
                log_odds += weight.log_odds(value)
        self._shows.add(candidate, evidence.get("specks", 0.0), evidence.get("fallen_share", 0.0))
        probability = 1.0 / (1.0 + math.exp(-log_odds))
        settings = self._settings
        threshold = settings.damaged_threshold if candidate.quality else settings.threshold
        lightning: bool | None = probability >= threshold
        doubtful = lightning and may_be_damage(candidate)
        return Verdict(
            lightning=None if doubtful else lightning,
            probability=round(probability, 4),
            verifier=self.name,
            evidence=evidence,
            seconds=round(time.perf_counter() - began, 6),
            reason="packets were lost, and what is left of a picture may look like this" if doubtful else None,
        )
