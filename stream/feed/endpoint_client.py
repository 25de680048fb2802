"""A subscriber's sockets to one endpoint: requests to its history, and whether the publisher answers."""

import time
from collections.abc import Callable
from contextlib import suppress
from socket import create_connection

import zmq
from zmq.utils.monitor import parse_monitor_message

from stream.errors import FeedError
from stream.feed.keys import ClientKeys
from stream.feed.protocol import EVENT_TOPIC, HEARTBEAT_TOPIC, Endpoint, encode, parse_endpoint
from stream.feed.reassembly import NoticeKind, Reassembler, Received, SubscriberNotice

_ANSWER_SECONDS = 2.0
_PAUSE_SECONDS = 0.5  # from a request without an answer to the next
_AWAY_HEARTBEATS = 3
_RECEIVE_QUEUE = 10_000
_REPLY_BYTES = 64 * 2**20
_BURST = 500
_BROKEN_OFF = int(zmq.Event.HANDSHAKE_FAILED_NO_DETAIL)
_REFUSED = {
    int(zmq.Event.HANDSHAKE_FAILED_AUTH): "the publisher refused this key; ask there for access",
    int(zmq.Event.HANDSHAKE_FAILED_PROTOCOL): "no handshake; check --key and the endpoint",
    _BROKEN_OFF: "broken off at the handshake; it wants a --key, or another one",
}
_NO_PUBLISHER = (
    "connections are taken there and closed at once; is it a forwarder (ssh, Docker) without a publisher behind it?"
)
# An ending publisher breaks connections, too: only several breaks in a row mean a refusal.
_CERTAIN_REFUSALS = {int(zmq.Event.HANDSHAKE_FAILED_AUTH), int(zmq.Event.HANDSHAKE_FAILED_PROTOCOL)}
_MAX_BREAKS = 3
_GREETING_SECONDS = 1.0


class EndpointClient:
    """A subscriber's connection to one endpoint; created, used and closed in one thread.

    Attributes:
        endpoint: address of the publisher.
        reassembler: puts the messages in order.
        away: whether nothing was heard for three heartbeats.

    Raises:
        FeedError: the address is malformed; from `pump`: the publisher refused this client at first contact.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        keys: ClientKeys | None,
        reassembler: Reassembler,
        notify: Callable[[SubscriberNotice], None],
    ) -> None:
        self.endpoint = endpoint
        self.reassembler = reassembler
        self.away = True
        self._address = parse_endpoint(endpoint)
        self._context = context
        self._keys = keys
        self._notify = notify
        self._began = time.monotonic()
        self._heard: float | None = None
        self._reported_absent = False
        self._dealer: zmq.Socket[bytes] | None = None
        self._answer_by = 0.0
        self._ask_at = 0.0
        self._waiting = False
        self._refusal = ""
        self._refusals = 0
        self._events = self._socket(zmq.SUB)
        self._monitor = self._events.get_monitor_socket(sum(_REFUSED) | int(zmq.Event.HANDSHAKE_SUCCEEDED))
        for topic in (EVENT_TOPIC, HEARTBEAT_TOPIC):
            self._events.setsockopt(zmq.SUBSCRIBE, topic)
        self._events.connect(self._address.events)

    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """Return what to poll before the next `pump`."""
        return [self._events, self._monitor] + ([self._dealer] if self._dealer else [])

    def pump(self) -> list[Received]:
        """Receive what has come, and request what is missing.

        It waits only if a connection breaks before first contact, to tell a forwarder from a publisher: at most 1 s to
        connect and 1 s for a greeting.

        Returns:
            the messages that are in order.
        """
        given: list[Received] = []
        for _ in range(_BURST):
            frames = _receive(self._events)
            if frames is None:
                break
            given += self.reassembler.on_event(frames)
            self._note_heard()
        given += self._receive_history()
        self._check_handshakes()
        self._check_silence()
        self._request()
        return given

    def close(self) -> None:
        """Close the sockets; a second call does nothing."""
        self._drop_dealer()
        if not self._events.closed:
            self._events.disable_monitor()
            self._monitor.close(0)
            self._events.close(0)

    def _socket(self, kind: int) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        options = {
            zmq.LINGER: 0,
            zmq.RCVHWM: _RECEIVE_QUEUE if kind == zmq.SUB else 10,
            zmq.MAXMSGSIZE: _REPLY_BYTES,
            zmq.RECONNECT_IVL: 100,
            zmq.RECONNECT_IVL_MAX: 2000,
            zmq.TCP_KEEPALIVE: 1,
            zmq.IPV6: int(self._address.host.startswith("[")),
        }
        if kind == zmq.SUB:  # on a history socket, a missing answer shows sooner that the connection is gone
            options |= {zmq.HEARTBEAT_IVL: 2000, zmq.HEARTBEAT_TIMEOUT: 6000}
        for option, value in options.items():
            socket.setsockopt(option, value)
        if self._keys is not None:
            socket.curve_serverkey = self._keys.server.encode()
            socket.curve_publickey = self._keys.public.encode()
            socket.curve_secretkey = self._keys.secret.encode()
        return socket

    def _receive_history(self) -> list[Received]:
        given: list[Received] = []
        while self._dealer is not None and (frames := _receive(self._dealer)) is not None:
            self._waiting = False
            given += self.reassembler.on_reply(frames)
            self._note_heard()
            if self.reassembler.history_failed:
                self._ask_at = time.monotonic() + _PAUSE_SECONDS
        if self._waiting and time.monotonic() > self._answer_by:
            self._drop_dealer()  # so that its queued requests are not sent later
            self._ask_at = time.monotonic() + _PAUSE_SECONDS
        return given

    def _request(self) -> None:
        now = time.monotonic()
        if self._waiting or now < self._ask_at:
            return
        request = self.reassembler.next_request()
        if request is None:
            return
        if self._dealer is None:
            self._dealer = self._socket(zmq.DEALER)
            self._dealer.connect(self._address.history)
        with suppress(zmq.Again):
            self._dealer.send(encode(request), zmq.NOBLOCK)
        self._waiting = True
        self._answer_by = now + _ANSWER_SECONDS

    def _drop_dealer(self) -> None:
        self._waiting = False
        if self._dealer is not None:
            self._dealer.close(0)
            self._dealer = None

    def _note_heard(self) -> None:
        first = self._heard is None
        self._heard = time.monotonic()
        if self.away:
            self.away = False
            self._tell("connected" if first else "back", "connected" if first else "the publisher is back")

    def _check_silence(self) -> None:
        limit = _AWAY_HEARTBEATS * max(1.0, self.reassembler.heartbeat_seconds or 1.0)
        silent = time.monotonic() - (self._heard or self._began)
        if silent <= limit:
            return
        if self._heard is None and not self._reported_absent:
            self._reported_absent = True
            self._tell("away", "no publisher answers there yet; waiting for one")
        elif not self.away:
            self.away = True
            self._tell("away", f"nothing heard for {silent:.0f} s; waiting for the publisher to come back")

    def _check_handshakes(self) -> None:
        before = self._refusals  # later breaks count as one: all may be older than the publisher
        while (frames := _receive(self._monitor)) is not None:
            event = int(parse_monitor_message(frames)["event"])
            why = _REFUSED.get(event)
            if event == _BROKEN_OFF and self._heard is None and not _greets(self._address):
                why = _NO_PUBLISHER
            self._refusals = before + 1 if why in _REFUSED.values() else 0
            if why is None:
                self._refusal = ""
            elif self._heard is None and (event in _CERTAIN_REFUSALS or self._refusals >= _MAX_BREAKS):
                raise FeedError(f"{self.endpoint}: {why}")
            elif why != self._refusal:
                self._refusal = why
                self._tell("refused", why)

    def _tell(self, kind: NoticeKind, text: str) -> None:
        self._notify(SubscriberNotice(self.endpoint, kind, f"{self.endpoint}: {text}"))


def _greets(address: Endpoint) -> bool:
    """Return whether a ZeroMQ program answers at `address`: it sends first, while a forwarder without a target closes.

    A program that sends nothing within the limit is taken for a distant publisher.
    """
    try:
        with create_connection((address.host.strip("[]"), address.port), _GREETING_SECONDS) as probe:
            return probe.recv(1) == b"\xff"
    except TimeoutError:
        return True
    except OSError:
        return False


def _receive(socket: "zmq.Socket[bytes]") -> list[bytes] | None:
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return None
