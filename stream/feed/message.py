"""Message: the numbered envelope (CloudEvents 1.0) in which everything travels on the feed."""

from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

Data = TypeVar("Data")


class Message(msgspec.Struct, Generic[Data], frozen=True, kw_only=True, omit_defaults=False):
    """One message of a feed, exactly as it is journalled, published and printed.

    `feed` names the journal and `sequence` numbers the message in it: it rises by one per message (a decimal string,
    since CloudEvents knows no 64-bit integers). `run` changes with every start of the publisher. `id` is unique among
    all messages. `subject` is the camera or site that it is about. `time` is when it was published, UTC. `durable` is
    false if it was not on disk when it was published. `originfeed` and `originsequence` are there on messages that came
    through a relay: the feed that first published them, and their number there.
    """

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: str
    dataschema: str
    feed: str
    run: str
    sequence: str
    durable: bool = True
    originfeed: str | UnsetType = UNSET
    originsequence: str | UnsetType = UNSET
    data: Data


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC with microseconds, e.g. 2026-11-22T21:29:03.501221Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
