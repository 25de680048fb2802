"""How a feed is published and kept, and what it has done so far."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from stream.feed.journal import Retention

_MEMORY_MEGABYTES = 64.0  # about 28,000 messages about flashes: nights of storm, for subscribers that come late


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How a feed is published and kept.

    site: this publisher's name in every message's `source`.
    endpoint: tcp://HOST:PORT, history one port up; None publishes nowhere, and messages are still numbered.
    journal: the SQLite file; None keeps messages in memory (a new feed each time, and no message is `durable`).
    keep_days, keep_megabytes: messages past either are forgotten, oldest first; in memory 64 megabytes at most.
    send_queue_messages: how many may wait for one slow subscriber before it has to ask the history.
    requests_per_second: what one client may ask of the history.
    keys: the folder of `stream.keys`; None lets every program of this machine connect.
    insecure: publish to other machines without keys.
    farewell_seconds: how long history is still served when the feed ends.
    """

    site: str
    endpoint: str | None = None
    journal: Path | None = None
    heartbeat_seconds: float = 1.0
    keep_days: float = 30.0
    keep_megabytes: float = 1000.0
    send_queue_messages: int = 1000
    requests_per_second: float = 50.0
    keys: Path | None = None
    insecure: bool = False
    farewell_seconds: float = 1.0

    @property
    def retention(self) -> Retention:
        """How long messages are kept, with the limit that memory sets."""
        most = math.inf if self.journal else _MEMORY_MEGABYTES
        return Retention(self.keep_days, min(self.keep_megabytes, most))


@dataclass(slots=True)
class FeedCounters:
    """What a feed has done so far; written by its thread only.

    Of the requests to its history some are answered, some refused with a reason, some dropped since they came too
    often; `replies_unread` of the answers found no room, because their client does not read.
    """

    published: int = 0
    not_durable: int = 0
    pruned: int = 0
    requests_answered: int = 0
    requests_refused: int = 0
    requests_dropped: int = 0
    replies_unread: int = 0
    connections_refused: dict[str, int] = field(default_factory=dict)
