"""When a lost camera is tried again; `camera` opens it."""

from stream.capture.live.backoff import Backoff, with_jitter
from stream.capture.options import CaptureOptions

_QUICK_SHARE = 75.0  # waits grow to a 75th of the time away: 8 s after ten minutes
_REFUSALS_WHILE_STARTING = 3  # by a camera that delivered frames before; more mean a wrong password or path
_STEADY_SECONDS = 5.0  # a camera lost again sooner than this never really came back


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
