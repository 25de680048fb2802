"""Put the messages of one endpoint in order, each once and none missing. No sockets, no clock."""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from stream.feed.message import Message, WireMessage
from stream.feed.protocol import (
    EVENT_TOPIC,
    HEARTBEAT_TOPIC,
    PAGE_MESSAGES,
    Heartbeat,
    Reply,
    Request,
    decode_heartbeat,
    decode_reply,
    unpack,
    unpack_all,
)

_MAX_AHEAD = 1000  # messages kept while earlier ones are still missing

NoticeKind = Literal[
    "connected",
    "away",
    "back",
    "refused",
    "new_feed",
    "went_back",
    "lost",
    "disk_trouble",
    "disk_well",
    "place_trouble",
    "place_well",
    "not_understood",
]


class SubscriberNotice(NamedTuple):
    """A change of an endpoint's state, or of the cursor file's.

    Attributes:
        endpoint: the endpoint, or "" for the cursor file.
        kind: the change.
        text: the change in words for a person.
    """

    endpoint: str
    kind: NoticeKind
    text: str


class Cursor(msgspec.Struct, frozen=True):
    """How far a subscriber has come in one feed: the last number, and the run that gave it (None: unknown)."""

    run: str | None
    sequence: int


class Received(NamedTuple):
    """One message as a subscriber gets it.

    Attributes:
        endpoint: where it came from.
        wire: the message as it was published.
        from_history: whether it was fetched from the history.
        cursor: the place after this message.
    """

    endpoint: str
    wire: WireMessage
    from_history: bool
    cursor: Cursor

    @property
    def topic(self) -> str:
        """The topic."""
        return self.wire.topic

    @property
    def sequence(self) -> int:
        """The number in its feed."""
        return self.wire.sequence

    @property
    def body(self) -> bytes:
        """The JSON exactly as it was published."""
        return self.wire.body

    @property
    def message(self) -> Message[dict[str, Any]]:
        """The envelope, with its data as a dictionary."""
        return self.wire.message


class StartPosition(NamedTuple):
    """Where to begin.

    Attributes:
        since: begin after this number; None: with the next message.
        feed: the feed last received from this endpoint, if any.
        waited: returns for how many seconds this subscriber has been waiting.
    """

    since: int | None
    feed: str | None
    waited: Callable[[], float]


class Reassembler:
    """Turn the frames of one endpoint into messages in order, each once.

    A new feed starts after number `since`; if that is None, with the next message, or with the first message of a
    publisher that started while this side was waiting already. A feed that replaces another at the same endpoint starts
    from its first message.

    Args:
        endpoint: the endpoint's address, for notices.
        cursors: by feed id; shared between the endpoints of a subscriber, so that two endpoints with the same feed give
            each message once.
        start: where to begin.
        notify: called with each notice.
        on_heartbeat: called with the endpoint and each heartbeat.

    Attributes:
        feed: id of the feed received now.
        started: where receiving of this feed began.
        history_failed: whether the last answer said that the history cannot be read now.
        heartbeat_seconds: the publisher's interval, once known.
    """

    def __init__(
        self,
        endpoint: str,
        cursors: MutableMapping[str, Cursor],
        start: StartPosition,
        notify: Callable[[SubscriberNotice], None],
        on_heartbeat: Callable[[str, Heartbeat], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._on_heartbeat = on_heartbeat
        self._cursors = cursors
        self._since = start.since
        self._waited = start.waited
        self._notify = notify
        self._seen: tuple[str, int] | None = None
        self._ahead: dict[int, WireMessage] = {}
        self._target = 0
        self._unsure = True
        self._asked = 0
        self._durable = True
        self.history_failed = False
        self.started: Cursor | None = None
        self.feed = start.feed
        self.heartbeat_seconds: float | None = None

    def next_request(self) -> Request | None:
        """Return the next request to the history, or None if nothing is missing; earlier requests become void."""
        cursor = self._cursors.get(self.feed) if self.feed else None
        if cursor is None:
            return self._ask(op="info")
        if not self._unsure and self._target <= cursor.sequence:
            return None
        nearest = min((number for number in self._ahead if number > cursor.sequence), default=None)
        missing = PAGE_MESSAGES if nearest is None else nearest - cursor.sequence - 1
        return self._ask(op="since", sequence=cursor.sequence, limit=max(1, min(PAGE_MESSAGES, missing)))

    def on_event(self, frames: Sequence[bytes]) -> list[Received]:
        """Take frames from the PUB socket, and return the messages that are in order now."""
        try:
            if frames[0] == HEARTBEAT_TOPIC:
                heartbeat = decode_heartbeat(frames[2])
                self.heartbeat_seconds = heartbeat.heartbeat_seconds
                self._watch_disk(durable=heartbeat.durable)
                if self._on_heartbeat is not None:
                    self._on_heartbeat(self._endpoint, heartbeat)
                if self._known(heartbeat.feed, heartbeat.run):
                    self._target = max(self._target, heartbeat.last)
                return []
            if not frames[0].startswith(EVENT_TOPIC):
                return []  # a kind of frame from a later version
            wire = unpack(frames)
            message = wire.message
        except (ValueError, IndexError) as error:
            self._not_understood(error)
            return []
        return self._live(wire, message)

    def on_reply(self, frames: Sequence[bytes]) -> list[Received]:
        """Take an answer of the history, and return the messages that are in order now."""
        try:
            reply = decode_reply(frames[0])
            rows = unpack_all(frames[1:]) if reply.op == "since" else []
        except (ValueError, IndexError) as error:
            self._not_understood(error)
            return []
        if reply.request != self._asked:
            return []  # an answer that came too late
        self._asked += 1  # each answer counts once
        self.heartbeat_seconds = reply.heartbeat_seconds
        self._unsure = False
        self.history_failed = bool(reply.error)
        before = self.feed, self._sequence
        self._learn(reply)
        if reply.error or reply.op != "since" or before != (self.feed, self._sequence):
            return []  # not an answer to the next question: another feed, or its numbers went back
        given = self._give_page(reply, rows)
        return given + self._give_ahead()

    @property
    def _sequence(self) -> int | None:
        return self._cursors[self.feed].sequence if self.feed and self.feed in self._cursors else None

    def _ask(self, **what: Any) -> Request:
        self._asked += 1
        return Request(request=self._asked, **what)

    def _live(self, wire: WireMessage, message: Message[dict[str, Any]]) -> list[Received]:
        if self._seen is None:
            self._seen = (message.feed, wire.sequence)
        if not self._known(message.feed, message.run):
            return []
        cursor = self._cursors[message.feed]
        self._target = max(self._target, wire.sequence)
        if wire.sequence == cursor.sequence + 1:
            return [self._give(wire, from_history=False), *self._give_ahead()]
        if wire.sequence > cursor.sequence and len(self._ahead) < _MAX_AHEAD:
            self._ahead[wire.sequence] = wire
        return []

    def _known(self, feed: str, run: str) -> bool:
        """Return whether this is the current feed and run; if not, only an answer tells a new run from a late frame."""
        cursor = self._cursors.get(feed)
        if feed == self.feed and cursor is not None and cursor.run == run:
            return True
        self._unsure = True
        return False

    def _learn(self, position: Reply) -> None:
        """Note the publisher's feed, run and last number."""
        if position.feed != self.feed or position.feed not in self._cursors:
            seen = self._seen[1] - 1 if self._seen and self._seen[0] == position.feed else position.last
            younger = position.run_seconds < self._waited()
            self._switch(position.feed, position.run, position.run_first - 1 if younger else min(position.last, seen))
        cursor = self._cursors[position.feed]
        if cursor.run != position.run:
            before = position.run_first - 1 if cursor.run is not None else position.last
            if before < cursor.sequence:
                self._tell(
                    "went_back",
                    f"its numbers went back from {cursor.sequence} to {before} (was its journal put back from an older "
                    "copy?); going on from there",
                )
            self._cursors[position.feed] = Cursor(position.run, min(cursor.sequence, before))
            self._ahead.clear()
            self._target = 0
        self._target = max(self._target, position.last)

    def _switch(self, feed: str, run: str, now: int) -> None:
        """Switch to another feed; where it starts depends on whether it, or another one here, was received before."""
        if self.feed not in {None, feed}:
            self._tell("new_feed", f"a new feed ({feed} instead of {self.feed}); starting with its first message")
        if feed not in self._cursors:
            if self.feed is not None:
                self._cursors[feed] = Cursor(run, 0)
            else:
                self._cursors[feed] = Cursor(run, now) if self._since is None else Cursor(None, self._since)
        self.feed = feed
        self.started = self._cursors[feed]
        self._ahead.clear()
        self._target = 0

    def _give_page(self, reply: Reply, rows: Sequence[WireMessage]) -> list[Received]:
        given = []
        for wire in rows:
            cursor = self._cursors[reply.feed]
            if wire.sequence <= cursor.sequence:
                continue
            self._skip_to(wire.sequence - 1)
            try:
                given.append(self._give(wire, from_history=True))
            except ValueError as error:
                self._not_understood(error)
                self._cursors[reply.feed] = Cursor(reply.run, wire.sequence)
        if not rows:
            self._skip_to(reply.last)
        return given

    def _give_ahead(self) -> list[Received]:
        given = []
        while self.feed and (wire := self._ahead.pop(self._cursors[self.feed].sequence + 1, None)):
            given.append(self._give(wire, from_history=False))
        passed = self._cursors[self.feed].sequence if self.feed else 0
        for number in [number for number in self._ahead if number <= passed]:
            del self._ahead[number]
        return given

    def _give(self, wire: WireMessage, *, from_history: bool) -> Received:
        """Move the cursor to this message.

        Returns:
            the message with the cursor after it.

        Raises:
            ValueError: its body is not a message; the cursor stays.
        """
        wire.message  # noqa: B018 - decoded here, where a damaged one can still be left out
        feed = self.feed or ""
        cursor = Cursor(self._cursors[feed].run, wire.sequence)
        self._cursors[feed] = cursor
        return Received(self._endpoint, wire, from_history, cursor)

    def _skip_to(self, sequence: int) -> None:
        """Continue after `sequence`: messages that the history no longer has are lost."""
        feed = self.feed or ""
        cursor = self._cursors[feed]
        if sequence > cursor.sequence:
            count = sequence - cursor.sequence
            self._tell(
                "lost",
                f"{count} messages ({cursor.sequence + 1} to {sequence}) are no longer in its history; going on "
                "behind them. Subscribe more often, or raise feed.keep_days there",
            )
            self._cursors[feed] = Cursor(cursor.run, sequence)

    def _watch_disk(self, *, durable: bool) -> None:
        if durable and not self._durable:
            self._tell("disk_well", "the publisher writes its journal now")
        if self._durable and not durable:
            self._tell(
                "disk_trouble",
                "the publisher has no journal, or cannot write it: what it sends now, a crash there would lose",
            )
        self._durable = durable

    def _not_understood(self, error: Exception) -> None:
        self._tell("not_understood", f"sent what is not of this protocol ({error}); is it a lightning-detector feed?")

    def _tell(self, kind: NoticeKind, text: str) -> None:
        self._notify(SubscriberNotice(self._endpoint, kind, f"{self._endpoint}: {text}"))
