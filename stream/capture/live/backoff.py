"""When a lost camera is tried again: soon at first, then later and later, and for ever."""

import random

from stream.capture.options import CaptureOptions

_QUICK_SHARE = 75.0  # waits grow to this part of the time away: 8 s after ten minutes
_PATIENCE = 3  # refusals of a camera that had shown pictures before it counts as set up wrong
_STEADY_SECONDS = 5.0  # a camera lost again sooner than this never really came back


class Retry:
    """When to try again: at once after a loss, then later and later, slowest where a person has to help.

    All moments are seconds of one steady clock. `due` is when the next attempt may begin.
    """

    def __init__(self, options: CaptureOptions) -> None:
        self._options = options
        self._away_since: float | None = None
        self._live_since: float | None = None
        self._failures = 0
        self.due = 0.0

    def succeeded(self, now: float) -> None:
        """Pictures flow."""
        self._live_since = now

    def lost(self, now: float, last_picture: float) -> None:
        """The camera went away; its last picture came at `last_picture`."""
        if self._live_since is not None and last_picture - self._live_since >= _STEADY_SECONDS:
            self._away_since, self._failures = last_picture, 0
        elif self._away_since is None:
            self._away_since = last_picture
        self._plan(now, refused=False)

    def failed(self, now: float, *, refused: bool) -> None:
        """An attempt failed. refused: the camera answered and said no."""
        if self._away_since is None:
            self._away_since = now
        self._plan(now, refused=refused)

    def _plan(self, now: float, *, refused: bool) -> None:
        away = 0.0 if self._away_since is None else now - self._away_since
        # Cameras that went away together, with their switch, shall not all knock at the same moment.
        self.due = now + self._wait(away, refused=refused) * random.uniform(0.5, 1.0)  # noqa: S311
        self._failures += 1

    def _wait(self, away: float, *, refused: bool) -> float:
        options = self._options
        # One that showed pictures before may refuse while it starts; one that never did is set up wrong.
        if refused and (self._live_since is None or self._failures > _PATIENCE):
            return options.retry_refused_seconds
        longest = min(max(options.retry_quick_seconds, away / _QUICK_SHARE), options.retry_slow_seconds)
        growing: float = options.retry_first_seconds * 2.0 ** min(self._failures, 20)
        return min(growing, longest)
