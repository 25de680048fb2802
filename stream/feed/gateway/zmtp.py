"""The parts of ZMTP 3.1 (ZeroMQ RFC 37) that a publisher needs: greeting, frames, commands, NULL. No sockets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

GREETING_BYTES = 64
_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
_VERSION = b"\x03\x01"
_MORE, _LARGE, _COMMAND = 1, 2, 4
HANDSHAKE_BYTES = 1024  # largest frame of a handshake; those of libzmq have at most 600


class ProtocolError(Exception):
    """A client broke the protocol, so its connection ends; the text is for the log."""


class NotAllowedError(ProtocolError):
    """The client's key has no access; the client is told so."""


class Frame(NamedTuple):
    """One frame: a part of a message, or a command."""

    body: bytes
    more: bool = False
    command: bool = False


class Mechanism(Protocol):
    """The security of a connection, server side."""

    name: bytes
    overhead_bytes: int
    metadata: Mapping[bytes, bytes] | None
    """The client's metadata; None until the handshake is done."""
    client: str
    """Name of the client's key; empty without keys."""

    def handshake(self, body: bytes, socket_type: bytes) -> bytes:
        """Return the bytes that answer a command of the handshake."""

    def open(self, frame: Frame) -> Frame:
        """Return the frame inside a received one."""

    def seal(self, frames: Sequence[Frame]) -> bytes:
        """Return `frames` as bytes to send."""


class FrameReader:
    """Split a client's bytes into frames; hold at most one frame and one read."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def take(self, count: int) -> bytes | None:
        """Return the next `count` bytes, or None if they have not come yet."""
        if len(self._buffer) < count:
            return None
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def next(self, limit_bytes: int) -> Frame | None:
        """Return the next frame, or None if it has not come yet.

        Raises:
            ProtocolError: the bytes are not a frame, or announce one larger than `limit_bytes`.
        """
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        flags = buffer[0]
        if flags & ~(_MORE | _LARGE | _COMMAND) or flags & (_MORE | _COMMAND) == _MORE | _COMMAND:
            raise ProtocolError("it sent bytes that are no ZeroMQ frame")
        head = 9 if flags & _LARGE else 2
        if len(buffer) < head:
            return None
        size = int.from_bytes(buffer[1:head], "big")
        if size > limit_bytes:
            raise ProtocolError("it sent a larger frame than a request may be")
        if len(buffer) < head + size:
            return None
        body = bytes(buffer[head : head + size])
        del buffer[: head + size]
        return Frame(body, bool(flags & _MORE), bool(flags & _COMMAND))


class Null:
    """No security: every program that reaches the port may connect."""

    name = b"NULL"
    overhead_bytes = 0

    def __init__(self) -> None:
        self.metadata: Mapping[bytes, bytes] | None = None
        self.client = ""

    def handshake(self, body: bytes, socket_type: bytes) -> bytes:
        """Return our READY in answer to the client's."""
        name, data = split_command(body)
        if name != b"READY":
            raise ProtocolError("it broke the rules of the handshake")
        self.metadata = parse_metadata(data)
        return wire(Frame(command(b"READY", own_metadata(socket_type)), command=True))

    def open(self, frame: Frame) -> Frame:
        """Return `frame` itself: nothing is encrypted."""
        return frame

    def seal(self, frames: Sequence[Frame]) -> bytes:
        """Return `frames` as bytes to send."""
        return b"".join(map(wire, frames))


def greeting(mechanism: bytes) -> bytes:
    """Return the greeting of a server: the first 64 bytes of a connection."""
    as_server = bytes([mechanism != b"NULL"])
    return (_SIGNATURE + _VERSION + mechanism.ljust(20, b"\0") + as_server).ljust(GREETING_BYTES, b"\0")


def check_greeting(data: bytes, mechanism: bytes) -> None:
    """Check the client's first 64 bytes.

    Raises:
        ProtocolError: not a ZeroMQ client of version 3, or one with another security mechanism.
    """
    if data[0] != 0xFF or not data[9] & 1 or data[10] < _VERSION[0] or data[12:32].rstrip(b"\0") != mechanism:
        raise ProtocolError(NO_HANDSHAKE)


NO_HANDSHAKE = "it uses no key, another server's key, or is no ZeroMQ client"


def wire(frame: Frame) -> bytes:
    """Return one frame as bytes."""
    size = len(frame.body)
    flags = (_MORE if frame.more else 0) | (_COMMAND if frame.command else 0)
    if size > 255:
        return bytes([flags | _LARGE]) + size.to_bytes(8, "big") + frame.body
    return bytes([flags, size]) + frame.body


def parts(frames: Sequence[bytes]) -> list[Frame]:
    """Return the frames of one message."""
    return [Frame(body, more=number < len(frames) - 1) for number, body in enumerate(frames)]


def command(name: bytes, data: bytes) -> bytes:
    """Return the body of a command."""
    return bytes([len(name)]) + name + data


def split_command(body: bytes) -> tuple[bytes, bytes]:
    """Return a command's name and data.

    Raises:
        ProtocolError: it has no name.
    """
    if not body or len(body) < 1 + body[0]:
        raise ProtocolError("it sent a command without a name")
    return body[1 : 1 + body[0]], body[1 + body[0] :]


def own_metadata(socket_type: bytes) -> bytes:
    """Return the server's metadata."""
    name = b"Socket-Type"
    return bytes([len(name)]) + name + len(socket_type).to_bytes(4, "big") + socket_type


def parse_metadata(data: bytes) -> dict[bytes, bytes]:
    """Return the properties of a handshake, their names in lower case.

    Raises:
        ProtocolError: the properties are cut short.
    """
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        value_at = name_end + 4
        end = value_at + int.from_bytes(data[name_end:value_at], "big")
        if end > len(data) or value_at > len(data):
            raise ProtocolError("it broke the rules of the handshake")
        found[data[at + 1 : name_end].lower()] = data[value_at:end]
        at = end
    return found
