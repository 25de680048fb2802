"""How many messages one target gets: a policy without clock, threads or network, so that every rule can be tested."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo

import msgspec

from detector.integrations.notify.alerts import Alert
from stream import Backoff

_HOUR_SECONDS = 3600.0
_MOST_PENDING = 200
_RETRY_FIRST_SECONDS, _RETRY_LONGEST_SECONDS = 5.0, 300.0
_BASELINE = ("camera_back", "site_back")
"""What is taken as told of a camera or site that nothing was told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a target gets messages.

    Attributes:
        cooldown_seconds: between two messages of one kind about one subject.
        messages_per_hour: so many in any hour; the rest wait, and go as one.
        quiet: (from, to) of the local day in which nothing is sent; None: never.
        zone: whose local day.
    """

    cooldown_seconds: float
    messages_per_hour: int
    quiet: tuple[time, time] | None = None
    zone: tzinfo | None = None

    def is_quiet(self, now: float) -> bool:
        """Return whether nothing is sent at `now`, seconds since 1970."""
        if self.quiet is None:
            return False
        begin, end = self.quiet
        at = datetime.fromtimestamp(now, UTC).astimezone(self.zone).time()
        return begin <= at < end if begin <= end else at >= begin or at < end


class OutboxState(msgspec.Struct, kw_only=True):
    """What must survive a restart.

    Attributes:
        pending: what is to be told, by subject.
        told: the kind told last, by subject.
        times: when each kind was told last, by kind and subject without the storm's own name.
        sent: when messages went out in the last hour.
        dropped: alerts given up because too many waited.
    """

    pending: dict[str, Alert] = {}
    told: dict[str, str] = {}
    times: dict[str, float] = {}
    sent: list[float] = []
    dropped: int = 0


class Outbox:
    """The alerts that wait for one target. All times are seconds since 1970, given by the caller.

    Args:
        policy: when it gets messages.
        state: of the run before.

    Attributes:
        state: what must survive a restart.
    """

    def __init__(self, policy: Policy, state: OutboxState | None = None) -> None:
        self.state = state or OutboxState()
        self._policy = policy
        self._backoff = Backoff(_RETRY_FIRST_SECONDS, _RETRY_LONGEST_SECONDS)
        self._next_try = float("-inf")
        self._under_way: list[Alert] = []
        self._recent: deque[float] = deque(self.state.sent)

    def add(self, alert: Alert) -> None:
        """Take an alert; of one subject only the newest waits, and none that says what was told already."""
        pending = self.state.pending
        pending.pop(alert.subject, None)
        told = self.state.told.get(alert.subject)
        if alert.kind in _BASELINE and told in (None, alert.kind):
            return  # it went and came back before anybody was told
        pending[alert.subject] = alert
        while len(pending) > _MOST_PENDING:
            del pending[next(iter(pending))]
            self.state.dropped += 1

    def due(self, now: float, is_ready: Callable[[Alert], bool] = lambda _: True) -> list[Alert]:
        """Return the alerts that are to be sent now, as one message; `sent` or `failed` must follow.

        Args:
            now: seconds since 1970.
            is_ready: whether an alert need not wait for its still or clip any more.
        """
        while self._recent and self._recent[0] <= now - _HOUR_SECONDS:
            self._recent.popleft()
        full = len(self._recent) >= self._policy.messages_per_hour
        if now < self._next_try or full or self._policy.is_quiet(now):
            return []
        cool = self._policy.cooldown_seconds
        times = self.state.times
        self._under_way = [
            alert
            for alert in self.state.pending.values()
            if now - times.get(_series(alert), float("-inf")) >= cool and is_ready(alert)
        ]
        return list(self._under_way)

    def sent(self, now: float) -> None:
        """Note that the message went out."""
        self._backoff.reset()
        self._next_try = float("-inf")
        self._recent.append(now)
        state = self.state
        state.sent = list(self._recent)
        for alert in self._under_way:
            state.told.pop(alert.subject, None)
            state.told[alert.subject] = alert.kind
            state.times[_series(alert)] = now
            if state.pending.get(alert.subject) is alert:
                del state.pending[alert.subject]
        state.times = {key: at for key, at in state.times.items() if now - at < 10 * _HOUR_SECONDS}
        while len(state.told) > 10 * _MOST_PENDING:
            del state.told[next(iter(state.told))]
        state.dropped = 0
        self._under_way = []

    def failed(self, now: float) -> float:
        """Note that it did not go out, and return after how many seconds it is tried again."""
        wait = self._backoff.next_wait()
        self._next_try = now + wait
        self._under_way = []
        return wait


def _series(alert: Alert) -> str:
    """Return what the cool-down counts by: storms of one site are one series."""
    return f"{alert.kind} {alert.site if alert.kind.startswith('storm') else alert.subject}"
