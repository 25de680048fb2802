"""An RTSP log-in that FFmpeg does not support, and a local relay through which FFmpeg uses the connection."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from stream.capture.addresses import redact
from stream.capture.live.digest import Challenge
from stream.capture.live.refusal import offers_in
from stream.capture.open_errors import port_of
from stream.errors import OpenError, StreamError

_HEAD_BYTES = 65_536
_CHUNK_BYTES = 262_144
_TICK_SECONDS = 0.5
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,9})[ \t]*\r?$")
_AUTHORIZATION = re.compile(rb"(?im)^authorization:.*\r\n")


class RtspLogin:
    """A connection to an RTSP camera, on which requests are signed here.

    FFmpeg supports digests with MD5 only. A camera that asks for SHA-256 is reached through a relay on this computer:
    it signs FFmpeg's requests and passes the camera's data on unchanged.

    Attributes:
        challenge: the challenge whose answer the camera accepted.
    """

    def __init__(self, address: str, seconds: float) -> None:
        """Connect and log in.

        Args:
            address: rtsp://USER:PASSWORD@HOST/PATH.
            seconds: time limit for connecting and for each answer.

        Raises:
            OpenError: the user name or password is wrong, or the camera asks for an unknown scheme.
            StreamError: the camera does not answer.
        """
        parts = urlsplit(address)
        self._shown = redact(address)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        host = parts.hostname or ""
        self._base = f"rtsp://{f'[{host}]' if ':' in host else host}:{port_of(address)}"
        self._tail = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._count = 0
        try:
            self._camera = socket.create_connection((host, port_of(address)), seconds)
        except OSError as error:
            raise StreamError(f"{self._shown}: {error.strerror or error}") from None
        self._camera.settimeout(seconds)
        try:
            self.challenge = self._log_in()
        except BaseException:
            self._camera.close()
            raise

    def _log_in(self) -> Challenge:
        status, head = self._ask(None)
        if status != 401:
            raise StreamError(f"{self._shown}: the camera first refused the log-in and then answered {status}")
        offered = offers_in(head)
        possible = [one for one in offered if one.is_supported]
        if not possible:
            names = ", ".join(one.name for one in offered) or "nothing that is named"
            raise OpenError(
                f"{self._shown}: the camera asks for a log-in that is not supported ({names}); "
                "set its RTSP authentication to digest (MD5 or SHA-256) or basic",
                permanent=True,
            )
        for number, one in enumerate(possible):
            if number:  # each refusal may contain a new nonce
                fresh = [other for other in offers_in(head) if other.name == one.name]
                one = fresh[0] if fresh else one  # noqa: PLW2901 - the same offer
            self._count = 0
            status, head = self._ask(one)
            if status == 200:
                return one
            if status != 401:
                raise StreamError(f"{self._shown}: the camera answered {status} after the log-in")
        raise OpenError(
            f"{self._shown}: the user name or password is wrong (401); check both in the address", permanent=True
        )

    def _ask(self, challenge: Challenge | None) -> tuple[int, str]:
        """Send DESCRIBE, signed or not, and return the status and head of the answer."""
        uri = self._base + self._tail
        request = f"DESCRIBE {uri} RTSP/1.0\r\nCSeq: {1 + self._count}\r\nAccept: application/sdp\r\n"
        if challenge is not None:
            request += f"Authorization: {self._sign(challenge, 'DESCRIBE', uri)}\r\n"
        try:
            self._camera.sendall(request.encode() + b"\r\n")
            head, rest = self._read_head()
            length = _LENGTH.search(head)
            waiting = int(length[1]) - len(rest) if length else 0
            while waiting > 0:
                waiting -= len(self._camera.recv(min(waiting, _CHUNK_BYTES)) or b"x" * waiting)
        except OSError as error:
            raise StreamError(f"{self._shown}: no answer to the log-in: {error.strerror or error}") from None
        status = re.match(rb"RTSP/1\.\d (\d{3})", head)
        return (int(status[1]) if status else 0), head.decode(errors="replace")

    def _read_head(self) -> tuple[bytes, bytes]:
        data = b""
        while _END not in data and len(data) < _HEAD_BYTES:
            more = self._camera.recv(_CHUNK_BYTES)
            if not more:
                break
            data += more
        head, _, rest = data.partition(_END)
        return head + b"\r\n", rest

    def _sign(self, challenge: Challenge, method: str, uri: str) -> str:
        self._count += 1
        return challenge.answer(self._user, self._password, method, uri, self._count)

    def close(self) -> None:
        """Close the connection."""
        self._camera.close()

    @contextlib.contextmanager
    def relayed(self, name: str) -> Iterator[str]:
        """Give the local address at which FFmpeg reaches the camera inside the block."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            local = f"rtsp://127.0.0.1:{port}"
            server.settimeout(_TICK_SECONDS)
            relay = _Relay(self, self._camera, server, local.encode(), self._base.encode())
            thread = threading.Thread(target=relay.run, name=f"login-{name}", daemon=True)
            thread.start()
            try:
                yield local + self._tail
            finally:
                relay.stop()
                thread.join()
                self._camera.close()

    def signed(self, head: bytes) -> bytes:
        """Return a request's head with its Authorization header."""
        method, _, rest = head.partition(b" ")
        uri = rest.partition(b" ")[0].decode(errors="replace")
        plain = _AUTHORIZATION.sub(b"", head)
        value = self._sign(self.challenge, method.decode(errors="replace"), uri)
        return plain.removesuffix(b"\r\n") + f"Authorization: {value}\r\n\r\n".encode()


class _Relay:
    """A relay that signs one client's requests to the camera and returns the camera's data unchanged."""

    def __init__(
        self, login: RtspLogin, camera: socket.socket, server: socket.socket, local: bytes, base: bytes
    ) -> None:
        self._login = login
        self._camera = camera
        self._server = server
        self._local = local
        self._base = base
        self._stopped = threading.Event()
        self._client: socket.socket | None = None

    def stop(self) -> None:
        """End both directions, so that `run` returns soon."""
        self._stopped.set()
        for one in (self._camera, self._client):
            with contextlib.suppress(OSError):
                if one is not None:
                    one.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Wait for the client, and relay until either side ends."""
        while not self._stopped.is_set():
            try:
                self._client = self._server.accept()[0]
            except TimeoutError:
                continue
            break
        if self._client is None:
            return
        with self._client as client:
            client.settimeout(None)
            self._camera.settimeout(None)
            back = threading.Thread(target=self._carry_back, args=(client,), name="login-back", daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                self._carry_requests(client)
            self.stop()
            back.join()

    def _carry_back(self, client: socket.socket) -> None:
        buffer = bytearray(_CHUNK_BYTES)
        view = memoryview(buffer)
        with contextlib.suppress(OSError):
            while count := self._camera.recv_into(buffer):
                client.sendall(view[:count])
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _carry_requests(self, client: socket.socket) -> None:
        data = b""
        while more := client.recv(_CHUNK_BYTES):
            data += more
            while data:
                size = _message_size(data)
                if size is None or len(data) < size:
                    break
                message, data = data[:size], data[size:]
                self._camera.sendall(message if message.startswith(b"$") else self._rewritten(message))

    def _rewritten(self, message: bytes) -> bytes:
        head, _, body = message.partition(_END)
        return self._login.signed(head.replace(self._local, self._base) + _END) + body


def _message_size(data: bytes) -> int | None:
    """Return the size of the RTCP packet or request at the start of `data`, or None while it is unknown."""
    if data.startswith(b"$"):
        return 4 + int.from_bytes(data[2:4]) if len(data) >= 4 else None
    end = data.find(_END)
    if end < 0:
        return None
    length = _LENGTH.search(data, 0, end + 2)
    return end + len(_END) + (int(length[1]) if length else 0)
