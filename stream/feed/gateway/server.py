"""Serve clients on the two ports: accept, read, publish, pass on requests in turns. One thread that never blocks.

Memory does not grow with what a client sends: a connection holds one frame, one read, eight requests and one answer,
and the messages queued for subscribers are shared among them and bounded.
"""

import errno
import math
import selectors
import socket
import time
from collections import Counter
from contextlib import suppress

from stream.feed.gateway.client import READ_BYTES, Client, Outgoing, Role
from stream.feed.gateway.curve import Curve
from stream.feed.gateway.fairness import Allowance, Turns
from stream.feed.gateway.link import Allow, Answer, End, Link, Publish, Report, Request, Setup, ToGateway
from stream.feed.gateway.zmtp import NO_HANDSHAKE, Mechanism, Null, ProtocolError

_ACCEPTS_AT_ONCE = 20  # per port, before clients are served again
_FRAMES_AT_ONCE = 50  # per client
_PAUSE_SECONDS = 0.02  # after a client filled a whole read: 200 kB/s are plenty for requests
_REQUESTS_WAITING = 8  # per client; it is not read until some are answered
_ASKED_AT_ONCE = 4  # requests that wait for the publisher
_TOGETHER = 4  # all clients together, in rates of one client: a third of a core for pages of 256 kB
_HANDSHAKE_SECONDS = 3.0
_UNREAD_SECONDS = 10.0  # in which a client has taken nothing of its answer
_ANSWERS_BYTES = 16 * 2**20  # unread answers of all clients; beyond it the longest unread is dropped
_EVENTS_BYTES = 32 * 2**20  # queued for all subscribers; beyond it only those without a queue are sent more
_TEND_SECONDS = 0.1
_REPORT_SECONDS = 1.0
_FULL_SECONDS = 0.5  # pause of accepting after the process ran out of file descriptors
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # a pulled cable is noticed after 25 s
_REPORTS_BYTES = 64 * 1024  # reports that a busy publisher has not taken yet
_BROKE_OFF = "it broke off while connecting"
_TOO_MANY = "there are too many connections"
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Server:
    """The server of the gateway.

    Args:
        link: connects to the publisher.
        listeners: the listening sockets of both ports, non-blocking.
    """

    def __init__(self, link: Link, listeners: dict[Role, socket.socket]) -> None:
        self._link = link
        self._listeners = listeners
        self._selector = selectors.DefaultSelector()
        self._clients: dict[int, Client] = {}
        self._paused: set[int] = set()
        self._to_send: dict[int, Client] = {}
        self._turns = Turns()
        self._allowances: dict[int, Allowance] = {}
        self._setup = Setup(b"", b"", 50.0, 1000, 500)
        self._pace = Allowance(200.0, 200.0)
        self._allowed: dict[bytes, str] = {}
        self._asked: set[int] = set()
        self._number = 0
        self._end_by: float | None = None
        self._crowded = False  # whether more than _EVENTS_BYTES are queued for subscribers
        self._accepting = False
        self._accept_at = math.inf  # until the allowed keys are known
        self._next_tend = self._next_report = 0.0
        self._refused: Counter[str] = Counter()
        self._refused_last: dict[str, str] = {}
        self._dropped = self._unread = 0

    def run(self) -> None:
        """Serve until the publisher ends this server or is gone."""
        self._selector.register(self._link.connection, selectors.EVENT_READ)
        with suppress(ConnectionError):
            while self._end_by is None or (time.monotonic() < self._end_by and self._unsent()):
                self._turn()
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()

    def _turn(self) -> None:
        for key, events in self._selector.select(self._wait_seconds()):
            if key.fileobj is self._link.connection:
                for said in self._link.receive():
                    self._obey(said)  # type: ignore[arg-type]
                self._send_all()
            elif isinstance(key.data, Role):
                self._accept(key.data)
            elif key.data in self._clients:  # it may have been dropped in this turn
                self._serve(self._clients[key.data], events)
        now = time.monotonic()
        self._resume(now)
        self._ask()
        if now >= self._next_tend:
            self._next_tend = now + _TEND_SECONDS
            self._tend(now)
        self._link.flush()
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._link.unsent_bytes else 0)
        self._selector.modify(self._link.connection, mask)

    def _wait_seconds(self) -> float:
        return _PAUSE_SECONDS / 2 if self._paused or len(self._turns) else _TEND_SECONDS

    def _obey(self, said: ToGateway) -> None:
        if isinstance(said, Publish):
            self._publish(said.frames)
        elif isinstance(said, Answer):
            self._answer(said)
        elif isinstance(said, Setup):
            self._setup = said
            together = _TOGETHER * said.requests_per_second
            self._pace = Allowance(together, together)
        elif isinstance(said, Allow):
            self._allowed = said.names
            for client in list(self._clients.values()):
                mechanism = client.mechanism
                if isinstance(mechanism, Curve) and client.ready and mechanism.client_key not in said.names:
                    self._drop(client)
            self._accept_again()
        elif isinstance(said, End):
            self._end_by = time.monotonic() + said.linger_seconds

    def _publish(self, frames: list[bytes]) -> None:
        message = Outgoing(frames)
        limit = 1 if self._crowded else self._setup.send_queue_messages
        for client in list(self._clients.values()):
            if client.role is not Role.EVENTS or not client.wants(frames[0]):
                continue
            if client.queued >= limit:
                self._send(client)
                if client.queued >= limit:
                    continue  # the client sees the gap in the numbers and asks the history
            client.queue(message)
            self._to_send[client.number] = client

    def _send_all(self) -> None:
        """Send the published messages of a burst together."""
        while self._to_send:
            _, client = self._to_send.popitem()
            if client.number in self._clients:
                self._send(client)

    def _answer(self, said: Answer) -> None:
        self._asked.discard(said.client)
        client = self._clients.get(said.client)
        if client is not None:
            client.asked = False
            client.queue(Outgoing(said.frames))
            self._send(client)

    def _accept(self, role: Role) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                connection, address = self._listeners[role].accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._accept_none(_FULL_SECONDS)
                return
            if len(self._clients) >= self._setup.max_connections:
                self._make_room()
            self._admit(connection, str(address[0]), role)

    def _accept_again(self) -> None:
        if not self._accepting:
            self._accepting = True
            for role, listener in self._listeners.items():
                self._selector.register(listener, selectors.EVENT_READ, role)

    def _accept_none(self, seconds: float) -> None:
        self._accepting = False
        self._accept_at = time.monotonic() + seconds
        for listener in self._listeners.values():
            self._selector.unregister(listener)

    def _admit(self, connection: socket.socket, peer: str, role: Role) -> None:
        with suppress(OSError):  # the client is gone already
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE:
                if hasattr(socket, name):
                    connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._number += 1
        client = Client(self._number, connection, peer, role, self._mechanism())
        self._clients[client.number] = client
        self._send(client)

    def _mechanism(self) -> Mechanism:
        if not self._setup.public:
            return Null()
        return Curve(self._setup.public, self._setup.secret, self._allowed)

    def _make_room(self) -> None:
        """Drop a connection of the peer with most of them: one with an unfinished handshake, or the longest silent."""
        counts = Counter(client.peer for client in self._clients.values())
        peer, _ = counts.most_common(1)[0]
        own = (client for client in self._clients.values() if client.peer == peer)
        self._refuse(min(own, key=lambda client: (client.ready, client.heard)), _TOO_MANY)

    def _serve(self, client: Client, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and not self._read(client):
                return
            if events & selectors.EVENT_READ or client.has_more:
                self._take_messages(client)
        except ProtocolError as error:
            self._refuse(client, str(error))
        else:
            self._send(client)

    def _read(self, client: Client) -> bool:
        """Read from the client, and return False if it is gone."""
        try:
            count = client.read()
        except BlockingIOError:
            return True
        except OSError:
            count = 0
        if count == READ_BYTES:
            client.resume_at = time.monotonic() + _PAUSE_SECONDS
        if not count:
            if client.greeted and not client.ready:
                self._note(client, _BROKE_OFF)
            self._drop(client)
        return bool(count)

    def _take_messages(self, client: Client) -> None:
        for frames in client.messages(_FRAMES_AT_ONCE):
            if self._allowance(client).take():
                client.requests.append(frames)
            else:
                self._dropped += 1

    def _allowance(self, client: Client) -> Allowance:
        if client.number not in self._allowances:
            rate = self._setup.requests_per_second
            self._allowances[client.number] = Allowance(rate, 2 * rate)
        return self._allowances[client.number]

    def _ask(self) -> None:
        """Pass on the requests whose turn it is."""
        while len(self._asked) < _ASKED_AT_ONCE and len(self._turns) and self._pace.take():
            number = self._turns.next()
            client = self._clients.get(number or 0)
            if client is None or client.asked or not client.requests:
                continue
            client.asked = True
            self._asked.add(client.number)
            self._link.send(Request(client.number, client.requests.popleft()))
            self._watch(client)

    def _send(self, client: Client) -> None:
        """Send as much as the client accepts now, and decide what to wait for next."""
        try:
            client.flush()
        except OSError:
            self._drop(client)
            return
        if client.requests and not client.asked and not client.unsent:
            self._turns.add(client.peer, client.number)
        self._watch(client)

    def _watch(self, client: Client) -> None:
        """Register the events that the client may cause next."""
        mask = selectors.EVENT_WRITE if client.unsent else 0
        if client.resume_at > time.monotonic() or client.has_more:
            self._paused.add(client.number)
        elif len(client.requests) < _REQUESTS_WAITING:
            mask |= selectors.EVENT_READ
        if mask == client.mask:
            return
        if not mask:
            self._selector.unregister(client.connection)
        elif not client.mask:
            self._selector.register(client.connection, mask, client.number)
        else:
            self._selector.modify(client.connection, mask, client.number)
        client.mask = mask

    def _resume(self, now: float) -> None:
        """Read again from clients whose pause is over."""
        for number in list(self._paused):
            client = self._clients.get(number)
            if client is None:
                self._paused.discard(number)
            elif client.resume_at <= now and len(client.requests) < _REQUESTS_WAITING:
                self._paused.discard(number)
                self._serve(client, 0)

    def _tend(self, now: float) -> None:
        answers = 0
        events = 0
        stuck: list[Client] = []
        for client in list(self._clients.values()):
            if not client.ready and now - client.began > _HANDSHAKE_SECONDS:
                self._refuse(client, NO_HANDSHAKE)
            elif client.role is Role.EVENTS:
                events += client.held_bytes
            elif client.stuck_since is not None:
                answers += client.held_bytes
                stuck.append(client)
        self._crowded = events > _EVENTS_BYTES
        stuck.sort(key=lambda client: client.stuck_since or now)
        for client in stuck:
            if answers > _ANSWERS_BYTES or now - (client.stuck_since or now) > _UNREAD_SECONDS:
                answers -= client.held_bytes
                self._unread += 1
                self._drop(client)
        if not self._accepting and now >= self._accept_at:
            self._accept_again()
        if (now >= self._next_report or self._refused) and self._link.unsent_bytes < _REPORTS_BYTES:
            self._next_report = now + _REPORT_SECONDS
            refused = {why: (count, self._refused_last[why]) for why, count in self._refused.items()}
            self._link.send(Report(len(self._clients), refused, self._dropped, self._unread))
            self._refused.clear()
            self._dropped = self._unread = 0

    def _note(self, client: Client, why: str) -> None:
        self._refused[why] += 1
        self._refused_last[why] = client.peer

    def _refuse(self, client: Client, why: str) -> None:
        self._note(client, why)
        with suppress(OSError):
            client.flush()  # tells a client whose key is not allowed
        self._drop(client)

    def _drop(self, client: Client) -> None:
        if self._clients.pop(client.number, None) is not None:
            if client.mask:
                self._selector.unregister(client.connection)
            client.connection.close()
            self._allowances.pop(client.number, None)
            self._paused.discard(client.number)

    def _unsent(self) -> bool:
        return any(client.unsent for client in self._clients.values())
