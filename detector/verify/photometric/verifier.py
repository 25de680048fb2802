"""Verification by physical clues alone: the built-in default, which needs no model."""

import time
from collections.abc import Sequence

from detector.candidate import SLOW_SECONDS, Candidate
from detector.events import Verdict
from detector.settings import PhotometricSettings
from detector.verify.photometric.confidence import confidence
from detector.verify.photometric.damage import may_be_damage
from detector.verify.photometric.edges import why_unsure
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.fireworks import FireworkMemory
from detector.verify.photometric.registry import CLUES, Weights, weighted
from detector.verify.probability import logistic

# Log-odds before any clue: a candidate has already passed the prefilter.
PRIOR_LOG_ODDS = 1.5
# Number of doubts in the reason of a rejected flash, and the least log-odds of each: one is a factor of 2.7.
MAX_DOUBTS, MIN_DOUBT_LOG_ODDS = 3, 1.0
# If frames are further apart than a flash lasts, a lamp that was on for a moment looks the same.
MOST_WHERE_SLOW = 0.7
DAMAGED = "its frames are damaged, and what is left of one may look like this"


class PhotometricVerifier:
    """Add up the log-odds of all clues for or against lightning.

    Earlier lights of a camera influence later ones: judge the candidates of a camera in order.
    """

    name = "photometric"
    inline = True  # takes tens of milliseconds, and events stay in the order of the video

    def __init__(self, settings: PhotometricSettings, weights: Weights = CLUES) -> None:
        """Make a verifier.

        Args:
            settings: the thresholds on its probability.
            weights: changes to the bounds, cost and favour of clues by evidence key, for example
                `{"specks": {"cost": 2.0}}`; or the list of all clues to use.

        Raises:
            SettingsError: `weights` names an unknown clue or contains a value that cannot be used.
        """
        self._settings = settings
        self._clues = weighted(weights)
        self._fireworks = FireworkMemory()

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return one verdict for each of `candidates`, in order."""
        return [self._judge(candidate) for candidate in candidates]

    def close(self) -> None:
        """Do nothing: no resources are held."""

    def _judge(self, candidate: Candidate) -> Verdict:
        began = time.perf_counter()
        features = CandidateFeatures(candidate, self._fireworks.swarms_before(candidate))
        evidence: dict[str, float] = {}
        costs: dict[str, float] = {}
        log_odds = PRIOR_LOG_ODDS
        for clue in self._clues:
            value = clue(features)
            if value is not None:
                evidence[clue.key] = round(value, 4)
                added = clue.log_odds(value)
                log_odds += added
                costs[f"{clue.doubt} ({clue.key} {value:.3g})"] = -added
        self._fireworks.add(candidate, evidence.get("specks", 0.0), evidence.get("fallen_share", 0.0))
        most = MOST_WHERE_SLOW if candidate.frame_interval >= SLOW_SECONDS else 1.0
        reached = min(logistic(log_odds), most)
        settings = self._settings
        threshold = settings.damaged_threshold if candidate.quality else settings.threshold
        lightning = reached >= threshold
        probability = confidence(self._clues, evidence, lightning=lightning, threshold=threshold)
        unsure = why_unsure(candidate)
        if lightning and may_be_damage(candidate):
            unsure = DAMAGED
        doubtful = lightning and unsure is not None
        reason = None
        if doubtful:
            reason = unsure
        elif not lightning:
            # Damaged frames need a higher probability than others.
            reason = DAMAGED if reached >= settings.threshold else _doubts(costs)
        return Verdict(
            lightning=None if doubtful else lightning,
            probability=round(min(probability, most), 4),
            verifier=self.name,
            evidence=evidence,
            seconds=round(time.perf_counter() - began, 6),
            reason=reason,
        )


def _doubts(costs: dict[str, float]) -> str:
    """Return the strongest of `costs` in words, the strongest first."""
    doubts = sorted((doubt for doubt in costs if costs[doubt] > 0), key=costs.__getitem__, reverse=True)
    named = [doubt for doubt in doubts[:MAX_DOUBTS] if costs[doubt] >= MIN_DOUBT_LOG_ODDS] or doubts[:1]
    return "; ".join(named) or "less sure than the settings ask for"
