"""The work of a publisher's thread: number, commit, publish, answer requests, send heartbeats."""

import logging
import selectors
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stream.feed.history_service import HistoryService
from stream.feed.journal import Journal
from stream.feed.message import WireMessage
from stream.feed.options import FeedCounters, FeedOptions
from stream.feed.protocol import Endpoint, parse_endpoint
from stream.feed.sequencer import OutgoingMessage, Sequencer
from stream.feed.status_source import StatusSource

if TYPE_CHECKING:
    from stream.feed.gateway.process import Gateway

_LOG = logging.getLogger("stream.feed")
_REQUESTS_PER_STEP = 5  # before events are published again
_MAINTENANCE_SECONDS = 5.0
_MORE_TO_PRUNE_SECONDS = 0.05
_DRAIN_HEARTBEATS = 5

OnMessage = Callable[[WireMessage], None]


class PublisherLoop:
    """The owner of a publisher's journal and gateway; created, used and closed in the publisher's thread.

    Args:
        options: how to publish.
        schema: JSON Schema of the messages, for clients that ask.
        on_message: called with each message after it was published.
        counters: updated here.
        data_schemas: JSON Schema of the `data` of each type of message, for clients that ask.

    Attributes:
        feed: the journal's id.
        upstreams: how far each other feed was relayed into this one before the start.
        selector: wakes `wait`; further sockets may be registered.

    Raises:
        FeedError: the endpoint is wrong, taken, or open to others without keys.
        JournalError: the journal cannot be opened, or another publisher has it.
    """

    def __init__(
        self,
        options: FeedOptions,
        schema: dict[str, Any],
        on_message: OnMessage | None,
        counters: FeedCounters,
        data_schemas: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self._options = options
        self._on_message = on_message
        self._counters = counters
        self._next_heartbeat = 0.0
        self._next_maintenance = 0.0
        endpoint = _endpoint(options)
        with ExitStack() as stack:
            journal = stack.enter_context(closing(Journal(options.journal)))
            self.feed = journal.feed
            self.upstreams = journal.upstreams()
            self._sequencer = stack.enter_context(closing(Sequencer(journal, options.site)))
            self._gateway: Gateway | None = None
            if endpoint is not None:
                self._gateway = _gateway_module().Gateway(endpoint, options)
                stack.callback(self._gateway.close)
            self._stack = stack.pop_all()
        self.selector = self._gateway.selector if self._gateway else selectors.DefaultSelector()
        self._history = HistoryService(
            self._sequencer,
            site=options.site,
            heartbeat_seconds=options.heartbeat_seconds,
            schema=schema,
            data_schemas=data_schemas,
        )
        self._history.status = StatusSource(options.status)
        if endpoint is not None and options.journal is None:
            _LOG.info(
                "%s: no journal: messages are kept in memory, the last %g MB of them, and a crash or a restart loses "
                "what subscribers have not fetched; give --journal FILE to keep them on disk",
                endpoint.events,
                options.retention.megabytes,
            )

    @property
    def gateway_pid(self) -> int | None:
        """Id of the gateway's process, None without one."""
        return self._gateway.pid if self._gateway is not None else None

    def close(self) -> None:
        """Close the gateway and the journal; a second call does nothing."""
        self._stack.close()
        self.selector.close()

    def wait(self, limit_seconds: float = 60.0) -> None:
        """Wait until there is something to do, at most `limit_seconds`."""
        now = time.monotonic()
        due = min(now + limit_seconds, self._next_maintenance)
        if self._gateway is not None:
            due = now if self._gateway.has_requests else min(due, self._next_heartbeat, self._gateway.due)
        self.selector.select(max(0.0, due - now))

    def step(self, messages: list[OutgoingMessage]) -> None:
        """Publish `messages`, answer some requests, send a heartbeat if it is due, and maintain the journal."""
        if messages:
            for wire in self._sequencer.add(messages):
                if self._gateway is not None:
                    self._gateway.publish(wire.frames())
                self._counters.published += 1
                if self._on_message is not None:
                    self._on_message(wire)
        if self._gateway is not None:
            self._serve(self._gateway)
        if time.monotonic() >= self._next_maintenance:
            more = self._sequencer.maintain(self._options.retention)
            self._next_maintenance = time.monotonic() + (_MORE_TO_PRUNE_SECONDS if more else _MAINTENANCE_SECONDS)
        self._count()

    def drain(self) -> None:
        """Send the last number in heartbeats for `farewell_seconds`, so that subscribers can fetch what they miss."""
        if self._gateway is None:
            return
        end = time.monotonic() + self._options.farewell_seconds
        while (now := time.monotonic()) < end:
            self._next_heartbeat = min(self._next_heartbeat, now + self._options.farewell_seconds / _DRAIN_HEARTBEATS)
            self.wait(end - now)
            self.step([])

    def _serve(self, gateway: "Gateway") -> None:
        gateway.step()
        for request in gateway.requests(_REQUESTS_PER_STEP):
            gateway.answer(request, self._history.answer(request.frames, time.time()))
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + self._options.heartbeat_seconds
            gateway.refresh_allowed()
            self._sequencer.recover()
            gateway.publish(self._history.heartbeat(time.time()))

    def _count(self) -> None:
        counters = self._counters
        if self._gateway is not None:
            counters.connections = self._gateway.connections
            counters.connections_refused = dict(self._gateway.refusals.counts)
            counters.requests_dropped = self._gateway.dropped
            counters.replies_unread = self._gateway.unread
            counters.gateway_restarts = self._gateway.restarts
        counters.not_durable = self._sequencer.not_durable
        counters.pruned = self._sequencer.pruned
        counters.requests_answered = self._history.answered
        counters.requests_refused = self._history.refused


def _endpoint(options: FeedOptions) -> Endpoint | None:
    if options.endpoint is None:
        return None
    endpoint = parse_endpoint(options.endpoint)
    _gateway_module().check_exposure(endpoint, keys=options.keys, insecure=options.insecure)
    return endpoint


def _gateway_module() -> Any:
    """Return the gateway's module; it is loaded only if a port is opened, since ZeroMQ takes time to load."""
    return import_module("stream.feed.gateway.process")
