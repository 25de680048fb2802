"""Options of a feed, and counters of its publisher."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.feed.journal import Retention

_MEMORY_MEGABYTES = 64.0  # about 28,000 flash messages: nights of storm, for subscribers that come late


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """Options of a feed. Each field has a default; `dataclasses.replace` gives variants.

    Attributes:
        site: this publisher's name in every message's `source`.
        endpoint: tcp://HOST:PORT, history one port up; None publishes nowhere, but still numbers messages.
        journal: the SQLite file; None keeps messages in memory (a new feed at each start, and no message is `durable`).
        heartbeat_seconds: time between heartbeats.
        keep_days: older messages are deleted.
        keep_megabytes: beyond this size the oldest messages are deleted; in memory 64 MB at most.
        send_queue_messages: messages that may wait for one slow subscriber; beyond it the subscriber asks the history.
        requests_per_second: requests to the history that one client may send on average.
        max_connections: open connections, on both ports together; a subscriber has two.
        keys: folder of the CURVE keys (`make_server_keys`); None lets every program of this machine connect.
        insecure: publish to other machines without keys.
        farewell_seconds: how long history is still served when the feed ends.
        status: returns the program's status for a heartbeat every two seconds; it must not block.
    """

    site: str = "site"
    endpoint: str | None = None
    journal: Path | None = None
    heartbeat_seconds: float = 1.0
    keep_days: float = 30.0
    keep_megabytes: float = 1000.0
    send_queue_messages: int = 1000
    requests_per_second: float = 50.0
    max_connections: int = 500
    keys: Path | None = None
    insecure: bool = False
    farewell_seconds: float = 1.0
    status: Callable[[], dict[str, Any] | None] | None = field(default=None, repr=False, compare=False)

    @property
    def retention(self) -> Retention:
        """The retention of messages; without a journal, limited by memory."""
        most = math.inf if self.journal else _MEMORY_MEGABYTES
        return Retention(self.keep_days, min(self.keep_megabytes, most))


@dataclass(slots=True)
class FeedCounters:
    """Counters of a publisher; written by its thread only.

    Attributes:
        published: messages published.
        not_durable: of these, messages that were not on disk first.
        pruned: messages deleted because they were past retention.
        requests_answered: history requests answered.
        requests_refused: history requests answered with an error.
        requests_dropped: history requests without an answer because they came too often.
        replies_unread: answers dropped because their client does not read.
        connections: open connections, as of a second ago.
        connections_refused: connections refused or ended for what their client did, by reason.
        gateway_restarts: how often the process that serves subscribers was replaced.
    """

    published: int = 0
    not_durable: int = 0
    pruned: int = 0
    requests_answered: int = 0
    requests_refused: int = 0
    requests_dropped: int = 0
    replies_unread: int = 0
    connections: int = 0
    connections_refused: dict[str, int] = field(default_factory=dict)
    gateway_restarts: int = 0
