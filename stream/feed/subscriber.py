"""The receiving side of the event feed: messages in order, without gaps, each once."""

import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import zmq
import zmq.asyncio

from stream.errors import FeedError
from stream.feed.cursor_file import CursorFile, CursorState
from stream.feed.endpoint_client import EndpointClient
from stream.feed.keys import ClientKeys, read_client_keys
from stream.feed.protocol import Heartbeat
from stream.feed.reassembly import Cursor, Reassembler, Received, StartPosition, SubscriberNotice

_LOG = logging.getLogger("stream.subscriber")
_POLL_SECONDS = 0.2  # between checks of stop, silence and late answers
_GOOD_NEWS = {"connected", "back", "disk_well", "place_well"}
_MAX_PENDING = 2000  # messages received and not yet taken; further ones stay with the publisher


def log_notice(notice: SubscriberNotice) -> None:
    """Write `notice` to the log; the default of `SubscriberOptions.on_notice`."""
    _LOG.log(logging.INFO if notice.kind in _GOOD_NEWS else logging.WARNING, "%s", notice.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberOptions:
    """Options of a subscriber: what to receive, and where to start.

    Attributes:
        since: on first contact with a feed, start after this number (0: everything); None starts with the next message.
        cursor: a file that keeps the cursor between runs; None keeps it in memory. It takes precedence over `since`.
        cursors: cursors to start from, by feed id, e.g. stored by the caller together with its results.
        cameras: only messages about these cameras; empty: all.
        states: only messages whose data.state is one of these; empty: all.
        keys: client keys, or files with them (`make_client_keys`): one for all endpoints, or one for each.
        on_notice: called in the receiving thread with each notice about an endpoint.
        on_heartbeat: called in the receiving thread with the endpoint and each heartbeat.
    """

    since: int | None = None
    cursor: Path | None = None
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    cameras: Collection[str] = ()
    states: Collection[str] = ()
    keys: Sequence[Path | ClientKeys] = ()
    on_notice: Callable[[SubscriberNotice], None] = log_notice
    on_heartbeat: Callable[[str, Heartbeat], None] | None = None

    def wants(self, received: Received) -> bool:
        """Return whether the caller asked for this message."""
        data = received.message.data
        about = {received.message.subject, data.get("camera")}
        return (not self.cameras or not about.isdisjoint(self.cameras)) and (
            not self.states or data.get("state") in self.states
        )


class _Receiver:
    """The shared part of both subscribers: endpoint clients, pending messages and cursors. It never blocks."""

    def __init__(self, endpoints: Sequence[str], options: SubscriberOptions) -> None:
        if not endpoints:
            raise FeedError("no endpoint to subscribe to; give at least one, e.g. tcp://127.0.0.1:5556")
        keys = _keys_for(endpoints, options.keys)
        self._began = time.monotonic()
        self._options = options
        self._file = CursorFile(options.cursor) if options.cursor else None
        self._state = self._file.read() if self._file else CursorState()
        self._cursors = {**options.cursors, **self._state.feeds}
        self._pending: deque[Received] = deque()
        self._unkept = False
        self._trouble = False  # whether the cursor file failed
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.clients: list[EndpointClient] = []
        try:
            for endpoint, key in zip(endpoints, keys, strict=True):
                start = StartPosition(options.since, self._state.endpoints.get(endpoint), self._waited)
                reassembler = Reassembler(endpoint, self._cursors, start, options.on_notice, options.on_heartbeat)
                self.clients.append(EndpointClient(self._context, endpoint, key, reassembler, options.on_notice))
        except BaseException:
            self.close()
            raise

    def pump(self) -> None:
        """Receive messages; while many are pending the rest stays with the publisher."""
        for client in self.clients:
            if len(self._pending) < _MAX_PENDING:
                self._pending += client.pump()
                self._keep_start(client)

    def take(self) -> Received | None:
        """Return the next pending message that the caller wants, if any; the previous one counts as processed."""
        self.settle()
        while self._pending:
            received = self._pending.popleft()
            self._reach(received)
            if self._options.wants(received):
                return received
        self.settle()  # none of the messages since was wanted
        return None

    @property
    def cursors(self) -> dict[str, Cursor]:
        """How far each feed was taken."""
        return dict(self._state.feeds)

    def settle(self) -> None:
        """Keep the cursor after the message taken last and the unwanted ones that follow it."""
        if self._unkept:
            self._keep()

    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """Return what to poll."""
        return [socket for client in self.clients for socket in client.sockets()]

    def poller(self) -> zmq.Poller:
        """Return a poller of `sockets`; these change after a history request without an answer."""
        poller = zmq.Poller()
        for socket in self.sockets():
            poller.register(socket, zmq.POLLIN)
        return poller

    def close(self) -> None:
        """Close every socket; a second call does nothing."""
        for client in self.clients:
            client.close()
        self._context.term()

    def _waited(self) -> float:
        return time.monotonic() - self._began

    def _keep_start(self, client: EndpointClient) -> None:
        """Keep where receiving of a feed began, so that a restart before its first message misses nothing."""
        reassembler = client.reassembler
        if reassembler.feed and reassembler.started and self._state.endpoints.get(client.endpoint) != reassembler.feed:
            self._state.reach(
                client.endpoint, reassembler.feed, self._state.feeds.get(reassembler.feed, reassembler.started)
            )
            self._keep()

    def _keep(self) -> None:
        """Write the cursor file; if that fails, messages continue and each tries again."""
        self._unkept = False
        if self._file is None:
            return
        try:
            self._file.write(self._state)
        except FeedError as error:
            self._unkept = True
            if not self._trouble:
                words = f"{error}. Going on without it: after a restart, what comes from now on may come again"
                self._options.on_notice(SubscriberNotice("", "place_trouble", words))
            self._trouble = True
            return
        if self._trouble:
            self._options.on_notice(
                SubscriberNotice("", "place_well", f"{self._options.cursor}: the cursor is written again")
            )
        self._trouble = False

    def _reach(self, received: Received) -> None:
        self._unkept = True
        self._state.reach(received.endpoint, received.message.feed, received.cursor)


class Subscriber:
    """A subscriber to one or more feeds: messages in order, each once, through restarts of either side.

        with Subscriber("tcp://127.0.0.1:5556", since=0) as events:
            for event in events:
                print(event.message.subject, event.message.data["state"])

    A request for the next message confirms the previous one: only then its cursor is kept, so a program that dies in
    between receives that message again. Use a subscriber from one thread; any thread may call `stop`.

    Raises:
        FeedError: an endpoint, key or cursor file is wrong, or a publisher refused this client at first contact.
    """

    def __init__(self, *endpoints: str, options: SubscriberOptions | None = None, since: int | None = None) -> None:
        self._endpoints = endpoints
        self._options = options or SubscriberOptions(since=since)
        self._receiver: _Receiver | None = None
        self._stopped = threading.Event()

    @property
    def away(self) -> list[str]:
        """The endpoints that are silent now."""
        return (
            [client.endpoint for client in self._receiver.clients if client.away]
            if self._receiver
            else list(self._endpoints)
        )

    @property
    def cursors(self) -> dict[str, Cursor]:
        """How far each feed was received, by feed id; the message received last counts."""
        return {} if self._receiver is None else self._receiver.cursors

    def receive(self, timeout_seconds: float | None = None) -> Received | None:
        """Return the next message, or None if none came within `timeout_seconds` or `stop` was called."""
        receiver = self._opened()
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not self._stopped.is_set():
            if received := receiver.take():
                return received
            left = _POLL_SECONDS if deadline is None else min(_POLL_SECONDS, deadline - time.monotonic())
            if left < 0:
                return None
            try:
                receiver.poller().poll(int(left * 1000))
                receiver.pump()
            except FeedError:
                self._abandon()
                raise
        return None

    def stop(self) -> None:
        """End the `for` loop or `receive` soon; any thread may call it."""
        self._stopped.set()

    def close(self) -> None:
        """Keep the cursor after the message received last, and close the sockets; a second call does nothing."""
        if self._receiver is not None:
            self._receiver.settle()
            self._receiver.close()
            self._receiver = None
        self._stopped.set()

    def __iter__(self) -> Iterator[Received]:
        while received := self.receive():
            yield received

    def __enter__(self) -> Self:
        self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon()
        self.close()

    def _abandon(self) -> None:
        """Close, and leave the message received last as not processed."""
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None
        self._stopped.set()

    def _opened(self) -> _Receiver:
        if self._receiver is None and not self._stopped.is_set():
            self._receiver = _Receiver(self._endpoints, self._options)
        if self._receiver is None:
            raise FeedError("this subscriber is closed; make a new one")
        return self._receiver


class AsyncSubscriber:
    """`Subscriber` for asyncio: `async with AsyncSubscriber(endpoint) as events: async for event in events: ...`."""

    def __init__(self, *endpoints: str, options: SubscriberOptions | None = None, since: int | None = None) -> None:
        self._endpoints = endpoints
        self._options = options or SubscriberOptions(since=since)
        self._receiver: _Receiver | None = None

    async def receive(self, timeout_seconds: float | None = None) -> Received | None:
        """Return the next message, or None if none came in time."""
        if self._receiver is None:
            self._receiver = _Receiver(self._endpoints, self._options)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            if received := self._receiver.take():
                return received
            left = _POLL_SECONDS if deadline is None else min(_POLL_SECONDS, deadline - time.monotonic())
            if left < 0:
                return None
            poller = zmq.asyncio.Poller()
            for socket in self._receiver.sockets():
                poller.register(socket, zmq.POLLIN)
            await poller.poll(int(left * 1000))
            try:
                self._receiver.pump()
            except FeedError:
                self._receiver.close()
                self._receiver = None
                raise

    async def __aiter__(self) -> AsyncIterator[Received]:
        while received := await self.receive():
            yield received

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._receiver is not None:
            if error is None:
                self._receiver.settle()
            self._receiver.close()
            self._receiver = None


def _keys_for(endpoints: Sequence[str], given: Sequence[Path | ClientKeys]) -> list[ClientKeys | None]:
    if not given:
        return [None] * len(endpoints)
    if len(given) not in {1, len(endpoints)}:
        raise FeedError(f"{len(given)} keys for {len(endpoints)} endpoints; give one for all, or one for each in order")
    keys = [key if isinstance(key, ClientKeys) else read_client_keys(key) for key in given]
    return list(keys) if len(keys) == len(endpoints) else keys * len(endpoints)  # type: ignore[return-value]
