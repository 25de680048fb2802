"""A tap between a client and a broker, TLS on both sides: it sees each message that the client publishes."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PUBLISH, PUBACK = 3, 4


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole MQTT packets off the beginning of `buffer`: kind and body."""
    while True:
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(buffer):
                return
            length |= (buffer[at] & 0x7F) << shift
            shift += 7
            at += 1
            if buffer[at - 1] < 0x80:
                break
        if len(buffer) < at + length:
            return
        yield buffer[0], bytes(buffer[at : at + length])
        del buffer[: at + length]


def published(flags: int, body: bytes, *, version_5: bool = True) -> tuple[int, str, bytes]:
    """Number, topic and payload of a PUBLISH."""
    at = 2 + int.from_bytes(body[:2], "big")
    topic = body[2:at].decode()
    number = int.from_bytes(body[at : at + 2], "big") if flags & 6 else 0
    at += 2 if flags & 6 else 0
    if version_5:
        assert body[at] < 0x80
        at += 1 + body[at]
    return number, topic, body[at:]


See = Callable[[str, bytes], None]


class Tap:
    """Listens on a port and passes everything on to another one.

    Args:
        target: port of the broker.
        certificates: folder with the certificate that the tap shows, and that of the authority.
        see: called with topic and payload before a message is passed on.
        acknowledged: called with topic and payload before the broker's acknowledgement is passed back.

    Attributes:
        port: where it listens.
    """

    def __init__(self, target: int, certificates: Path, see: See, acknowledged: See) -> None:
        self._target, self._see, self._acknowledged = target, see, acknowledged
        self._server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._server.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        self._client = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(20)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, name="tap")
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                self._start(self._serve, self._listener.accept()[0])

    def _serve(self, raw: socket.socket) -> None:
        with suppress(OSError), raw:
            raw.settimeout(10)
            with self._server.wrap_socket(raw, server_side=True) as near:
                plain = socket.create_connection(("127.0.0.1", self._target), 5)
                with self._client.wrap_socket(plain, server_hostname="localhost") as far:
                    near.settimeout(None)
                    far.settimeout(None)
                    under_way: dict[int, tuple[str, bytes]] = {}
                    back = self._start(self._carry_back, far, near, under_way)
                    try:
                        self._carry_on(near, far, under_way)
                    finally:
                        hang_up(far)
                        back.join(10)

    def _carry_on(self, near: ssl.SSLSocket, far: ssl.SSLSocket, under_way: dict[int, tuple[str, bytes]]) -> None:
        buffer = bytearray()
        while data := near.recv(65_536):
            buffer += data
            for flags, body in packets(buffer):
                if flags >> 4 == PUBLISH:
                    number, *what = published(flags, body)
                    under_way[number] = (what[0], what[1])
                    self._see(*under_way[number])
            far.sendall(data)

    def _carry_back(self, far: ssl.SSLSocket, near: ssl.SSLSocket, under_way: dict[int, tuple[str, bytes]]) -> None:
        buffer = bytearray()
        with suppress(OSError):
            while data := far.recv(65_536):
                buffer += data
                for flags, body in packets(buffer):
                    if flags >> 4 == PUBACK:
                        self._acknowledged(*under_way.pop(int.from_bytes(body[:2], "big")))
                near.sendall(data)
        hang_up(near)


def hang_up(connection: ssl.SSLSocket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def tap(target: int, certificates: Path, see: See, acknowledged: See) -> Iterator[int]:
    """Run a tap while the block lasts; gives its port."""
    running = Tap(target, certificates, see, acknowledged)
    try:
        yield running.port
    finally:
        running.close()
