"""Messages between the publisher and its gateway, over a socket pair."""

import socket

import msgspec

_CHUNK_BYTES = 256 * 1024
_HEAD_BYTES = 4  # length of the message that follows


class _Said(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Setup(_Said, frozen=True):
    """First message to the gateway: its settings.

    Attributes:
        public: the server's public key, 32 bytes; empty without keys.
        secret: its secret key.
        requests_per_second: requests that one client may send on average.
        send_queue_messages: messages that may wait for one slow subscriber.
        max_connections: open connections on both ports together.
    """

    public: bytes
    secret: bytes
    requests_per_second: float
    send_queue_messages: int
    max_connections: int


class Allow(_Said, frozen=True):
    """To the gateway: names of the clients that may connect, by public key; all other connections end."""

    names: dict[bytes, str]


class Publish(_Said, frozen=True):
    """To the gateway: a message for every subscriber of its topic."""

    frames: list[bytes]


class Answer(_Said, frozen=True):
    """To the gateway: the answer to a request."""

    client: int
    frames: list[bytes]


class End(_Said, frozen=True):
    """To the gateway: send the waiting messages within this time, and end."""

    linger_seconds: float


class Request(_Said, frozen=True):
    """From the gateway: a client's request to the history; it needs exactly one answer."""

    client: int
    frames: list[bytes]


class Report(_Said, frozen=True):
    """From the gateway, once a second and soon after a refusal: a sign of life, and counts since the last report.

    Attributes:
        connections: open connections.
        refused: for each reason to end a connection, how often, and the last such peer.
        dropped: requests without an answer because they came too often.
        unread: answers dropped because their client does not read.
    """

    connections: int
    refused: dict[str, tuple[int, str]]
    dropped: int
    unread: int


ToGateway = Setup | Allow | Publish | Answer | End
FromGateway = Request | Report

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[ToGateway | FromGateway] = msgspec.msgpack.Decoder(ToGateway | FromGateway)


class Link:
    """One end of the socket pair; never waits.

    Raises:
        ConnectionError: from `flush` and `receive`: the other end is gone.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(0)
        self._received = bytearray()
        self._unsent = bytearray()

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the other end has not taken yet."""
        return len(self._unsent)

    def send(self, said: ToGateway | FromGateway) -> None:
        """Queue one message; `flush` sends it."""
        body = _encoder.encode(said)
        self._unsent += len(body).to_bytes(_HEAD_BYTES, "big") + body

    def flush(self) -> None:
        """Send as much as the other end accepts now."""
        while self._unsent:
            try:
                sent = self.connection.send(memoryview(self._unsent)[:_CHUNK_BYTES])
            except BlockingIOError:
                return
            del self._unsent[:sent]

    def receive(self) -> list[ToGateway | FromGateway]:
        """Return the messages completed by the next 256 kB at most."""
        try:
            data = self.connection.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise ConnectionResetError("the other end of the link is closed")
        self._received += data
        said: list[ToGateway | FromGateway] = []
        at = 0
        while len(self._received) - at >= _HEAD_BYTES:
            begin = at + _HEAD_BYTES
            end = begin + int.from_bytes(self._received[at:begin], "big")
            if end > len(self._received):
                break
            said.append(_decoder.decode(bytes(self._received[begin:end])))
            at = end
        del self._received[:at]
        return said
