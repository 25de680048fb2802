"""Number messages and store them: in the journal, and in memory while the journal cannot be written."""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from stream.errors import JournalError
from stream.feed.journal import Journal, JournalRecord, RelayPosition, Retention
from stream.feed.message import Message, WireMessage, sequence_text, utc_text
from stream.feed.protocol import PAGE_BYTES, FeedPosition, encode
from stream.feed.retention import Pruner

_LOG = logging.getLogger("stream.feed")
_RETRY_SECONDS = 1.0
_MAX_HELD = 20_000  # messages in memory while the journal cannot be written; beyond it the oldest are dropped


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to be published, before it has a number.

    Attributes:
        topic: where to publish it.
        type: CloudEvents type.
        subject: the camera or site that the message is about.
        dataschema: URN of the schema of `data`.
        data: what msgspec can encode as JSON.
        original: for a relayed message, its envelope in the feed that it came from.
        upstream: for a relayed message, its place in that feed.
    """

    topic: str
    type: str
    subject: str
    dataschema: str
    data: object
    original: "Message[object] | None" = None
    upstream: RelayPosition | None = None


class Sequencer:
    """Number each message and store it.

    While the journal cannot be written (disk full, locked), messages are still numbered, marked `durable: false` and
    held in memory, where `page` finds them too. Once it can be written again they are appended to it, in order.

    Attributes:
        run: id of this run of the publisher.
        run_first: first number of this run.
        last: last number given.
        not_durable: messages that were published before they were on disk.
        dropped: messages dropped from memory while the journal could not be written.
    """

    def __init__(
        self,
        journal: Journal,
        site: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._site = site
        self._clock = clock
        self._monotonic = monotonic
        self._held: deque[JournalRecord] = deque()
        self._retry_at = 0.0
        self._failing = False
        self.run = secrets.token_hex(6)
        self._pruner = Pruner(journal, clock, monotonic)
        self.run_first = journal.last + 1
        self.last = journal.last
        self.not_durable = 0
        self.dropped = 0

    @property
    def durable(self) -> bool:
        """Whether messages are on disk before they are published."""
        return self._journal.durable and not self._failing

    @property
    def pruned(self) -> int:
        """Number of messages deleted because they were past retention."""
        return self._pruner.pruned

    @property
    def position(self) -> FeedPosition:
        """The feed's current id, run and numbers."""
        first = self._journal.first
        if first > self._journal.last and self._held:
            first = self._held[0].sequence
        return FeedPosition(
            feed=self._journal.feed,
            run=self.run,
            run_first=self.run_first,
            run_seconds=round(self._pruner.run_seconds, 3),
            first=first,
            last=self.last,
        )

    def add(self, messages: Sequence[OutgoingMessage]) -> Sequence[WireMessage]:
        """Store `messages` under the next numbers.

        A relayed message whose id is in the journal already is left out.

        Returns:
            the messages to publish.
        """
        self.recover()
        messages = self._without_known(messages)
        if not messages:
            return []
        if not self._failing:
            records = self._number(messages, durable=self._journal.durable)
            try:
                self._journal.append(records)
            except JournalError as error:
                self._fail(error)
        if self._failing:
            records = self._number(messages, durable=False)
            self._hold(records)
            self._journal.reserve(records[-1].sequence)
        self.last = records[-1].sequence
        if not self.durable:
            self.not_durable += len(records)
        return records

    def page(self, sequence: int, limit: int) -> Sequence[WireMessage]:
        """Return the stored messages numbered above `sequence`, at most `limit` and about PAGE_BYTES (at least one).

        Raises:
            JournalError: the journal cannot be read.
        """
        page: list[WireMessage] = []
        room_bytes = PAGE_BYTES
        for record in self._stored(sequence, limit):
            room_bytes -= len(record.body)
            if page and (room_bytes < 0 or len(page) == limit):
                break
            page.append(record)
        return page

    def recover(self, *, now: bool = False) -> None:
        """Append what is held in memory to the journal, once a second at most (`now`: at once)."""
        if not self._failing or (not now and self._monotonic() < self._retry_at):
            return
        try:
            self._restore()
            if self._held:
                self._journal.append(self._held)
        except JournalError:
            self._retry_at = self._monotonic() + _RETRY_SECONDS
            return
        if self._held:
            _LOG.warning(
                "%s: the journal can be written again; %d messages followed into it",
                self._journal.name,
                len(self._held),
            )
        self._held.clear()
        self._failing = False

    def maintain(self, retention: Retention) -> bool:
        """Restore a deleted journal file, prune one step, and return whether the next step is due at once."""
        self.recover()
        if self._failing:
            return False
        try:
            self._restore()
        except JournalError as error:
            self._fail(error)
            return False
        try:
            return self._pruner.step(retention)
        except JournalError as error:
            _LOG.warning("%s. Old messages stay for now", error)
            return False

    def close(self) -> None:
        """Try once more to write the held messages, log lost ones, and close the journal."""
        self.recover(now=True)
        if self._held:
            _LOG.error(
                "%s: %d messages could not be journalled; subscribers who had not got them lose them",
                self._journal.name,
                len(self._held),
            )
        self._journal.close()

    def _without_known(self, messages: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
        new: list[OutgoingMessage] = []
        seen = {record.id for record in self._held} if any(outgoing.original for outgoing in messages) else set()
        for outgoing in messages:
            if outgoing.original is not None:
                if outgoing.original.id in seen or self._knows(outgoing.original.id):
                    continue
                seen.add(outgoing.original.id)
            new.append(outgoing)
        return new

    def _knows(self, message_id: str) -> bool:
        try:
            return self._journal.knows(message_id)
        except JournalError:
            return False  # unreadable now: better to publish a message twice than to lose it

    def _stored(self, sequence: int, limit: int) -> Iterator[JournalRecord]:
        yield from self._journal.since(sequence, limit)
        yield from (record for record in tuple(self._held) if record.sequence > sequence)

    def _restore(self) -> None:
        if self._journal.restore_if_gone():
            _LOG.error(
                "%s: the journal was deleted while in use; it was written again from what was still open",
                self._journal.name,
            )

    def _fail(self, error: JournalError) -> None:
        _LOG.error("%s. Going on without it: messages are marked durable: false and held in memory", error)
        self._failing = True
        self._retry_at = self._monotonic() + _RETRY_SECONDS

    def _hold(self, records: Sequence[JournalRecord]) -> None:
        self._held.extend(records)
        excess = len(self._held) - _MAX_HELD
        for _ in range(excess):
            self._held.popleft()
        if excess > 0:
            if not self.dropped:
                _LOG.error(
                    "%s: more than %d messages wait for the journal; the oldest are dropped, free disk space",
                    self._journal.name,
                    _MAX_HELD,
                )
            self.dropped += excess

    def _number(self, messages: Sequence[OutgoingMessage], *, durable: bool) -> list[JournalRecord]:
        now = self._clock()
        records = []
        for sequence, outgoing in enumerate(messages, self.last + 1):
            message = self._message(outgoing, sequence, now, durable=durable)
            records.append(
                JournalRecord(
                    topic=outgoing.topic,
                    sequence=sequence,
                    body=encode(message),
                    id=message.id,
                    subject=outgoing.subject,
                    published_utc=now,
                    upstream=outgoing.upstream,
                )
            )
        return records

    def _message(self, outgoing: OutgoingMessage, sequence: int, now: float, *, durable: bool) -> Message[object]:
        original = outgoing.original
        origin_known = original is not None and original.originfeed is not UNSET
        return Message(
            id=original.id if original else f"{self.run}-{sequence}",
            source=original.source if original else f"urn:lightning-detector:{self._site}",
            type=outgoing.type,
            subject=outgoing.subject,
            time=original.time if original else utc_text(now),
            dataschema=outgoing.dataschema,
            feed=self._journal.feed,
            run=self.run,
            sequence=sequence_text(sequence),
            durable=durable,
            originfeed=UNSET if not original else original.originfeed if origin_known else original.feed,
            originsequence=UNSET if not original else original.originsequence if origin_known else original.sequence,
            data=outgoing.data,
        )
