"""Clients that break the rules of ZMTP on purpose, for the attacks of `tools/bench feed fuzz`, by a seed.

Each attack opens one connection, sends frames until it is disconnected or finished, and returns how many it sent.
"""

import json
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nacl.bindings import (
    crypto_box,
    crypto_box_afternm,
    crypto_box_beforenm,
    crypto_box_keypair,
    crypto_box_open,
)
from zmq.utils import z85

from stream.feed.keys import ClientKeys, read_client_keys

REQUEST = b'{"op":"since","sequence":0}'
_TYPES = (b"SUB", b"DEALER")  # by port: events, history


class Stranger:
    """One connection to a port, up to the point where it breaks the rules.

    Args:
        host: host of the publisher.
        port: its port.
        history: whether it is the port of the history.
        keys: a key that has access, or None for NULL.
    """

    def __init__(self, host: str, port: int, *, history: bool, keys: ClientKeys | None) -> None:
        self.kind = _TYPES[history]
        self.socket = socket.create_connection((host, port), timeout=2.0)
        self._keys = keys
        self._number = 0
        self._shared = b""

    def shake_hands(self) -> None:
        """Do a correct handshake."""
        mechanism = b"CURVE" if self._keys else b"NULL"
        self.socket.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + mechanism.ljust(20, b"\0") + bytes(32))
        self._receive(64)
        metadata = prop(b"Socket-Type", self.kind) + prop(b"Identity", b"")
        if self._keys is None:
            self.socket.sendall(framed(command(b"READY", metadata), 4))
        else:
            self._prove_key(self._keys, metadata)
        self._receive_frame()

    def wrap(self, body: bytes, flags: int) -> bytes:
        """Return one frame, encrypted if the connection is."""
        if not self._shared:
            return framed(body, flags)
        number = self._next()
        inner = bytes([(flags & 1) | (2 if flags & 4 else 0)]) + body
        return framed(
            b"\x07MESSAGE" + number + crypto_box_afternm(inner, b"CurveZMQMESSAGEC" + number, self._shared), 0
        )

    def hang_up(self, *, reset: bool) -> None:
        """Close the connection, with a TCP reset if requested."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _prove_key(self, keys: ClientKeys, metadata: bytes) -> None:
        server, public, secret = (z85.decode(key) for key in (keys.server, keys.public, keys.secret))
        short_public, short_secret = crypto_box_keypair()
        number = self._next()
        box = crypto_box(bytes(64), b"CurveZMQHELLO---" + number, server, short_secret)
        self.socket.sendall(framed(command(b"HELLO", b"\x01\x00" + bytes(72) + short_public + number + box), 4))
        welcome = self._receive_frame()[8:]
        opened = crypto_box_open(welcome[16:], b"WELCOME-" + welcome[:16], server, short_secret)
        their_short, cookie = opened[:32], opened[32:]
        self._shared = crypto_box_beforenm(their_short, short_secret)
        nonce = random.randbytes(16)
        vouch = nonce + crypto_box(short_public + server, b"VOUCH---" + nonce, their_short, secret)
        number = self._next()
        box = crypto_box_afternm(public + vouch + metadata, b"CurveZMQINITIATE" + number, self._shared)
        self.socket.sendall(framed(command(b"INITIATE", cookie + number + box), 4))

    def _next(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(8, "big")

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def _receive_frame(self) -> bytes:
        flags, size = self._receive(2)
        if flags & 2:
            size = int.from_bytes(bytes([size]) + self._receive(7), "big")
        return self._receive(size)


def prop(name: bytes, value: bytes) -> bytes:
    """Return one property of a handshake."""
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def command(name: bytes, data: bytes) -> bytes:
    """Return a command's body."""
    return bytes([len(name)]) + name + data


def framed(body: bytes, flags: int) -> bytes:
    """Return one frame with any flags."""
    if len(body) > 255:
        return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


Attack = Callable[[Stranger, random.Random], int]


def half_open(stranger: Stranger, dice: random.Random) -> int:
    """Send part of a greeting and leave, at once or after a while."""
    stranger.socket.sendall((b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(49))[: dice.randrange(64)])
    time.sleep(dice.choice([0, 0, 0, 0.05, 0.5]))
    return 1


def wrong_handshake(stranger: Stranger, dice: random.Random) -> int:
    """Send a greeting and a READY with some bytes changed."""
    text = bytearray(b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32))
    text += framed(command(b"READY", prop(b"Socket-Type", stranger.kind)), 4)
    for _ in range(dice.randrange(1, 5)):
        text[dice.randrange(len(text))] = dice.randrange(256)
    stranger.socket.sendall(text)
    return 2


def malformed(stranger: Stranger, dice: random.Random) -> int:
    """Send frames, some of them damaged, after a correct handshake."""
    stranger.shake_hands()
    frames = []
    for _ in range(dice.randrange(1, 200)):
        frame = bytearray(stranger.wrap(*dice.choice(_FRAMES)))
        if dice.random() < 0.3:
            frame[dice.randrange(min(20, len(frame)))] = dice.randrange(256)
        frames.append(bytes(frame))
    stranger.socket.sendall(b"".join(frames))
    return len(frames)


_FRAMES = [
    (REQUEST, 0), (b"", 1), (b"\x01ev.", 0), (b"\x00ev.", 0), (b"\x01" + b"x" * 200, 0), (b"x" * 4000, 0),
    (b"\x04PING\x00\x00abc", 4), (b"\x09SUBSCRIBEev.", 4), (b"\x06CANCELev.", 4), (b"\x05ERROR\x03400", 4),
    (b"\x09UNKNOWN12", 4), (b"\xff", 4), (b"", 4), (b"[" * 4000, 0),
]  # fmt: skip


def endless(stranger: Stranger, dice: random.Random) -> int:
    """Send one message that never ends."""
    stranger.shake_hands()
    size, count = dice.choice([(4000, 50), (0, 500), (100, 500)]), 0
    end = time.monotonic() + dice.uniform(0.1, 1.0)
    while time.monotonic() < end:
        stranger.socket.sendall(b"".join(stranger.wrap(b"x" * size[0], 1) for _ in range(size[1])))
        count += size[1]
    return count


def subscriptions(stranger: Stranger, dice: random.Random) -> int:
    """Subscribe to more and more topics."""
    stranger.shake_hands()
    count = 0
    for _ in range(10):
        stranger.socket.sendall(b"".join(stranger.wrap(b"\x01ev." + dice.randbytes(90), 0) for _ in range(100)))
        count += 100
    return count


def pings(stranger: Stranger, dice: random.Random) -> int:
    """Mix PINGs into requests, read nothing and hang up."""
    stranger.shake_hands()
    every, count = dice.choice([1, 5, 20]), 0
    for _ in range(dice.randrange(10, 300)):
        burst = [stranger.wrap(REQUEST, 0) for _ in range(every)]
        stranger.socket.sendall(b"".join(burst) + stranger.wrap(b"\x04PING\x00\x00", 4))
        count += every + 1
    return count


def slowly(stranger: Stranger, dice: random.Random) -> int:
    """Send a request a byte at a time."""
    stranger.shake_hands()
    for byte in stranger.wrap(REQUEST, 0)[: dice.randrange(40)]:
        stranger.socket.sendall(bytes([byte]))
        time.sleep(dice.choice([0, 0.001, 0.01]))
    return 1


def unread(stranger: Stranger, dice: random.Random) -> int:
    """Ask for pages and never read them."""
    stranger.shake_hands()
    stranger.socket.sendall(b"".join(stranger.wrap(REQUEST, 0) for _ in range(50)))
    time.sleep(dice.uniform(0, 0.5))
    return 50


def noise(stranger: Stranger, dice: random.Random) -> int:
    """Send bytes that are not ZeroMQ."""
    stranger.socket.sendall(dice.randbytes(dice.randrange(1, 5000)))
    return 1


ATTACKS: tuple[Attack, ...] = (
    half_open, wrong_handshake, endless, subscriptions, pings, slowly, unread, noise, *[malformed] * 24,
)  # fmt: skip


def attack(host: str, port: int, frames: int, seed: int, key: Path | None) -> dict[str, int]:
    """Attack both ports in turns until `frames` were sent; return how many by attack."""
    dice = random.Random(seed)
    keys = read_client_keys(key) if key else None
    sent: dict[str, int] = {}
    while sum(sent.values()) < frames:
        one = dice.choice(ATTACKS)
        history = dice.random() < 0.5
        count = 0
        with suppress(OSError):
            stranger = Stranger(host, port + history, history=history, keys=keys)
            try:
                count = one(stranger, dice)
            except OSError:
                count = 1
            finally:
                stranger.hang_up(reset=dice.random() < 0.5)
        sent[one.__name__] = sent.get(one.__name__, 0) + count
    return sent


if __name__ == "__main__":
    words = sys.argv[1:]
    print(
        json.dumps(attack(words[0], int(words[1]), int(words[2]), int(words[3]), Path(words[4]) if words[4] else None))
    )
