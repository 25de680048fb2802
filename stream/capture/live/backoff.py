"""Growing, random waits between failed attempts, and the schedule by which a lost camera is tried again."""

import random

from stream.capture.options import CaptureOptions

_QUICK_SHARE = 75.0  # waits grow to a 75th of the time away: 8 s after ten minutes
_REFUSALS_WHILE_STARTING = 3  # by a camera that delivered frames before; more mean a wrong password or path
_STEADY_SECONDS = 5.0  # a camera lost again sooner than this never really came back


class Backoff:
    """Growing, random waits between failed attempts.

    The n-th wait in a row lies between half and all of `first_seconds * 2 ** (n - 1)`, capped, so that clients that
    failed together do not all return together.

    Attributes:
        failures: waits given since the last reset.
    """

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        """Start without failures.

        Args:
            first_seconds: the first wait, before it is randomised.
            longest_seconds: the cap of all waits.

        Raises:
            ValueError: a wait is not positive.
        """
        if not (first_seconds > 0 and longest_seconds > 0):
            raise ValueError(f"waits must be positive, got {first_seconds} s and at most {longest_seconds} s")
        self.failures = 0
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds

    def next_wait(self, longest_seconds: float | None = None) -> float:
        """Return the seconds to wait before the next attempt, and count a failure.

        Args:
            longest_seconds: a lower cap for this wait.
        """
        longest = min(self._longest_seconds, self._longest_seconds if longest_seconds is None else longest_seconds)
        doubled: float = self._first_seconds * 2.0 ** min(self.failures, 20)
        self.failures += 1
        return with_jitter(min(doubled, longest))

    def reset(self) -> None:
        """Start again with the first wait, after an attempt that succeeded."""
        self.failures = 0


def with_jitter(seconds: float) -> float:
    """Return a random wait between half of `seconds` and `seconds`."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class ReconnectSchedule:
    """The time of the next attempt to reach a lost camera: soon, then later, and latest if a person has to help.

    All times are seconds of one monotonic clock.

    Attributes:
        due: earliest time of the next attempt.
    """

    def __init__(self, options: CaptureOptions) -> None:
        self._options = options
        self._backoff = Backoff(options.retry_first_seconds, options.retry_slow_seconds)
        self._away_since: float | None = None
        self._live_since: float | None = None
        self.due = 0.0

    def succeeded(self, now: float) -> None:
        """Note that frames arrive."""
        self._live_since = now

    def lost(self, now: float, last_frame: float) -> None:
        """Plan the next attempt for a camera that is lost since its last frame at `last_frame`."""
        if self._live_since is not None and last_frame - self._live_since >= _STEADY_SECONDS:
            self._away_since = last_frame
            self._backoff.reset()
        elif self._away_since is None:
            self._away_since = last_frame
        self._plan(now, refused=False)

    def failed(self, now: float, *, refused: bool) -> None:
        """Plan the next attempt after a failed one.

        Args:
            now: when the attempt failed.
            refused: whether the camera answered and refused.
        """
        if self._away_since is None:
            self._away_since = now
        self._plan(now, refused=refused)

    def _plan(self, now: float, *, refused: bool) -> None:
        away = 0.0 if self._away_since is None else now - self._away_since
        # A camera that delivered frames before may refuse while it starts; one that never did is set up wrong.
        wrong = refused and (self._live_since is None or self._backoff.failures > _REFUSALS_WHILE_STARTING)
        wait = self._backoff.next_wait(max(self._options.retry_quick_seconds, away / _QUICK_SHARE))
        self.due = now + (with_jitter(self._options.retry_refused_seconds) if wrong else wait)
