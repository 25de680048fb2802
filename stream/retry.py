"""When a lost camera is tried again: soon at first, then later and later, and for ever."""

import random
import time

from stream.options import CaptureOptions

_QUICK_SHARE = 75.0  # waits grow to this part of the time away: 8 s after ten minutes
_PATIENCE = 3  # refusals of a camera that had shown pictures before it counts as set up wrong


class Retry:
    """When to try again: at once after a loss, then later and later, slowest where a person has to help."""

    def __init__(self, options: CaptureOptions) -> None:
        self._options = options
        self._away_since: float | None = None
        self._failures = 0
        self._was_live = False
        self.due = 0.0

    def succeeded(self) -> None:
        """Pictures flow."""
        self._away_since, self._failures, self._was_live = None, 0, True

    def lost(self, last_picture: float) -> None:
        """The camera went away; its last picture came at `last_picture` (time.monotonic)."""
        self._away_since = last_picture
        self._failures = 0
        self.due = time.monotonic() + self._options.retry_first_seconds * random.uniform(0.5, 1.0)  # noqa: S311

    def failed(self, *, refused: bool) -> None:
        """An attempt failed. refused: the camera answered and said no."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        self._failures += 1
        self.due = now + self._wait(now - self._away_since, refused=refused) * random.uniform(0.5, 1.0)  # noqa: S311

    def _wait(self, away: float, *, refused: bool) -> float:
        options = self._options
        # One that showed pictures before may refuse while it starts; one that never did is set up wrong.
        if refused and (not self._was_live or self._failures > _PATIENCE):
            return options.retry_refused_seconds
        longest = min(max(options.retry_quick_seconds, away / _QUICK_SHARE), options.retry_slow_seconds)
        growing: float = options.retry_first_seconds * 2.0 ** min(self._failures, 20)
        return min(growing, longest)
