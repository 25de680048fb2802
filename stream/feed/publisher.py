"""The publishing side of the event feed: journal first, then subscribers; the history, one port up, fills gaps."""

import queue
import selectors
import socket
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from types import TracebackType
from typing import Any, Self

from stream.errors import FeedError
from stream.feed.journal import RelayPosition
from stream.feed.message import Message
from stream.feed.options import FeedCounters, FeedOptions
from stream.feed.protocol import check_topic
from stream.feed.publisher_loop import OnMessage, PublisherLoop
from stream.feed.sequencer import OutgoingMessage

_MAX_QUEUED = 100_000  # messages; far beyond any storm: reached only if the disk hangs for minutes
_END_SECONDS = 120.0  # limit for writing the queued messages when the publisher ends
_BATCH = 200  # messages per commit


class Publisher:
    """Publish messages; each is numbered and on disk before any subscriber sees it.

        with Publisher(options, schema, on_message=print_line) as feed:
            feed.publish(topic="ev.flash.roof", type="lightning.flash.v1", subject="roof", dataschema=URN, data=flash)

    One thread owns the journal; a separate process (`stream.feed.gateway`) serves the clients. Leaving the block
    publishes the queued messages and ends both. An error in the thread is raised by `publish` and on leaving the block.

    Args:
        options: how to publish.
        schema: JSON Schema of the messages, for clients that ask.
        data_schemas: JSON Schema of the `data` of each type of message, for clients that ask.
        on_message: called in the publisher's thread with each message after its publication.

    Attributes:
        counters: counts of what was done so far.
        feed: the journal's id, once entered.
        upstreams: how far each other feed was relayed into this journal before the start.

    Raises:
        FeedError: on entering: the endpoint is wrong, taken, or open to others without keys.
        JournalError: on entering: the journal cannot be opened, or another publisher has it.
    """

    def __init__(
        self,
        options: FeedOptions,
        schema: dict[str, Any],
        on_message: OnMessage | None = None,
        data_schemas: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self._options = options
        self._schema = schema
        self._data_schemas = data_schemas
        self._on_message = on_message
        self._outgoing: queue.Queue[OutgoingMessage] = queue.Queue(_MAX_QUEUED)
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.settimeout(0)
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: PublisherLoop | None = None
        self._thread = threading.Thread(target=self._run, name=f"feed {options.site}", daemon=True)
        self.counters = FeedCounters()
        self.upstreams: list[RelayPosition] = []
        self.feed = ""

    def publish(self, *, topic: str, type: str, subject: str, dataschema: str, data: object) -> None:  # noqa: A002 - CloudEvents' word
        """Queue one message. Any thread may call it; it never waits for disk or network.

        Raises:
            FeedError: the publisher has failed or ended, or 100,000 messages are queued.
        """
        self._enqueue(OutgoingMessage(check_topic(topic), type, subject, dataschema, data))

    def relay(self, topic: str, message: Message[Any], upstream: RelayPosition) -> None:
        """Queue a message of another feed: it keeps its id, source, time and origin, and gets a new number here.

        A message whose id is in the journal already is left out.

        Args:
            topic: its topic.
            message: its envelope.
            upstream: its place in the other feed, written in the same transaction; see `upstreams`.

        Raises:
            FeedError: as `publish`.
        """
        self._enqueue(
            OutgoingMessage(
                check_topic(topic), message.type, message.subject, message.dataschema, message.data, message, upstream
            )
        )

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the publisher's thread early; None while it runs."""
        return self._failure

    @property
    def backlog(self) -> int:
        """Number of messages that are queued and not in the journal yet."""
        return self._outgoing.qsize()

    @property
    def gateway_pid(self) -> int | None:
        """Id of the process that serves subscribers; None while there is none, and where a thread serves them."""
        loop = self._loop
        return loop.gateway_pid if loop is not None else None

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()  # set by the thread when it runs or has failed
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
        self._thread.join(_END_SECONDS)
        if self._thread.is_alive() and error is None:
            raise FeedError(
                f"feed {self._options.site}: {self.backlog} messages could not be written within {_END_SECONDS:g} s; "
                f"check the disk of {self._options.journal or 'this machine'}"
            )
        self._close_wake()
        if self._failure is not None and error is None:
            raise self._failure

    def check(self) -> None:
        """Raise FeedError if the publisher's thread has ended.

        Raises:
            FeedError: it has failed; nothing can be published any more.
        """
        if self._failure is not None:
            raise FeedError(f"feed {self._options.site}: it has ended: {self._failure}") from self._failure

    def _enqueue(self, outgoing: OutgoingMessage) -> None:
        self.check()
        if self._stopping.is_set() or not self._started.is_set():
            raise FeedError(f"feed {self._options.site}: it is not running")
        try:
            self._outgoing.put_nowait(outgoing)
        except queue.Full:
            raise FeedError(
                f"feed {self._options.site}: {_MAX_QUEUED} messages wait to be journalled; check the disk of "
                f"{self._options.journal or 'this machine'}"
            ) from None
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # the buffer is full: the thread wakes anyway
            self._wake_in.send(b"x")

    def _close_wake(self) -> None:
        self._wake_in.close()
        self._wake_out.close()

    def _run(self) -> None:
        try:
            loop = PublisherLoop(self._options, self._schema, self._on_message, self.counters, self._data_schemas)
            with closing(loop):
                self._loop = loop
                self.feed = loop.feed
                self.upstreams = loop.upstreams
                loop.selector.register(self._wake_out, selectors.EVENT_READ)
                self._started.set()
                while not (self._stopping.is_set() and self._outgoing.empty()):
                    loop.wait()
                    self._clear_wake()
                    loop.step(self._take())
                loop.drain()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the owner raises it
            self._failure = error
        finally:
            self._loop = None
            self._started.set()

    def _clear_wake(self) -> None:
        with suppress(BlockingIOError):
            self._wake_out.recv(4096)

    def _take(self) -> list[OutgoingMessage]:
        taken: list[OutgoingMessage] = []
        while len(taken) < _BATCH:
            try:
                taken.append(self._outgoing.get_nowait())
            except queue.Empty:
                return taken
        self._wake()  # there may be more
        return taken
