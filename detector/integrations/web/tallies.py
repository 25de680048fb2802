"""Counts and histograms of flashes since the page began, for monitors."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from detector.events import Flash

LATENCY_BOUNDS = (0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PROBABILITY_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(slots=True)
class Histogram:
    """Values by upper bound, as Prometheus counts them."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, count of values up to it), ending with +Inf."""
        found, so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found


class Tallies:
    """The counts since this page began.

    Attributes:
        flashes: number of flashes that reached a state, by (site, camera, state).
        detected: seconds from a frame's arrival to the event `detected`, by site.
        verdicts: seconds from the last frame of a flash to its verdict, by site.
        probabilities: probabilities of lightning, by site.
    """

    def __init__(self) -> None:
        self.flashes: Counter[tuple[str, str, str]] = Counter()
        self.detected: dict[str, Histogram] = {}
        self.verdicts: dict[str, Histogram] = {}
        self.probabilities: dict[str, Histogram] = {}

    def flash(self, site: str, flash: Flash, *, first: bool) -> None:
        """Count a revision; `first` says that it brings the flash into its state."""
        if not first:
            return
        self.flashes[site, flash.camera, flash.state] += 1
        seconds = flash.latency_ms / 1000
        if flash.state == "detected":
            self.detected.setdefault(site, Histogram(LATENCY_BOUNDS)).add(seconds)
            return
        self.verdicts.setdefault(site, Histogram(LATENCY_BOUNDS)).add(seconds)
        if flash.verdict is not None and flash.verdict.probability is not None:
            self.probabilities.setdefault(site, Histogram(PROBABILITY_BOUNDS)).add(flash.verdict.probability)
