"""Whether a storm is on: the page's view of the one rule of `detector.storms.fold`."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from detector.events import Flash
from detector.settings import StormSettings
from detector.storms.fold import StormFold
from detector.storms.groups import utc_seconds
from stream import utc_text


@dataclass(frozen=True, slots=True)
class StormState:
    """The state of the storm on the page.

    Attributes:
        on: whether a storm is on.
        since: when it began, or when it became quiet; seconds since 1970; None where that is not known.
        last: time of the last confirmed flash; None where there was none.
        quiet_seconds: a storm ends so long after its last flash.
    """

    on: bool
    since: float | None
    last: float | None
    quiet_seconds: float


class StormWatch:
    """The storms of all sites of a page together; used in one thread.

    Args:
        settings: when a storm begins and ends.
    """

    def __init__(self, settings: StormSettings) -> None:
        self._fold = StormFold(settings, "page")
        self._quiet = settings.quiet_minutes * 60

    def take(self, flash: Flash, site: str, at: float) -> None:
        """Take a revision of a flash; `at`, seconds since 1970, stands for its start where UTC is not known."""
        known = flash if flash.start_utc is not None else msgspec.structs.replace(flash, start_utc=utc_text(at))
        self._fold.take(known, site)

    def forget_before(self, utc: float) -> None:
        """Forget flashes and storms that were over before this time."""
        self._fold.forget_before(utc)

    def strikes(self) -> list[float]:
        """Return when the flashes were, in order; what several cameras saw of one counts once."""
        return self._fold.strike_times()

    def state(self, now: float) -> StormState:
        """Return whether a storm is on at this time, seconds since 1970."""
        storm, times = self._fold.latest(now), self.strikes()
        last = times[-1] if times else None
        if storm is None or storm.first_utc is None or storm.last_utc is None:
            return StormState(on=False, since=None, last=last, quiet_seconds=self._quiet)
        if storm.state != "ended":
            return StormState(on=True, since=utc_seconds(storm.first_utc), last=last, quiet_seconds=self._quiet)
        over = utc_seconds(storm.last_utc) + self._quiet
        return StormState(on=False, since=over, last=last, quiet_seconds=self._quiet)


def by_bins(times: Sequence[float], now: float, count: int, seconds: float) -> list[int]:
    """Return how many of `times` lie in each of the last `count` stretches of `seconds`, the oldest first."""
    bins = [0] * count
    for time in times:
        back = int((now - time) // seconds)
        if 0 <= back < count:
            bins[count - 1 - back] += 1
    return bins
