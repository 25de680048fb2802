"""One client's connection, within limits: its handshake, its requests, and the messages queued for it."""

import re
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum

from stream.feed.gateway.fairness import Allowance
from stream.feed.gateway.zmtp import (
    GREETING_BYTES,
    HANDSHAKE_BYTES,
    Frame,
    FrameReader,
    Mechanism,
    NotAllowedError,
    ProtocolError,
    check_greeting,
    command,
    greeting,
    parts,
    split_command,
    wire,
)
from stream.feed.protocol import REQUEST_BYTES

READ_BYTES = 4096  # per read
_OPENING_BYTES = 11  # of our greeting, sent at once; the rest follows the client's greeting
_SEND_BYTES = 64 * 1024  # small messages sent together
MAX_PARTS = 8  # frames of a request; ours have one or two
SUBSCRIPTIONS_AT_ONCE = 100  # after that, ten per second
_SUBSCRIPTIONS_PER_SECOND = 10.0
_CONTEXT_BYTES = 16  # of a PING, by RFC 37
# Prefixes of published topics; other subscriptions match nothing and are not kept.
_SUBSCRIPTION = re.compile(rb"|hb?|ev?|ev\.[a-z0-9.-]{0,98}")


class Role(Enum):
    """The purpose of a port, with its socket type and those of its clients."""

    EVENTS = (b"PUB", (b"SUB", b"XSUB"))
    HISTORY = (b"ROUTER", (b"REQ", b"DEALER", b"ROUTER"))

    def __init__(self, own: bytes, others: tuple[bytes, ...]) -> None:
        self.own = own
        self.others = others


class Outgoing:
    """One message to be sent; its bytes are made once for all clients that share them."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._frames = parts(frames)
        self._plain: bytes | None = None
        self.size = sum(map(len, frames))

    def sealed(self, mechanism: Mechanism) -> bytes:
        """Return the bytes for a client of `mechanism`."""
        if mechanism.overhead_bytes:
            return mechanism.seal(self._frames)
        if self._plain is None:
            self._plain = mechanism.seal(self._frames)
        return self._plain


class Client:
    """One connection; it opens nothing and never waits.

    Args:
        number: identifies the connection in this process.
        connection: the accepted socket, non-blocking.
        peer: the client's address or, once its key is known, the key's name; for fairness and the log.
        role: the port that it connected to.
        mechanism: how the connection is secured.

    Attributes:
        ready: whether the handshake is done.
        requests: complete requests that wait, oldest first.
        prefixes: topic prefixes that it subscribed to.
        began: when it connected, in monotonic seconds.
        heard: when it last sent something, in monotonic seconds.
        stuck_since: when it last received something while more waited; None while nothing waits.
        asked: whether an answer to it is being prepared.
        resume_at: it is not read before this time, in monotonic seconds.
        greeted: whether its greeting came.
        has_more: whether complete frames wait that `messages` did not take.
        mask: the `selectors` events that the server waits for; set by the server.
    """

    def __init__(self, number: int, connection: socket.socket, peer: str, role: Role, mechanism: Mechanism) -> None:
        self.number = number
        self.connection = connection
        self.peer = peer
        self.role = role
        self.mechanism = mechanism
        self.ready = False
        self.requests: deque[list[bytes]] = deque()
        self.prefixes: tuple[bytes, ...] = ()
        self.began = self.heard = time.monotonic()
        self.stuck_since: float | None = None
        self.asked = False
        self.resume_at = 0.0
        self.greeted = False
        self.has_more = False
        self.mask = 0
        self._reader = FrameReader()
        self._parts: list[bytes] = []
        self._subscribing = Allowance(_SUBSCRIPTIONS_PER_SECOND, SUBSCRIPTIONS_AT_ONCE)
        self._queue: deque[Outgoing] = deque()
        self._queued_bytes = 0
        self._pong: bytes | None = None
        self._greeting = greeting(mechanism.name)
        self._unsent = memoryview(self._greeting[:_OPENING_BYTES])

    def read(self) -> int:
        """Read at most 4096 bytes.

        Returns:
            how many bytes were read; 0 if the client hung up.

        Raises:
            OSError: the connection is broken.
        """
        data = self.connection.recv(READ_BYTES)
        self._reader.feed(data)
        self.heard = time.monotonic()
        return len(data)

    def messages(self, most: int) -> Iterator[list[bytes]]:
        """Yield the complete messages among the next `most` frames; handle handshake, heartbeats and subscriptions.

        Raises:
            ProtocolError: the client broke a rule.
        """
        self.has_more = False
        if not self.greeted and not self._read_greeting():
            return
        for _ in range(most):
            limit_bytes = REQUEST_BYTES + self.mechanism.overhead_bytes if self.ready else HANDSHAKE_BYTES
            frame = self._reader.next(limit_bytes)
            if frame is None:
                return
            if not self.ready:
                self._handshake(frame)
                continue
            frame = self.mechanism.open(frame)
            if frame.command:
                self._obey(frame.body)
            elif self.role is Role.EVENTS:
                self._subscribe_by_message(frame)
            else:
                yield from self._collect(frame)
        self.has_more = True

    def wants(self, topic: bytes) -> bool:
        """Return whether it subscribed to `topic`."""
        return topic.startswith(self.prefixes)

    @property
    def queued(self) -> int:
        """Number of messages that wait to be sent."""
        return len(self._queue)

    @property
    def held_bytes(self) -> int:
        """Bytes of memory held by the messages that wait to be sent."""
        return self._queued_bytes + len(self._unsent)

    @property
    def unsent(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self._unsent or self._queue or self._pong is not None)

    def queue(self, message: Outgoing) -> None:
        """Append `message` to those that wait to be sent."""
        self._queue.append(message)
        self._queued_bytes += message.size

    def flush(self) -> None:
        """Send as much as the connection accepts now.

        Raises:
            OSError: the connection is broken.
        """
        while self._unsent or self._load():
            try:
                sent = self.connection.send(self._unsent)
            except BlockingIOError:
                break
            self._unsent = self._unsent[sent:]
            self.stuck_since = None
        if not self.unsent:
            self.stuck_since = None
        elif self.stuck_since is None:
            self.stuck_since = time.monotonic()

    def tell_not_allowed(self) -> None:
        """Queue the handshake's refusal of a key, as a ZeroMQ publisher sends it."""
        self._unsent = memoryview(bytes(self._unsent) + wire(Frame(command(b"ERROR", b"\x03400"), command=True)))

    def _load(self) -> bool:
        if not self.ready:
            return False
        loaded = []
        size = 0
        if self._pong is not None:
            body, self._pong = command(b"PONG", self._pong), None
            loaded.append(self.mechanism.seal([Frame(body, command=True)]))
        while self._queue and size < _SEND_BYTES:
            message = self._queue.popleft()
            self._queued_bytes -= message.size
            size += message.size
            loaded.append(message.sealed(self.mechanism))
        self._unsent = memoryview(loaded[0] if len(loaded) == 1 else b"".join(loaded))
        return bool(loaded)

    def _read_greeting(self) -> bool:
        data = self._reader.take(GREETING_BYTES)
        if data is None:
            return False
        self._unsent = memoryview(bytes(self._unsent) + self._greeting[_OPENING_BYTES:])
        check_greeting(data, self.mechanism.name)
        self.greeted = True
        return True

    def _handshake(self, frame: Frame) -> None:
        try:
            reply = self.mechanism.handshake(frame.body, self.role.own)
        except NotAllowedError:
            self.tell_not_allowed()
            raise
        self._unsent = memoryview(bytes(self._unsent) + reply)
        metadata = self.mechanism.metadata
        if metadata is None:
            return
        if metadata.get(b"socket-type") not in self.role.others:
            raise ProtocolError("it has the wrong type of socket for this port")
        self.peer = self.mechanism.client or self.peer
        self.ready = True

    def _obey(self, body: bytes) -> None:
        name, data = split_command(body)
        if name == b"PING":
            self._pong = data[2 : 2 + _CONTEXT_BYTES]  # a second PING replaces one that was not answered yet
        elif name == b"SUBSCRIBE":
            self._subscribe(data, wanted=True)
        elif name == b"CANCEL":
            self._subscribe(data, wanted=False)
        elif name == b"ERROR":
            raise ProtocolError("it gave up with an error")

    def _subscribe_by_message(self, frame: Frame) -> None:
        if frame.more or not frame.body or frame.body[0] > 1:
            raise ProtocolError("it sent messages to a publisher of events")
        self._subscribe(frame.body[1:], wanted=frame.body[0] == 1)

    def _subscribe(self, topic: bytes, *, wanted: bool) -> None:
        if self.role is not Role.EVENTS or not self._subscribing.take():
            raise ProtocolError(f"it subscribed more than {SUBSCRIPTIONS_AT_ONCE} times at once")
        others = tuple(prefix for prefix in self.prefixes if prefix != topic)
        if wanted and _SUBSCRIPTION.fullmatch(topic):
            if len(others) >= SUBSCRIPTIONS_AT_ONCE:
                raise ProtocolError(f"it subscribed to more than {SUBSCRIPTIONS_AT_ONCE} topics")
            others = (*others, topic)
        self.prefixes = others

    def _collect(self, frame: Frame) -> Iterator[list[bytes]]:
        self._parts.append(frame.body)
        if len(self._parts) > MAX_PARTS or sum(map(len, self._parts)) > REQUEST_BYTES:
            raise ProtocolError("it sent a request of too many parts")
        if not frame.more:
            message, self._parts = self._parts, []
            yield message
