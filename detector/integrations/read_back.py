"""What a feed kept before a subscriber of ours began: read once, so that states are known from the start."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from stream import Cursor, Heartbeat, Received, Subscriber, SubscriberNotice, SubscriberOptions

_log = logging.getLogger(__name__)

HISTORY_MESSAGES = 5000
"""So many messages before the present are read: a night of storm, and 10 MB."""
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 10.0
"""Nothing more is waited for after this time without a message: the rest was pruned meanwhile."""


@dataclass(slots=True)
class ReadBack:
    """How far a feed was read.

    Attributes:
        cursors: by feed, the place that was reached.
    """

    cursors: dict[str, Cursor] = field(default_factory=dict)

    def knows(self, received: Received) -> bool:
        """Return whether a message was read already."""
        reached = self.cursors.get(received.message.feed)
        return reached is not None and received.sequence <= reached.sequence


def read_back(
    endpoint: str,
    keys: Sequence[Path],
    *,
    take: Callable[[Received], object],
    on_heartbeat: Callable[[str, Heartbeat], None],
    stop: Event,
) -> ReadBack:
    """Read the messages before the present; wait for the publisher until it is there.

    Args:
        endpoint: the feed.
        keys: client key file, if the feed has keys.
        take: called with each message.
        on_heartbeat: called with the endpoint and each heartbeat.
        stop: ends the waiting.

    Returns:
        where reading of the feed continues.

    Raises:
        FeedError: the endpoint or a key is wrong, or the publisher refuses this client.
    """
    firsts: list[Heartbeat] = []

    def hear(where: str, heartbeat: Heartbeat) -> None:
        firsts.append(heartbeat)
        on_heartbeat(where, heartbeat)

    with Subscriber(endpoint, options=_options(keys, on_heartbeat=hear)) as events:
        while not firsts and not stop.is_set():
            events.receive(_POLL_SECONDS)
    if not firsts:
        return ReadBack()
    first = firsts[0]
    reached = max(first.first - 1, first.last - HISTORY_MESSAGES, 0)
    start = {first.feed: Cursor(first.run, reached)}
    silent = 0.0
    options = _options(keys, since=0, cursors=start, on_heartbeat=on_heartbeat)
    with Subscriber(endpoint, options=options) as events:
        while reached < first.last and silent < _PATIENCE_SECONDS and not stop.is_set():
            received = events.receive(_POLL_SECONDS)
            if received is None:
                silent += _POLL_SECONDS
                continue
            silent = 0.0
            take(received)
            reached = received.sequence
    # Behind what was read, which may be more than the first heartbeat told of.
    return ReadBack({first.feed: Cursor(first.run, max(reached, first.last))})


def _options(keys: Sequence[Path], **more: object) -> SubscriberOptions:
    return SubscriberOptions(keys=tuple(keys), on_notice=_quiet, **more)  # type: ignore[arg-type]


def _quiet(notice: SubscriberNotice) -> None:
    _log.debug("%s", notice.text)
