"""The publisher's sockets: PUB and ROUTER, who may connect, and a count of refused connections."""

import logging
import time
from collections import Counter
from pathlib import Path
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from stream.errors import FeedError
from stream.feed.keys import AllowList, ServerKeys, read_server_keys
from stream.feed.protocol import REQUEST_BYTES, Endpoint

_LOG = logging.getLogger("stream.feed")
_LINGER_MS = 500
_BIND_SECONDS = 0.3  # a publisher that was just killed
_REBIND_SECONDS = 5.0  # libzmq frees our own closed port in the background
_REPLIES_WAITING = 4  # pages that wait for one client that does not read; then it gets none
_REQUESTS_WAITING = 50
_LOG_SECONDS = 10.0
_KEEPALIVE_IDLE_SECONDS = 10  # a client whose cable was pulled is forgotten after 10 + 3 * 5 s
_KEEPALIVE_INTERVAL_SECONDS = 5
_KEEPALIVE_PROBES = 3
_CONNECTIONS_PER_STEP = 50  # then events come first again
_REFUSALS = {
    int(zmq.Event.HANDSHAKE_FAILED_PROTOCOL): "it uses no key, another server's key, or is no ZeroMQ client",
    int(zmq.Event.HANDSHAKE_FAILED_NO_DETAIL): "it broke off while connecting",
}


class Refusals:
    """Count refused connections by reason, and log each reason once in ten seconds at most."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.counts: Counter[str] = Counter()
        self._logged: dict[str, float] = {}

    def add(self, who: str, why: str) -> None:
        """Count one refused connection."""
        self.counts[why] += 1
        now = time.monotonic()
        if now - self._logged.get(why, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged[why] = now
            _LOG.warning("%s: refused %s: %s (%d times so far)", self._where, who, why, self.counts[why])


class PublisherSockets:
    """The open sockets of one publisher; made, used and closed in one thread.

    Raises:
        FeedError: the address is taken, not this machine's, or open to others without keys.
    """

    def __init__(self, endpoint: Endpoint, *, keys: Path | None, send_queue_messages: int) -> None:
        self._endpoint = endpoint
        self._send_queue_messages = send_queue_messages
        self._server: ServerKeys | None = read_server_keys(keys) if keys else None
        self._allowed: AllowList | None = AllowList(keys) if keys else None
        self._complaint = ""  # why the keys could not be read the last time: logged once, not at every heartbeat
        self.refusals = Refusals(endpoint.events)
        self._context = zmq.Context()
        self.poller = zmq.Poller()
        self._zap: zmq.Socket[bytes] | None = None
        self._open: list[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]] = []
        try:
            self._bind_authenticator()
            self._bind(_BIND_SECONDS)
        except BaseException:
            self.close()
            raise

    def publish(self, frames: list[bytes]) -> None:
        """Send to every subscriber; one that is too slow misses it and asks the history."""
        self._pub.send_multipart(frames)

    def requests(self, most: int) -> list[list[bytes]]:
        """Return up to `most` waiting requests."""
        found: list[list[bytes]] = []
        while len(found) < most:
            try:
                found.append(self._router.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
        return found

    def reply(self, frames: list[bytes]) -> bool:
        """Send an answer; return False if the client is gone or does not read."""
        try:
            self._router.send_multipart(frames, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno in {zmq.EAGAIN, zmq.EHOSTUNREACH}:
                return False
            raise
        return True

    def handle_connections(self) -> None:
        """Admit or refuse new connections, and count refusals; call it whenever the poller wakes."""
        for _ in range(_CONNECTIONS_PER_STEP):
            if self._zap is None or not self._zap.poll(0):
                break
            self._zap.send_multipart(self._authenticate(self._zap.recv_multipart()))
        for _, monitor in self._open:
            for _ in range(_CONNECTIONS_PER_STEP):
                if not monitor.poll(0):
                    break
                event = parse_monitor_message(monitor.recv_multipart())
                self.refusals.add("a client", _REFUSALS[int(event["event"])])

    def refresh_allowed(self) -> None:
        """Read again who may connect; if a client lost access, drop all connections (the others reconnect)."""
        if self._allowed is None:
            return
        try:
            gone = self._allowed.refresh()
        except FeedError as error:
            if str(error) != self._complaint:
                _LOG.warning("%s. Who may connect stays as it was", error)
            self._complaint = str(error)
            return
        self._complaint = ""
        if gone:
            _LOG.warning("access taken away: %s; every connection is made anew", ", ".join(sorted(gone)))
            self._close_open(linger_ms=0)
            self._bind(_REBIND_SECONDS)

    def close(self) -> None:
        """Close everything; what is being sent gets half a second."""
        self._close_open(linger_ms=_LINGER_MS)
        if self._zap is not None:
            self._zap.close(0)
            self._zap = None
        self._context.term()

    def _bind_authenticator(self) -> None:
        if self._server is None and not self._endpoint.loopback:
            _LOG.warning("%s: open to everyone who reaches it: no keys", self._endpoint.events)
        if self._allowed is None:
            return
        self._zap = self._context.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind("inproc://zeromq.zap.01")
        self.poller.register(self._zap, zmq.POLLIN)

    def _bind(self, limit_seconds: float) -> None:
        self._pub = self._socket(zmq.PUB)
        self._router = self._socket(zmq.ROUTER)
        _bind(self._pub, self._endpoint.events, limit_seconds)
        _bind(self._router, self._endpoint.history, limit_seconds)
        self.poller.register(self._router, zmq.POLLIN)

    def _socket(self, kind: int) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        socket.linger = _LINGER_MS
        for option, value in self._options(kind).items():
            socket.setsockopt(option, value)
        if self._server is not None:
            socket.curve_server = True
            socket.curve_secretkey = self._server.secret.encode()
            socket.curve_publickey = self._server.public.encode()
        monitor = socket.get_monitor_socket(sum(_REFUSALS))
        self.poller.register(monitor, zmq.POLLIN)
        self._open.append((socket, monitor))
        return socket

    def _options(self, kind: int) -> dict[int, Any]:
        common: dict[int, Any] = {
            # No ZMTP heartbeats: libzmq 4.3.5 aborts when one is due for a client that filled its input and hung up.
            zmq.TCP_KEEPALIVE: 1,
            zmq.TCP_KEEPALIVE_IDLE: _KEEPALIVE_IDLE_SECONDS,
            zmq.TCP_KEEPALIVE_INTVL: _KEEPALIVE_INTERVAL_SECONDS,
            zmq.TCP_KEEPALIVE_CNT: _KEEPALIVE_PROBES,
            zmq.HANDSHAKE_IVL: 3000,
            zmq.IPV6: int(self._endpoint.host.startswith("[")),
        }
        if kind == zmq.PUB:
            return common | {zmq.SNDHWM: self._send_queue_messages, zmq.MAXMSGSIZE: REQUEST_BYTES}
        return common | {
            zmq.SNDHWM: _REPLIES_WAITING,
            zmq.RCVHWM: _REQUESTS_WAITING,
            zmq.MAXMSGSIZE: REQUEST_BYTES,
            zmq.ROUTER_MANDATORY: 1,
        }

    def _authenticate(self, request: list[bytes]) -> list[bytes]:
        """Return the answer to a ZAP request (ZeroMQ RFC 27): may this key connect?"""
        version, number = request[0], request[1]
        mechanism, credentials = request[5], request[6:]
        name = None
        if mechanism == b"CURVE" and len(credentials) == 1 and self._allowed is not None:
            name = self._allowed.name_of(z85.encode(credentials[0]).decode())
        if name is None:
            self.refusals.add(f"a client from {request[3].decode(errors='replace')}", "its key is not allowed")
            return [version, number, b"400", b"this key is not allowed here", b"", b""]
        return [version, number, b"200", b"OK", name.encode(), b""]

    def _close_open(self, *, linger_ms: int) -> None:
        for socket, monitor in self._open:
            socket.disable_monitor()
            for one in (monitor, socket):
                if one in self.poller:
                    self.poller.unregister(one)
            monitor.close(0)
            socket.close(linger_ms)
        self._open.clear()


def check_exposure(endpoint: Endpoint, *, keys: Path | None, insecure: bool) -> None:
    """Raise FeedError if other machines could reach this endpoint without keys.

    Raises:
        FeedError: they could, and `insecure` is not set.
    """
    if keys is None and not insecure and not endpoint.loopback:
        raise FeedError(
            f"feed endpoint {endpoint.events}: other machines could reach it, and there are no keys. Make some "
            "(lightning-detector keys server --keys DIR) and give --keys DIR, or say --insecure to publish to everyone"
        )


def _bind(socket: "zmq.Socket[bytes]", address: str, limit_seconds: float) -> None:
    deadline = time.monotonic() + limit_seconds
    while True:
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE:
                raise FeedError(
                    f"feed endpoint {address}: cannot publish here: {error}; name an address of this machine"
                ) from error
            if time.monotonic() > deadline:
                raise FeedError(
                    f"feed endpoint {address}: the port is in use by another program; stop that one, "
                    "or choose another port with --publish (history takes the port one up)"
                ) from error
            time.sleep(0.05)
        else:
            return
