"""Verification by light curve and shape alone; needs no model: the embedded default."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import PhotometricSettings
from detector.verify.photometric import clues
from detector.verify.photometric import colour as colour_clues
from detector.verify.photometric.damage import may_be_damage
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.fireworks import SWARM_SPECKS, FireworkMemory

# How sure one is before looking: a candidate has already passed the prefilter.
PRIOR_LOG_ODDS = 1.5
# Of the doubts that a rejected light met the strongest are told, if they matter: one log-odds is a factor of 2.7.
DOUBTS_TOLD, TOLD_FROM = 3, 1.0
DAMAGED = "its pictures are damaged, and what is left of one may look like this"


@dataclass(frozen=True, slots=True)
class Weight:
    """What a clue says, in log-odds, ln(p / (1 - p)), of lightning.

    At `against` it takes `cost` away, at `clear` and beyond it takes nothing; between them linear, beyond `against` no
    more. `favour` is what it adds at `clear`. No clue alone decides unless its cost says so. `doubt` says in words what
    takes something away.
    """

    measure: Callable[[CandidateFeatures], float | None]
    doubt: str
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
    Weight(clues.positivity, "much else got darker", against=0.88, clear=0.95, cost=2.0, favour=0.5),
    Weight(clues.fine_positivity, "something moved beside it", against=0.8, clear=0.93, cost=5.0, favour=0.5),
    Weight(clues.fallen_share, "the light stayed", against=0.5, clear=0.8, cost=6.0, favour=0.5),
    Weight(clues.went_dark, "it was not seen to go out", against=0.0, clear=1.0, cost=1.5),
    Weight(clues.scene_changed, "the scene was another one afterwards", against=0.7, clear=0.3, cost=4.0),
    Weight(clues.detail_kept, "it shows another place afterwards", against=0.15, clear=0.4, cost=5.0),
    Weight(clues.unevenness, "all of it faded to white, as editors do", against=0.03, clear=0.06, cost=5.0),
    Weight(clues.suddenness, "it grew slowly", against=0.3, clear=0.55, cost=4.0),
    Weight(clues.gain_likeness, "all brightened alike, as by exposure", against=0.75, clear=0.55, cost=5.0),
    Weight(clues.gain_elsewhere, "the rest brightened too, as by mains light", against=0.6, clear=0.4, cost=4.0),
    Weight(clues.filter_swing, "an infra-red filter swung", against=0.2, clear=0.1, cost=6.0),
    Weight(clues.shift_likeness, "the picture moved", against=0.55, clear=0.45, cost=5.0),
    Weight(clues.smoothness, "it is small and sharp", against=0.1, clear=0.25, cost=4.0),
    Weight(clues.specks, "it is a swarm of sparks, as of fireworks", against=SWARM_SPECKS, clear=12.0, cost=4.0),
    Weight(clues.show, "there were fireworks right before it", against=3.0, clear=1.0, cost=4.0),
    Weight(clues.overlap, "it moved on from picture to picture", against=0.4, clear=0.7, cost=3.0),
    Weight(clues.travel, "it travelled steadily", against=0.8, clear=0.4, cost=4.0),
    Weight(clues.roaming, "it shone in one place after the other", against=3.0, clear=2.0, cost=4.0),
    Weight(clues.company, "lights as of insects came before it", against=3.0, clear=1.0, cost=4.0),
    Weight(clues.steadiness, "it shone evenly, as lamps do", against=0.9, clear=0.6, cost=4.0),
    Weight(clues.regularity, "it kept time, as machines do", against=0.85, clear=0.6, cost=5.0),
    # Of three flashes of a storm one in ten keeps time by chance, of five hardly any.
    Weight(clues.blinks, "it blinked, as lamps do", against=4.0, clear=2.0, cost=6.0),
    Weight(colour_clues.colour_lost, "the picture lost its colour", against=0.9, clear=0.6, cost=4.0),
    Weight(colour_clues.warmth, "its light is warm, as that of lamps", against=0.5, clear=0.1, cost=4.0),
    Weight(colour_clues.hue_spread, "its light has many colours", against=0.3, clear=0.2, cost=3.0),
    Weight(colour_clues.greenness, "its light is green", against=0.16, clear=0.08, cost=4.0),
    Weight(clues.height, "it is low in the picture", against=0.88, clear=0.76, cost=4.0),
    Weight(clues.lamplight, "it is low and not bluish", against=0.03, clear=-0.02, cost=4.0, favour=1.0),
    Weight(clues.reach, "nothing about it glows", against=0.12, clear=0.16, cost=5.0),
    Weight(clues.sky_share, "the sky above shows none of it", against=0.05, clear=0.09, cost=5.0),
    Weight(clues.size, "it is small", against=0.02, clear=0.1, cost=1.0),
)


class PhotometricVerifier:
    """Adds up what each physical reason says for or against lightning.

    What it saw of a camera lately counts too: judge the candidates of each camera in the order in which they came.
    """

    name = "photometric"
    inline = True  # some tens of milliseconds, and events stay in the order of the video

    def __init__(self, settings: PhotometricSettings) -> None:
        self._settings = settings
        self._shows = FireworkMemory()

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """One verdict for each of `candidates`, in order."""
        return [self._judge(candidate) for candidate in candidates]

    def close(self) -> None:
        """Nothing is held."""

    def _judge(self, candidate: Candidate) -> Verdict:
        began = time.perf_counter()
        views = CandidateFeatures(candidate, self._shows.swarms_before(candidate))
        evidence: dict[str, float] = {}
        costs: dict[str, float] = {}
        log_odds = PRIOR_LOG_ODDS
        for weight in WEIGHTS:
            value = weight.measure(views)
            if value is not None:
                evidence[weight.name] = round(value, 4)
                added = weight.log_odds(value)
                log_odds += added
                costs[f"{weight.doubt} ({weight.name} {value:.3g})"] = -added
        self._shows.add(candidate, evidence.get("specks", 0.0), evidence.get("fallen_share", 0.0))
        probability = 1.0 / (1.0 + math.exp(-log_odds))
        settings = self._settings
        threshold = settings.damaged_threshold if candidate.quality else settings.threshold
        lightning: bool | None = probability >= threshold
        doubtful = lightning and may_be_damage(candidate)
        reason = None
        if doubtful or not lightning:
            # Of damaged pictures more is asked than of others.
            reason = DAMAGED if probability >= settings.threshold else _doubts(costs)
        return Verdict(
            lightning=None if doubtful else lightning,
            probability=round(probability, 4),
            verifier=self.name,
            evidence=evidence,
            seconds=round(time.perf_counter() - began, 6),
            reason=reason,
        )


def _doubts(costs: dict[str, float]) -> str:
    """The strongest of `costs` in words, the strongest first."""
    held = sorted((doubt for doubt in costs if costs[doubt] > 0), key=costs.__getitem__, reverse=True)
    told = [doubt for doubt in held[:DOUBTS_TOLD] if costs[doubt] >= TOLD_FROM] or held[:1]
    return "; ".join(told) or "less sure than the settings ask for"
