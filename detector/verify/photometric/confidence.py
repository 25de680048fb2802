"""The probability of a photometric verdict: how far its clues are from their bounds, calibrated."""

from collections.abc import Iterable, Mapping

from detector.verify.photometric.clue import Clue
from detector.verify.probability import logistic

# Fitted by `tools/bench reliability` on made scenes and open footage; docs/benchmarks.md has the command and how well
# it holds on sources that the fit has not seen.
SLOPE, OFFSET = 1.29, 11.69
SCALE = f"{SLOPE:g}/{OFFSET:g}"
"""The name of this calibration: what is fitted to the probability holds for this one only."""
_LEAST = 1e-4  # of a verdict's four digits


def total_doubt(clues: Iterable[Clue], evidence: Mapping[str, float]) -> float:
    """Return the sum of what the clues hold against it, by how near each value is to its bounds, 0 and more.

    A clue that could not be measured counts as one whose value is clear by as much as its two bounds are apart.
    """
    return sum(clue.cost * clue.nearness(evidence.get(clue.key, 2 * clue.clear - clue.against)) for clue in clues)


def confidence(clues: Iterable[Clue], evidence: Mapping[str, float], *, lightning: bool, threshold: float) -> float:
    """Return the calibrated probability of lightning, on the side of `threshold` where the verdict is.

    The verdict itself adds up the clues with sharp bounds: nearly all that it confirms is clear by every one of them.
    How sure it is depends on how far.

    Args:
        clues: those of the verdict.
        evidence: their values by key.
        lightning: the verdict.
        threshold: the probability that divides the verdicts, 0..1.
    """
    probability = logistic(OFFSET - SLOPE * total_doubt(clues, evidence))
    return max(probability, threshold) if lightning else min(probability, threshold - _LEAST)
