"""Retention of a journal's messages: delete old ones slowly, and none because a clock was set wrong."""

import logging
import time
from collections.abc import Callable

from stream.feed.journal import Journal, Retention

_LOG = logging.getLogger("stream.feed")
_FIRST_SECONDS = 3600.0  # of a run, without deletion by age: time to notice a wrong clock
_AT_ONCE = 100  # messages deleted by age in one step: 1.7 million a day in steps of 5 s
_LOG_SECONDS = 600.0
_DAY_SECONDS = 86400.0


class Pruner:
    """Delete what is past retention, step by step.

    Age is counted from the newest message present at the start, plus the time that this run has lasted by a monotonic
    clock. So a start with a clock two months ahead deletes no more than one with the right time, and after a pause of
    two months messages are kept for two months longer, unless they fill the journal.

    Args:
        journal: the journal to prune.
        clock: returns seconds since 1970.
        monotonic: returns monotonic seconds.

    Attributes:
        pruned: messages deleted so far.
    """

    def __init__(
        self, journal: Journal, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._monotonic = monotonic
        self._began = monotonic()
        self._newest = journal.newest_utc()
        self._run_first = journal.last + 1
        self._compared = False
        self._log_at = self._began
        self._unlogged = 0
        self.pruned = 0

    @property
    def run_seconds(self) -> float:
        """Seconds that this run has lasted."""
        return self._monotonic() - self._began

    def step(self, retention: Retention) -> bool:
        """Delete some messages.

        Returns:
            whether the journal is still too large.

        Raises:
            JournalError: the journal cannot be written.
        """
        self._compare_clock()
        removed = self._journal.prune_size(retention.megabytes)
        self.pruned += removed
        if not removed and self.run_seconds >= _FIRST_SECONDS:
            self._prune_age(retention.days)
        return removed > 0

    def _prune_age(self, days: float) -> None:
        now = self._clock()
        if self._newest is not None:
            now = min(now, self._newest + self.run_seconds)
        # Messages of this run are no older than the run, even if the clock was set since (1970 at boot).
        young = self._run_first if self.run_seconds < days * _DAY_SECONDS else None
        removed = self._journal.prune_age(now - days * _DAY_SECONDS, young=young, most=_AT_ONCE)
        self.pruned += removed
        self._unlogged += removed
        if self._unlogged and self._monotonic() >= self._log_at:
            self._log_at = self._monotonic() + _LOG_SECONDS
            _LOG.info(
                "%s: %d messages older than %g days were deleted; it begins with number %d now",
                self._journal.name,
                self._unlogged,
                days,
                self._journal.first,
            )
            self._unlogged = 0

    def _compare_clock(self) -> None:
        """Log once if the clock and the newest message disagree."""
        if self._compared or self._newest is None:
            return
        self._compared = True
        ahead_days = (self._clock() - self._newest - self.run_seconds) / _DAY_SECONDS
        if abs(ahead_days) > 1:
            _LOG.warning(
                "%s: the clock is %.1f days %s the newest message: after a pause, or it is set wrong. No message is "
                "deleted for its age because of that",
                self._journal.name,
                abs(ahead_days),
                "after" if ahead_days > 0 else "before",
            )
