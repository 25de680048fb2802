"""Message: the numbered envelope (CloudEvents 1.0) in which everything travels on the feed."""

from typing import Generic, TypeVar

import msgspec

Data = TypeVar("Data")


class Message(msgspec.Struct, Generic[Data], frozen=True, kw_only=True, omit_defaults=False):
    """One message of a feed, exactly as it is journalled, published and printed.

    `feed` and `sequence` number it: sequence rises by one per message of one feed (a decimal string, since CloudEvents
    knows no 64-bit integers). `subject` is the camera or site that it is about. `time` is when it was published, UTC.
    """

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: str
    dataschema: str
    feed: str
    sequence: str
    durable: bool = True
    data: Data
