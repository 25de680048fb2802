"""Whether a storm is on, from the times of confirmed flashes."""

from collections.abc import Sequence
from dataclasses import dataclass

BEGIN_COUNT = 2
BEGIN_SECONDS = 600.0
QUIET_SECONDS = 1800.0
"""A storm begins with two confirmed flashes within ten minutes and ends 30 minutes after its last (DESIGN, words)."""
SAME_SECONDS = 0.5
"""Flashes of two cameras that are no further apart count once."""


@dataclass(frozen=True, slots=True)
class StormState:
    """The state of the storm on the page.

    Attributes:
        on: whether a storm is on.
        since: when it began, or when it became quiet; seconds since 1970; None where that is not known.
        last: time of the last confirmed flash; None where there was none.
    """

    on: bool
    since: float | None
    last: float | None


def strikes(seen: Sequence[tuple[float, str]]) -> list[float]:
    """Return the times of (time, camera) in order, with what several cameras saw at one moment once."""
    kept: list[float] = []
    cameras: dict[str, float] = {}
    for time, camera in sorted(seen):
        twin = any(time - other <= SAME_SECONDS for name, other in cameras.items() if name != camera)
        cameras[camera] = time
        if not (twin and kept and time - kept[-1] <= SAME_SECONDS):
            kept.append(time)
    return kept


def storm_of(times: Sequence[float], now: float) -> StormState:
    """Return the state at `now` after confirmed flashes at `times`, in order."""
    begun: float | None = None
    before: list[float] = []
    for time in times:
        if begun is not None and time - before[-1] > QUIET_SECONDS:
            begun, before = None, []
        before = [*(one for one in before if time - one <= BEGIN_SECONDS or begun is not None), time][-BEGIN_COUNT:]
        if begun is None and len(before) >= BEGIN_COUNT:
            begun = before[0]
    last = times[-1] if times else None
    if begun is not None and last is not None and now - last <= QUIET_SECONDS:
        return StormState(on=True, since=begun, last=last)
    return StormState(on=False, since=None if begun is None or last is None else last + QUIET_SECONDS, last=last)


def by_bins(times: Sequence[float], now: float, count: int, seconds: float) -> list[int]:
    """Return how many of `times` lie in each of the last `count` stretches of `seconds`, the oldest first."""
    bins = [0] * count
    for time in times:
        back = int((now - time) // seconds)
        if 0 <= back < count:
            bins[count - 1 - back] += 1
    return bins
