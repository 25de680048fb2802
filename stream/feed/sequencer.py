"""Numbering messages and keeping them: in the journal, and in memory for as long as the journal cannot be written."""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from stream.errors import JournalError
from stream.feed.journal import Entry, Journal, RelayPosition, Retention
from stream.feed.message import Message, utc_text
from stream.feed.protocol import PAGE_BYTES, FeedPosition, WireMessage, encode

_LOG = logging.getLogger("stream.feed")
_RETRY_SECONDS = 1.0
_WAITING_ROOM = 20_000  # messages held in memory while the journal cannot be written; then the oldest are let go


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """What somebody wants published, before it has a number; `original` is set on what a relay carries on."""

    topic: str
    type: str
    subject: str
    dataschema: str
    data: object
    original: "Message[object] | None" = None
    upstream: RelayPosition | None = None


class Sequencer:
    """Gives each message its number and keeps it.

    While the journal cannot be written (disk full, locked) messages go on being numbered, marked `durable: false` and
    held in memory, from where `page` answers too; once it can be written again they follow into it, in order.
    """

    def __init__(self, journal: Journal, site: str, clock: Callable[[], float] = time.time) -> None:
        self._journal = journal
        self._site = site
        self._clock = clock
        self._waiting: deque[Entry] = deque()
        self._retry_at = 0.0
        self._trouble = False
        self.run = secrets.token_hex(6)
        self._began = time.monotonic()
        self.run_first = journal.last + 1
        self.last = journal.last
        self.not_durable = 0
        self.dropped = 0
        self.pruned = 0

    @property
    def durable(self) -> bool:
        """Whether messages are on disk before they are published: there is a file, and it can be written."""
        return self._journal.durable and not self._trouble

    @property
    def position(self) -> FeedPosition:
        """Where the feed stands."""
        first = self._journal.first
        if first > self._journal.last and self._waiting:
            first = self._waiting[0].sequence
        return FeedPosition(
            feed=self._journal.feed,
            run=self.run,
            run_first=self.run_first,
            run_seconds=round(self._age, 3),
            first=first,
            last=self.last,
        )

    def add(self, messages: Sequence[OutgoingMessage]) -> list[WireMessage]:
        """Number and keep `messages`; they may be published when this returns.

        A relayed message that is here already, having come another way, is left out.
        """
        self.recover()
        messages = self._without_known(messages)
        if not messages:
            return []
        if not self._trouble:
            entries = self._number(messages, durable=self._journal.durable)
            try:
                self._journal.append(entries)
            except JournalError as error:
                self._fail(error)
        if self._trouble:
            entries = self._number(messages, durable=False)
            self._hold(entries)
            self._journal.reserve(entries[-1].sequence)
        self.last = entries[-1].sequence
        if not self.durable:
            self.not_durable += len(entries)
        return [WireMessage(entry.topic, entry.sequence, entry.body) for entry in entries]

    def page(self, sequence: int, limit: int) -> list[WireMessage]:
        """The kept messages numbered above `sequence`, at most `limit` and about PAGE_BYTES (at least one).

        Raises:
            JournalError: the journal cannot be read.
        """
        page: list[WireMessage] = []
        room = PAGE_BYTES
        for entry in self._kept(sequence, limit):
            room -= len(entry.body)
            if page and (room < 0 or len(page) == limit):
                break
            page.append(WireMessage(entry.topic, entry.sequence, entry.body))
        return page

    def recover(self, *, now: bool = False) -> None:
        """Bring what waits in memory into the journal, if there is any and it is time to try (`now`: at once)."""
        if not self._trouble or (not now and time.monotonic() < self._retry_at):
            return
        try:
            self._restore()
            if self._waiting:
                self._journal.append(self._waiting)
        except JournalError:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            return
        if self._waiting:
            _LOG.warning(
                "%s: the journal can be written again; %d messages followed into it",
                self._journal.name,
                len(self._waiting),
            )
        self._waiting.clear()
        self._trouble = False

    def upkeep(self, retention: Retention) -> bool:
        """See that the journal's file is still there, prune one step, try to recover; True: prune on."""
        self.recover()
        if self._trouble:
            return False
        try:
            self._restore()
        except JournalError as error:
            self._fail(error)
            return False
        try:
            # What this run published is no older than the run, though the clock may have been set since (1970 at boot).
            young = self.run_first if self._age < retention.days * 86400 else None
            removed = self._journal.prune(retention, self._clock(), young=young)
        except JournalError as error:
            _LOG.warning("%s. Old messages stay for now", error)
            return False
        self.pruned += removed
        return removed > 0

    def close(self) -> None:
        """Try once more to write what waits, and say what is lost with this process."""
        self.recover(now=True)
        if self._waiting:
            _LOG.error(
                "%s: %d messages could not be journalled; subscribers who had not got them lose them",
                self._journal.name,
                len(self._waiting),
            )
        self._journal.close()

    @property
    def _age(self) -> float:
        return time.monotonic() - self._began

    def _without_known(self, messages: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
        new: list[OutgoingMessage] = []
        seen = {entry.id for entry in self._waiting} if any(outgoing.original for outgoing in messages) else set()
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
            return False  # it cannot be read now: twice is better than never

    def _kept(self, sequence: int, limit: int) -> Iterable[Entry]:
        yield from self._journal.since(sequence, limit)
        yield from (entry for entry in tuple(self._waiting) if entry.sequence > sequence)

    def _restore(self) -> None:
        if self._journal.restore_if_gone():
            _LOG.error(
                "%s: the journal was deleted while in use; it was written again from what was still open",
                self._journal.name,
            )

    def _fail(self, error: JournalError) -> None:
        _LOG.error("%s. Going on without it: messages are marked durable: false and held in memory", error)
        self._trouble = True
        self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _hold(self, entries: Sequence[Entry]) -> None:
        self._waiting.extend(entries)
        excess = len(self._waiting) - _WAITING_ROOM
        for _ in range(excess):
            self._waiting.popleft()
        if excess > 0:
            if not self.dropped:
                _LOG.error(
                    "%s: more than %d messages wait for the journal; the oldest are let go, free disk space",
                    self._journal.name,
                    _WAITING_ROOM,
                )
            self.dropped += excess

    def _number(self, messages: Sequence[OutgoingMessage], *, durable: bool) -> list[Entry]:
        now = self._clock()
        entries = []
        for sequence, outgoing in enumerate(messages, self.last + 1):
            message = self._message(outgoing, sequence, now, durable=durable)
            entries.append(
                Entry(sequence, message.id, outgoing.topic, outgoing.subject, now, encode(message), outgoing.upstream)
            )
        return entries

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
            sequence=str(sequence),
            durable=durable,
            originfeed=UNSET if not original else original.originfeed if origin_known else original.feed,
            originsequence=UNSET if not original else original.originsequence if origin_known else original.sequence,
            data=outgoing.data,
        )
