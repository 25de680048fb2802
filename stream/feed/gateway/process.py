"""The publisher's side of the gateway: start its process, read its reports, replace it when it ends."""

import errno
import logging
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import IO

from zmq.utils import z85

import stream
from stream.capture.live.backoff import Backoff
from stream.errors import FeedError
from stream.feed.gateway.client import Role
from stream.feed.gateway.link import Allow, Answer, End, FromGateway, Link, Publish, Request, Setup, ToGateway
from stream.feed.keys import AllowList, ServerKeys, read_server_keys
from stream.feed.options import FeedOptions
from stream.feed.protocol import Endpoint

_LOG = logging.getLogger("stream.feed")
_BACKLOG = 128
_RECEIVE_BYTES = 16 * 1024  # receive buffer of one connection: a few requests
_SEND_BYTES = 256 * 1024  # send buffer: one page of history
_BIND_SECONDS = 1.0  # the gateway of a killed publisher ends only when its link breaks
_LINGER_SECONDS = 0.5
_LOG_SECONDS = 10.0
_SILENT_SECONDS = 10.0  # without a report; one is due each second
_UNSENT_BYTES = 32 * 2**20  # not yet taken by the gateway; beyond it, subscribers use the history
_STEADY_SECONDS = 10.0
_START = "import sys; sys.path.append({root!r}); from stream.feed.gateway.worker import main; main()"


class Refusals:
    """Count refused connections by reason, and log each reason once in ten seconds at most."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.counts: Counter[str] = Counter()
        self._logged: dict[str, float] = {}

    def add(self, who: str, why: str, times: int = 1) -> None:
        """Count refused connections.

        Args:
            who: the last peer that was refused.
            why: the reason.
            times: how many connections were refused.
        """
        self.counts[why] += times
        now = time.monotonic()
        if now - self._logged.get(why, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged[why] = now
            _LOG.warning("%s: refused %s: %s (%d times so far)", self._where, who, why, self.counts[why])


class Gateway:
    """The ports of one publisher, and the process that serves them; used in the publisher's thread.

    The ports stay open in this process, so that clients that connect while the gateway is replaced only wait. They
    fetch messages published meanwhile from the history: numbers and journal belong to the publisher.

    Attributes:
        selector: wakes when the gateway has sent something; further sockets may be registered.
        refusals: refused connections by reason.
        connections: open connections, as last reported.
        dropped: requests without an answer because they came too often.
        unread: answers dropped because their client does not read.
        restarts: how often the gateway was replaced.

    Raises:
        FeedError: the address is taken or not this machine's, or the keys cannot be read.
    """

    def __init__(self, endpoint: Endpoint, options: FeedOptions, *, thread: bool = os.name == "nt") -> None:
        self._endpoint = endpoint
        self._options = options
        self._in_thread = thread  # for systems where sockets cannot be inherited
        self._server: ServerKeys | None = read_server_keys(options.keys) if options.keys else None
        self._allowed: AllowList | None = AllowList(options.keys) if options.keys else None
        self._complaint = ""  # the last error of reading the keys: logged once, not at every heartbeat
        self.refusals = Refusals(endpoint.events)
        self.selector = selectors.DefaultSelector()
        self.connections = self.dropped = self.unread = self.restarts = 0
        self._requests: deque[Request] = deque()
        self._backoff = Backoff(0.1, 5.0)
        self._life: _Life | None = None
        self._start_at = 0.0
        if self._server is None and not endpoint.loopback:
            _LOG.warning("%s: open to everyone who reaches it: no keys", endpoint.events)
        self._listeners: dict[Role, socket.socket] = {}
        try:
            for role, port in ((Role.EVENTS, endpoint.port), (Role.HISTORY, endpoint.port + 1)):
                self._listeners[role] = _listen(endpoint, port)
            self._start()
        except BaseException:
            self.close()
            raise

    def publish(self, frames: list[bytes]) -> None:
        """Send to every subscriber; one that is too slow misses the message and asks the history."""
        if self._life is not None and self._life.link.unsent_bytes < _UNSENT_BYTES:
            self._say(Publish(frames))

    def requests(self, most: int) -> list[Request]:
        """Return up to `most` waiting requests; each must be answered."""
        return [self._requests.popleft() for _ in range(min(most, len(self._requests)))]

    @property
    def pid(self) -> int | None:
        """Id of the process that serves now; None while it is replaced, and where a thread serves."""
        life = self._life  # asked from other threads
        return life.pid if life is not None else None

    @property
    def has_requests(self) -> bool:
        """Whether requests wait."""
        return bool(self._requests)

    def answer(self, request: Request, frames: list[bytes]) -> None:
        """Answer a request."""
        self._say(Answer(request.client, frames))

    def step(self) -> None:
        """Exchange messages with the gateway, and replace it if it has ended; never wait."""
        if self._life is not None:
            try:
                for said in self._life.link.receive():
                    self._hear(self._life, said)  # type: ignore[arg-type]
                self._life.link.flush()
            except ConnectionError:
                self._lose("ended")
        life, now = self._life, time.monotonic()
        if life is None:
            if now >= self._start_at:
                self._start()
        elif now - life.heard > _SILENT_SECONDS:
            self._lose(f"said nothing for {_SILENT_SECONDS:g} s")
        else:
            self._watch(life)

    @property
    def due(self) -> float:
        """The latest time for the next call of `step`, in monotonic seconds."""
        return self._start_at if self._life is None else self._life.heard + _SILENT_SECONDS + 0.1

    def refresh_allowed(self) -> None:
        """Read the allowed keys again; clients that lost access are disconnected at once."""
        if self._allowed is None:
            return
        before = self._allowed.names
        try:
            gone = self._allowed.refresh()
        except FeedError as error:
            if str(error) != self._complaint:
                _LOG.warning("%s. Who may connect stays as it was", error)
            self._complaint = str(error)
            return
        self._complaint = ""
        if gone:
            _LOG.warning("access taken away: %s", ", ".join(sorted(gone)))
        if self._allowed.names != before:
            self._say(Allow(self._names()))

    def close(self) -> None:
        """Close everything; messages in flight get half a second."""
        if self._life is not None:
            self._say(End(_LINGER_SECONDS))
            if self._life is not None:
                self.selector.unregister(self._life.link.connection)
                self._life.end(2 * _LINGER_SECONDS)
                self._life = None
        for listener in self._listeners.values():
            listener.close()
        self.selector.close()

    def _say(self, said: ToGateway) -> None:
        life = self._life
        if life is None:
            return
        life.link.send(said)
        try:
            life.link.flush()
        except ConnectionError:
            self._lose("ended")
        else:
            self._watch(life)

    def _watch(self, life: "_Life") -> None:
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if life.link.unsent_bytes else 0)
        if mask != life.mask:
            self.selector.modify(life.link.connection, mask)
            life.mask = mask

    def _hear(self, life: "_Life", said: FromGateway) -> None:
        life.heard = time.monotonic()
        if isinstance(said, Request):
            self._requests.append(said)
            return
        self.connections = said.connections
        self.dropped += said.dropped
        self.unread += said.unread
        for why, (count, who) in said.refused.items():
            self.refusals.add(f"a client from {who}", why, count)
        if life.heard - life.began > _STEADY_SECONDS:
            self._backoff.reset()

    def _start(self) -> None:
        options, server = self._options, self._server
        try:
            self._life = _Life(self._listeners, in_thread=self._in_thread)
        except OSError as error:
            self._start_at = time.monotonic() + self._backoff.next_wait()
            _LOG.error("%s: nobody is served now: no process can be started: %s", self._endpoint.events, error.strerror)
            return
        self.selector.register(self._life.link.connection, selectors.EVENT_READ)
        public, secret = (z85.decode(server.public), z85.decode(server.secret)) if server else (b"", b"")
        self._say(
            Setup(public, secret, options.requests_per_second, options.send_queue_messages, options.max_connections)
        )
        self._say(Allow(self._names()))

    def _names(self) -> dict[bytes, str]:
        return {z85.decode(public): name for public, name in (self._allowed.names if self._allowed else {}).items()}

    def _lose(self, how: str) -> None:
        """Give up this gateway, so that another is started."""
        if self._life is None:
            return
        self.selector.unregister(self._life.link.connection)
        why = self._life.end(0.0)
        self._life = None
        self._requests.clear()  # their connections ended with the gateway
        self.restarts += 1
        wait = self._backoff.next_wait()
        self._start_at = time.monotonic() + wait
        _LOG.error(
            "%s: the process that serves subscribers %s (%s); a new one starts, and they fetch what they missed",
            self._endpoint.events,
            how,
            why,
        )


class _Life:
    """One process, or thread, that serves the ports."""

    def __init__(self, listeners: dict[Role, socket.socket], *, in_thread: bool) -> None:
        self.began = self.heard = time.monotonic()
        self.mask = selectors.EVENT_READ
        ours, theirs = socket.socketpair()
        self.link = Link(ours)
        self._output: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        if in_thread:
            from stream.feed.gateway.worker import serve  # noqa: PLC0415 - only where there is no process

            sockets = {role: listener.dup() for role, listener in listeners.items()}
            self._thread = threading.Thread(target=serve, args=(theirs, sockets), name="feed gateway", daemon=True)
            self._thread.start()
            return
        inherited = [theirs.fileno(), *(listener.fileno() for listener in listeners.values())]
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - its complaints; closed in `end`
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START.format(root=str(_root())), *map(str, inherited)],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                process_group=0,  # Ctrl-C reaches only the program, which then ends this process
            )
        except BaseException:
            ours.close()
            self._output.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int | None:
        """Id of the process; None for a thread."""
        return self._process.pid if self._process is not None else None

    def end(self, limit_seconds: float) -> str:
        """Let the process end within the limit, or kill it, and return how it ended."""
        said = "a thread"
        with suppress(ConnectionError):
            self._finish(limit_seconds)
        self.link.connection.close()
        if self._thread is not None:
            self._thread.join(limit_seconds + 1.0)
        if self._process is not None:
            try:
                self._process.wait(limit_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
            said = f"exit status {self._process.wait()}"
        if self._output is not None:
            self._output.seek(0)
            words = self._output.read().decode(errors="replace").strip().splitlines()
            self._output.close()
            if words:
                said += f", {words[-1][:200]}"
        return said

    def _finish(self, limit_seconds: float) -> None:
        """Wait until the other end has taken the waiting messages."""
        deadline = time.monotonic() + limit_seconds
        while self.link.unsent_bytes and time.monotonic() < deadline:
            time.sleep(0.005)
            self.link.flush()


def check_exposure(endpoint: Endpoint, *, keys: Path | None, insecure: bool) -> None:
    """Raise FeedError if other machines could reach this endpoint without keys.

    Raises:
        FeedError: other machines could, and `insecure` is not set.
    """
    if keys is None and not insecure and not endpoint.loopback:
        raise FeedError(
            f"feed endpoint {endpoint.events}: other machines could reach it, and there are no keys. Make some "
            "(lightning-detector keys server --keys DIR) and give --keys DIR, or say --insecure to publish to everyone"
        )


def _listen(endpoint: Endpoint, port: int) -> socket.socket:
    deadline = time.monotonic() + _BIND_SECONDS
    address = f"tcp://{endpoint.host}:{port}"
    while True:
        try:
            return _bound(endpoint.host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise FeedError(
                    f"feed endpoint {address}: cannot publish here: {error.strerror or error}; "
                    "name an address of this machine"
                ) from error
            if time.monotonic() > deadline:
                raise FeedError(
                    f"feed endpoint {address}: the port is in use by another program; stop that one, "
                    "or choose another port with --publish (history takes the port one up)"
                ) from error
            time.sleep(0.05)


def _bound(host: str, port: int) -> socket.socket:
    plain = host.strip("[]")
    name = None if plain in {"*", "lo"} else plain
    family, _, _, _, address = socket.getaddrinfo(
        "127.0.0.1" if plain == "lo" else name,
        port,
        family=socket.AF_INET6 if host.startswith("[") else socket.AF_INET,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    listener = socket.socket(family)
    try:
        if os.name != "nt":  # on Windows it would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Bound the system's buffers, too; accepted connections inherit both.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _root() -> Path:
    """Return the folder that holds the package `stream`."""
    return Path(stream.__path__[0]).parent
