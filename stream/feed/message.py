"""A message of the feed: its envelope (CloudEvents 1.0), and the numbered bytes in which it travels."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

Data = TypeVar("Data")


class Message(msgspec.Struct, Generic[Data], frozen=True, kw_only=True, omit_defaults=False):
    """One message of a feed, exactly as it is journalled, published and printed.

    `feed` names the journal and `sequence` numbers the message in it: it rises by one per message (20 decimal digits,
    which order as text, since CloudEvents knows no 64-bit integers). `run` changes with every start of the publisher.
    `id` is unique among all messages. `subject` is the camera or site that it is about. `time` is when it was
    published, UTC. `durable` is false if it was not on disk when it was published. `originfeed` and `originsequence`
    are there on messages that came through a relay: the feed that first published them, and their number there.
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


@dataclass(frozen=True)
class WireMessage:
    """A numbered message, as it is journalled, published and handed to listeners. Its JSON is decoded once at most.

    Attributes:
        topic: `ev.` and up to three words, or `hb` for a heartbeat.
        sequence: its number in the feed.
        body: the JSON exactly as it is published.
    """

    topic: str
    sequence: int
    body: bytes

    @cached_property
    def message(self) -> Message[dict[str, Any]]:
        """The envelope, with its data as a dictionary.

        Raises:
            msgspec.DecodeError: the body is not a message.
        """
        return _decode_plain(self.body)

    def data_as(self, kind: type[Data]) -> Data:
        """Return the message's `data` as `kind`, a msgspec struct; calls after the first decode nothing.

        Raises:
            msgspec.DecodeError: the body is not a message with such data.
        """
        known = self._typed.get(kind)
        if isinstance(known, kind):
            return known
        if "message" in self.__dict__:
            data = msgspec.convert(self.message.data, kind)
        else:
            data = _decoder(kind).decode(self.body).data  # type: ignore[arg-type]
        self._typed[kind] = data
        return data

    @cached_property
    def _typed(self) -> dict[type, object]:
        return {}

    def frames(self) -> list[bytes]:
        """Return topic, number (unsigned 64 bits, big-endian) and JSON."""
        return [self.topic.encode(), self.sequence.to_bytes(8, "big"), self.body]


_decode_plain = msgspec.json.Decoder(Message[dict[str, Any]]).decode


@cache
def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(Message[kind])


def sequence_text(sequence: int) -> str:
    """Return a number as `Message.sequence` has it: 20 digits, so that text orders as the numbers do."""
    return f"{sequence:020d}"


def utc_text(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC with microseconds, e.g. 2026-11-22T21:29:03.501221Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
