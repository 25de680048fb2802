"""What the batcher knows of the candidates that wait for a verdict, and of the calls that are under way."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from detector.candidate import Candidate
from detector.events import Verdict
from detector.verify.batch_queue import PendingRequest

VerdictCallback = Callable[[Candidate, Verdict], None]
NEVER = float("inf")
"""The deadline of what somebody waits for."""

_log = logging.getLogger(__name__)
_LOG_SECONDS = 60.0


@dataclass(slots=True)
class BatcherCounts:
    """What has happened so far.

    Attributes:
        asked: candidates taken.
        late: answered `unverified` at the deadline.
        dropped: answered `unverified` because too many waited.
    """

    asked: int = 0
    late: int = 0
    dropped: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class PendingCandidate(PendingRequest):
    """One candidate that was asked about.

    Attributes:
        candidate: with its frames downscaled.
        answer: called with the verdict.
        settled: the verdict that was given inline and is only added to; None where there is none yet.
    """

    candidate: Candidate
    answer: VerdictCallback
    settled: Verdict | None = None

    @property
    def droppable(self) -> bool:
        """Whether nobody waits for it."""
        return self.optional or self.deadline != NEVER

    @property
    def optional(self) -> bool:
        """Whether its verdict is out already."""
        return self.settled is not None


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `verify` that has not returned.

    Attributes:
        began: monotonic seconds.
        batch: what it was asked about.
    """

    began: float
    batch: list[PendingCandidate]


@dataclass(slots=True)
class UnverifiedWarning:
    """Logs once a minute how many candidates went out unverified since the last time."""

    since: int = 0
    logged: float = float("-inf")

    def count(self, why: str, now: float) -> None:
        """Count one more, and say so if the last time is a minute ago."""
        self.since += 1
        if now - self.logged >= _LOG_SECONDS:
            _log.warning("%d candidates published as unverified: %s", self.since, why)
            self.since, self.logged = 0, now
