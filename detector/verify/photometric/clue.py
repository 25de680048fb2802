"""Clue: one measured reason for or against lightning, with its key, its bounds and its cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from detector.verify.photometric.features import CandidateFeatures
from detector.verify.probability import logistic

Measure = Callable[[CandidateFeatures], float | None]


@dataclass(frozen=True, slots=True)
class Clue:
    """A measure of a candidate, and the log-odds of lightning, ln(p / (1 - p)), that its value adds.

    Between `against` and `clear` the log-odds are linear, outside they are constant.

    Attributes:
        key: name in a verdict's evidence; users rely on it.
        meaning: description of the value, for docs/evidence.md.
        doubt: what a value near `against` suggests, for a verdict's reason.
        against: value at which `cost` is subtracted.
        clear: value at which `favour` is added; it may be on either side of `against`.
        cost: log-odds subtracted at `against`, 0 or more.
        favour: log-odds added at `clear`, 0 or more.
        measure: the function that measures it; it returns None if it cannot measure the candidate.
    """

    key: str
    meaning: str
    doubt: str
    against: float
    clear: float
    cost: float
    favour: float
    measure: Measure

    def __post_init__(self) -> None:
        """Raise ValueError for bounds or log-odds that cannot be used."""
        if not all(map(math.isfinite, (self.against, self.clear, self.cost, self.favour))):
            raise ValueError("against, clear, cost and favour must be finite numbers")
        if self.against == self.clear:
            raise ValueError(f"against and clear are both {self.clear:g}; give two different values")
        if self.cost < 0 or self.favour < 0:
            raise ValueError(f"cost {self.cost:g} and favour {self.favour:g} must be 0 or more")

    def __call__(self, features: CandidateFeatures) -> float | None:
        """Return the value for a candidate; None if it cannot be measured."""
        return self.measure(features)

    def log_odds(self, value: float) -> float:
        """Return the log-odds of lightning that `value` adds."""
        share = min(1.0, max(0.0, self._place(value)))
        return share * self.favour - (1.0 - share) * self.cost

    def nearness(self, value: float) -> float:
        """Return how near `value` is to `against` or beyond, 0..1, without an edge: 0.73 there, 0.27 at `clear`."""
        return logistic(1.0 - 2.0 * self._place(value))

    def _place(self, value: float) -> float:
        """Return where `value` is on the way from `against` (0) to `clear` (1)."""
        return (value - self.against) / (self.clear - self.against)


def clue(  # noqa: PLR0913
    key: str, *, meaning: str, doubt: str, against: float, clear: float, cost: float, favour: float = 0.0
) -> Callable[[Measure], Clue]:
    """Make a clue of the function below; see Clue for the arguments."""

    def register(measure: Measure) -> Clue:
        return Clue(key, meaning, doubt, against, clear, cost, favour, measure)

    return register
