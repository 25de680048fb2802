"""CurveZMQ (ZeroMQ RFC 26), server side: only clients with an allowed key connect, and all traffic is encrypted.

The cookie is random instead of encrypted state: the server keeps the state of a connection anyway, for 3 s at most
until the client has proved its key.
"""

import secrets
from collections.abc import Mapping, Sequence
from hmac import compare_digest

from nacl.bindings import (
    crypto_box,
    crypto_box_afternm,
    crypto_box_beforenm,
    crypto_box_keypair,
    crypto_box_open,
    crypto_box_open_afternm,
)
from nacl.exceptions import CryptoError

from stream.feed.gateway.zmtp import (
    NO_HANDSHAKE,
    Frame,
    NotAllowedError,
    ProtocolError,
    command,
    own_metadata,
    parse_metadata,
    split_command,
    wire,
)

_COOKIE_BYTES = 96
_HELLO_BYTES = 194  # version 2, padding 72, key 32, nonce 8, box 80
_VOUCH_AT = 32
_METADATA_AT = _VOUCH_AT + 16 + 80
_MESSAGE = b"\x07MESSAGE"
_MORE, _COMMAND = 1, 2


class Curve:
    """The keys of one connection.

    Args:
        public: the server's public key, 32 bytes.
        secret: its secret key.
        allowed: names of the clients by public key; may change while connections are open.
    """

    name = b"CURVE"
    overhead_bytes = 33

    def __init__(self, public: bytes, secret: bytes, allowed: Mapping[bytes, str]) -> None:
        self.metadata: Mapping[bytes, bytes] | None = None
        self.client = ""
        self.client_key = b""
        self._public = public
        self._secret = secret
        self._allowed = allowed
        self._short_public, self._short_secret = crypto_box_keypair()
        self._client_short = b""
        self._shared = b""
        self._cookie = b""
        self._sent = 0
        self._received = 0

    def handshake(self, body: bytes, socket_type: bytes) -> bytes:
        """Return WELCOME for HELLO, and READY for INITIATE.

        Raises:
            NotAllowedError: the client has proved its key, and the key has no access.
            ProtocolError: the client has not proved its key, or breaks the protocol.
        """
        name, data = split_command(body)
        try:
            if name == b"HELLO" and not self._cookie:
                reply = self._welcome(data)
            elif name == b"INITIATE" and self._cookie:
                reply = self._ready(data, socket_type)
            else:
                raise ProtocolError("it broke the rules of the handshake")
        except (CryptoError, ValueError) as error:  # ValueError: a wrong length
            raise ProtocolError(NO_HANDSHAKE) from error
        return wire(Frame(reply, command=True))

    def open(self, frame: Frame) -> Frame:
        """Return the frame inside a MESSAGE.

        Raises:
            ProtocolError: it is not a MESSAGE, was altered, or came before.
        """
        body = frame.body
        if len(body) < self.overhead_bytes or not body.startswith(_MESSAGE):
            raise ProtocolError("it sent something unencrypted")
        number = int.from_bytes(body[8:16], "big")
        if number <= self._received:
            raise ProtocolError("it sent an encrypted message twice")
        self._received = number
        try:
            plain = crypto_box_open_afternm(body[16:], b"CurveZMQMESSAGEC" + body[8:16], self._shared)
        except CryptoError as error:
            raise ProtocolError("it sent an encrypted message that was altered") from error
        return Frame(plain[1:], bool(plain[0] & _MORE), bool(plain[0] & _COMMAND))

    def seal(self, frames: Sequence[Frame]) -> bytes:
        """Return `frames` encrypted, as bytes to send in this order: each takes the next nonce."""
        sealed = []
        for frame in frames:
            flags = (_MORE if frame.more else 0) | (_COMMAND if frame.command else 0)
            number = self._next_number()
            box = crypto_box_afternm(bytes([flags]) + frame.body, b"CurveZMQMESSAGES" + number, self._shared)
            sealed.append(wire(Frame(_MESSAGE + number + box)))
        return b"".join(sealed)

    def _next_number(self) -> bytes:
        self._sent += 1
        return self._sent.to_bytes(8, "big")

    def _welcome(self, data: bytes) -> bytes:
        if len(data) != _HELLO_BYTES or data[:2] != b"\x01\x00":
            raise ProtocolError(NO_HANDSHAKE)
        self._client_short, nonce, box = data[74:106], data[106:114], data[114:]
        if any(crypto_box_open(box, b"CurveZMQHELLO---" + nonce, self._client_short, self._secret)):
            raise ProtocolError(NO_HANDSHAKE)
        self._shared = crypto_box_beforenm(self._client_short, self._short_secret)
        self._cookie = secrets.token_bytes(_COOKIE_BYTES)
        long_nonce = secrets.token_bytes(16)
        welcome = self._short_public + self._cookie
        return command(
            b"WELCOME",
            long_nonce + crypto_box(welcome, b"WELCOME-" + long_nonce, self._client_short, self._secret),
        )

    def _ready(self, data: bytes, socket_type: bytes) -> bytes:
        cookie, nonce, box = data[:_COOKIE_BYTES], data[_COOKIE_BYTES : _COOKIE_BYTES + 8], data[_COOKIE_BYTES + 8 :]
        if not compare_digest(cookie, self._cookie):
            raise ProtocolError("it broke the rules of the handshake")
        plain = crypto_box_open_afternm(box, b"CurveZMQINITIATE" + nonce, self._shared)
        key = plain[:_VOUCH_AT]
        vouch_nonce, vouch_box = plain[_VOUCH_AT : _VOUCH_AT + 16], plain[_VOUCH_AT + 16 : _METADATA_AT]
        vouched = crypto_box_open(vouch_box, b"VOUCH---" + vouch_nonce, key, self._short_secret)
        if not compare_digest(vouched, self._client_short + self._public):
            raise ProtocolError("it broke the rules of the handshake")
        if key not in self._allowed:
            raise NotAllowedError("its key is not allowed")
        self._received = int.from_bytes(nonce, "big")
        self.client, self.client_key = self._allowed[key], key
        self.metadata = parse_metadata(plain[_METADATA_AT:])
        number = self._next_number()
        return command(
            b"READY", number + crypto_box_afternm(own_metadata(socket_type), b"CurveZMQREADY---" + number, self._shared)
        )
