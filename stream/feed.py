"""Feed: the publishing side of the event feed. Journal first, then PUB; a history socket one port up fills gaps."""

import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq

from stream.errors import FeedError
from stream.feed_desk import HistoryDesk
from stream.feed_ledger import Draft, Ledger
from stream.feed_sockets import FeedSockets, check_exposure
from stream.feed_wire import Endpoint, check_topic, parse_endpoint
from stream.journal import Journal, Retention, Upstream
from stream.message import Message

_QUEUE_ROOM = 100_000  # drafts; far beyond any storm: only a disk that hangs for minutes gets there
_BATCH = 200  # drafts per commit
_REQUESTS_PER_ROUND = 5  # then events come first again
_UPKEEP_SECONDS = 5.0
_FAREWELL_BEATS = 5

OnMessage = Callable[[str, int, bytes], None]


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How a feed is published and kept.

    site: this publisher's name in every message's `source`.
    endpoint: tcp://HOST:PORT, history one port up; None publishes nowhere, and messages are still numbered.
    journal: the SQLite file; None keeps it in memory (a new feed each time).
    keep_days, keep_megabytes: messages past either are forgotten, oldest first.
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


class Feed:
    """Publishes messages, each on disk and numbered before anyone sees it.

        with Feed(options, schema, on_message=print_line) as feed:
            feed.publish(topic="ev.flash.roof", type="lightning.flash.v1", subject="roof", dataschema=URN, data=flash)

    One thread owns the journal and the sockets. Leaving the block publishes what waits and ends the thread. What the
    thread raises is raised from `publish` and from leaving the block.

    Args:
        options: how to publish.
        schema: JSON Schema of the messages, for clients that ask.
        on_message: called in the feed's thread with topic, number and JSON of each message, after it was published.

    Raises:
        FeedError: on entering: the endpoint is wrong, taken, or open to others without keys.
        JournalError: on entering: the journal cannot be opened, or another publisher has it.
    """

    def __init__(self, options: FeedOptions, schema: dict[str, Any], on_message: OnMessage | None = None) -> None:
        self._options = options
        self._schema = schema
        self._on_message = on_message
        self._drafts: queue.Queue[Draft] = queue.Queue(_QUEUE_ROOM)
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.settimeout(0)
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"feed {options.site}", daemon=True)
        self.counters = FeedCounters()
        self.upstreams: list[Upstream] = []
        self.feed = ""

    def publish(self, *, topic: str, type: str, subject: str, dataschema: str, data: object) -> None:  # noqa: A002 - CloudEvents' word
        """Hand over one message. Any thread may; it never waits for disk or network.

        Raises:
            FeedError: the feed has failed or ended, or 100,000 messages wait already.
        """
        self._hand_over(Draft(check_topic(topic), type, subject, dataschema, data))

    def relay(self, topic: str, message: Message[Any], upstream: Upstream) -> None:
        """Hand over a message of another feed: it keeps its id, source, time and origin, and gets a number here.

        `upstream` is kept with it in one transaction; `upstreams` has it when the feed is opened again. A message whose
        id is in the journal already is left out.
        """
        self._hand_over(
            Draft(
                check_topic(topic), message.type, message.subject, message.dataschema, message.data, message, upstream
            )
        )

    @property
    def backlog(self) -> int:
        """How many messages were handed over and are not in the journal yet."""
        return self._drafts.qsize()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()  # ends: the thread sets it when it runs and when it fails
        if self._failure is not None:
            self._thread.join()
            self._close_wake()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._wake()
        self._thread.join()
        self._close_wake()
        if self._failure is not None and error is None:
            raise self._failure

    def _hand_over(self, draft: Draft) -> None:
        if self._failure is not None:
            raise FeedError(f"feed {self._options.site}: it has ended: {self._failure}") from self._failure
        if self._stopping.is_set() or not self._started.is_set():
            raise FeedError(f"feed {self._options.site}: it is not running")
        try:
            self._drafts.put_nowait(draft)
        except queue.Full:
            raise FeedError(
                f"feed {self._options.site}: {_QUEUE_ROOM} messages wait to be journalled; check the disk of "
                f"{self._options.journal or 'this machine'}"
            ) from None
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # then it is being woken already
            self._wake_in.send(b"x")

    def _close_wake(self) -> None:
        self._wake_in.close()
        self._wake_out.close()

    def _run(self) -> None:
        try:
            with _Press(self._options, self._schema, self._on_message, self.counters) as press:
                self.feed = press.feed
                self.upstreams = press.upstreams()
                press.poller.register(self._wake_out, zmq.POLLIN)
                self._started.set()
                while not (self._stopping.is_set() and self._drafts.empty()):
                    press.wait()
                    self._drain_wake()
                    press.work(self._take())
                press.say_farewell()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the owner raises it
            self._failure = error
        finally:
            self._started.set()

    def _drain_wake(self) -> None:
        with suppress(BlockingIOError):
            self._wake_out.recv(4096)

    def _take(self) -> list[Draft]:
        taken: list[Draft] = []
        while len(taken) < _BATCH:
            try:
                taken.append(self._drafts.get_nowait())
            except queue.Empty:
                return taken
        self._wake()  # there may be more: come back at once
        return taken


class _Press:
    """The work of the feed's thread: number, commit, publish, answer, beat."""

    def __init__(
        self, options: FeedOptions, schema: dict[str, Any], on_message: OnMessage | None, counters: FeedCounters
    ) -> None:
        self._options = options
        self._schema = schema
        self._on_message = on_message
        self._counters = counters
        self._next_beat = 0.0
        self._next_upkeep = 0.0

    def __enter__(self) -> Self:
        options = self._options
        endpoint = self._endpoint()
        journal = Journal(options.journal)
        self.feed = journal.feed
        self._journal = journal
        self._ledger = Ledger(journal, options.site)
        self._sockets: FeedSockets | None = None
        try:
            if endpoint is not None:
                self._sockets = FeedSockets(
                    endpoint, keys=options.keys, send_queue_messages=options.send_queue_messages
                )
        except BaseException:
            self._ledger.close()
            raise
        self.poller = self._sockets.poller if self._sockets else zmq.Poller()
        self._desk = HistoryDesk(
            self._ledger,
            site=options.site,
            heartbeat_seconds=options.heartbeat_seconds,
            schema=self._schema,
            requests_per_second=options.requests_per_second,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()
        if self._sockets is not None:
            self._sockets.close()

    def _endpoint(self) -> Endpoint | None:
        if self._options.endpoint is None:
            return None
        endpoint = parse_endpoint(self._options.endpoint)
        check_exposure(endpoint, keys=self._options.keys, insecure=self._options.insecure)
        return endpoint

    def upstreams(self) -> list[Upstream]:
        """How far each other feed was relayed into this one."""
        return self._journal.upstreams()

    def wait(self, limit_seconds: float = 60.0) -> None:
        """Sleep until there is something to do."""
        now = time.monotonic()
        until = min(self._next_beat if self._sockets else now + limit_seconds, self._next_upkeep, now + limit_seconds)
        self.poller.poll(max(0, int((until - now) * 1000) + 1))

    def work(self, drafts: list[Draft]) -> None:
        """One round: publish `drafts`, answer some requests, beat and look after the journal when it is time."""
        if drafts:
            for packed in self._ledger.add(drafts):
                if self._sockets is not None:
                    self._sockets.publish(packed.frames())
                self._counters.published += 1
                if self._on_message is not None:
                    self._on_message(*packed)
        if self._sockets is not None:
            self._attend(self._sockets)
        if time.monotonic() >= self._next_upkeep:
            more = self._ledger.upkeep(Retention(self._options.keep_days, self._options.keep_megabytes))
            self._next_upkeep = time.monotonic() + (0.05 if more else _UPKEEP_SECONDS)
        self._count()

    def say_farewell(self) -> None:
        """Tell subscribers the last number, and give them time to fetch what they miss."""
        if self._sockets is None:
            return
        end = time.monotonic() + self._options.farewell_seconds
        while (now := time.monotonic()) < end:
            self._next_beat = min(self._next_beat, now + self._options.farewell_seconds / _FAREWELL_BEATS)
            self.wait(end - now)
            self.work([])

    def _attend(self, sockets: FeedSockets) -> None:
        sockets.attend()
        for frames in sockets.requests(_REQUESTS_PER_ROUND):
            reply = self._desk.answer(frames, time.time())
            if reply is not None and not sockets.reply(reply):
                self._counters.replies_unread += 1
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + self._options.heartbeat_seconds
            sockets.refresh_allowed()
            self._ledger.recover()
            sockets.publish(self._desk.heartbeat(time.time()))

    def _count(self) -> None:
        counters = self._counters
        if self._sockets is not None:
            counters.connections_refused = dict(self._sockets.refusals.counts)
        counters.not_durable = self._ledger.not_durable
        counters.pruned = self._ledger.pruned
        counters.requests_answered = self._desk.answered
        counters.requests_refused = self._desk.refused
        counters.requests_dropped = self._desk.dropped
