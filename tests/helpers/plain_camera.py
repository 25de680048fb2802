"""A small RTSP camera of the tests, over TCP or UDP: it stamps, reports, asks for passwords, misbehaves as told."""

import base64
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av

_TICKS = 90000
_NTP = 2_208_988_800
_PAYLOAD = 1390


@dataclass
class Behaviour:
    """How the camera behaves.

    frame_seconds: stamped time from frame to frame. slowness(t): real seconds for a stamped one. report_seconds:
    between sender reports, 0 for none. clock(utc): what its reports say. stamp(n): RTP time of frame n in ticks.
    password: for the user `viewer`; offers: algorithms of digests it asks for; accepts: the one that it believes.
    endless: a frame that never ends after three good ones. silent: what it does not answer ("DESCRIBE").
    redirect: where it sends whoever asks for its description.
    """

    frame_seconds: float = 0.04
    slowness: Callable[[float], float] = lambda _: 1.0
    report_seconds: float = 1.0
    clock: Callable[[float], float] = lambda utc: utc
    stamp: Callable[[int], int] = lambda number: number * 3600
    password: str = ""
    offers: tuple[str, ...] = ()
    accepts: str = "MD5"
    qop: bool = False
    endless: bool = False
    silent: str = ""
    redirect: str = ""


def access_units(clip: Path) -> list[list[bytes]]:
    """The NAL units of each frame of an H.264 recording with parameter sets inside (MPEG-TS)."""
    with av.open(str(clip)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return [[nal for nal in re.split(b"\x00\x00\x00\x01|\x00\x00\x01", packet) if nal] for packet in packets]


@dataclass
class PlainCamera:
    """Serves `clip` in a loop at `url` to each client; `taken` keeps the true UTC of each frame sent, by its index.

    With `second`, its session has a second video track that shows that clip.
    """

    clip: Path
    behaviour: Behaviour = field(default_factory=Behaviour)
    second: Path | None = None
    user: str = ""
    taken: list[tuple[int, float]] = field(default_factory=list)
    port: int = 0
    _udp: dict[socket.socket, tuple[socket.socket, int]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"rtsp://{self.user}127.0.0.1:{self.port}/cam"

    @contextmanager
    def running(self) -> Iterator["PlainCamera"]:
        """Serve inside the block."""
        self._frames = access_units(self.clip)
        self._others = access_units(self.second) if self.second else []
        self._stopped = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            threads = [threading.Thread(target=self._accept, args=(server,), name="camera-accept", daemon=True)]
            threads[0].start()
            try:
                yield self
            finally:
                self._stopped.set()
                server.shutdown(socket.SHUT_RDWR)
                threads[0].join(5)

    def _accept(self, server: socket.socket) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = server.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), name="camera-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        nonce = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:20]
        try:
            with client, client.makefile("rb") as requests:
                while (line := requests.readline()) and not self._stopped.is_set():
                    if line.startswith(b"$"):
                        rest = line[1:] + requests.read(max(0, 4 - len(line)))
                        size = int.from_bytes(rest[1:3])
                        requests.read(max(0, size - (len(rest) - 3)))
                        continue
                    head = line.decode()
                    while (more := requests.readline()).strip():
                        head += more.decode()
                    self._answer(client, head, nonce)
        except OSError:
            pass

    def _answer(self, client: socket.socket, head: str, nonce: str) -> None:
        method, url = head.split(" ")[:2]
        number = re.search(r"CSeq: *(\d+)", head)
        sequence = number[1] if number else "0"
        if method == self.behaviour.silent:
            return

        def reply(extra: str = "", body: str = "", code: str = "200 OK") -> None:
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            client.sendall(f"RTSP/1.0 {code}\r\nCSeq: {sequence}\r\n{extra}{length}\r\n{body}".encode())

        if method == "OPTIONS":
            reply("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n")
        elif self.behaviour.offers and not self._is_allowed(head, method, nonce):
            qop = ', qop="auth"' if self.behaviour.qop else ""
            offers = [
                f'WWW-Authenticate: Digest realm="cam", nonce="{nonce}"{qop}, algorithm={name}\r\n'
                for name in self.behaviour.offers
            ]
            reply("".join(offers), code="401 Unauthorized")
        elif method == "DESCRIBE" and self.behaviour.redirect:
            reply(f"Location: {self.behaviour.redirect}\r\n", code="302 Moved Temporarily")
        elif method == "DESCRIBE":
            reply(f"Content-Base: {url.rstrip('/')}/\r\nContent-Type: application/sdp\r\n", self._description())
        elif method == "SETUP" and (ports := re.search(r"client_port=(\d+)-(\d+)", head)):
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.bind(("127.0.0.1", 0))
            self._udp[client] = link, int(ports[1])
            own = link.getsockname()[1]
            where = f"client_port={ports[1]}-{ports[2]};server_port={own}-{own + 1}"
            reply(f"Session: 7;timeout=60\r\nTransport: RTP/AVP;unicast;{where}\r\n")
        elif method == "SETUP":
            channels = "2-3" if url.endswith("track2") else "0-1"
            reply(f"Session: 7;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n")
        elif method == "PLAY":
            reply("Session: 7\r\n")
            threading.Thread(target=self._play, args=(client,), name="camera-play", daemon=True).start()
        else:
            reply("Session: 7\r\n")

    def _is_allowed(self, head: str, method: str, nonce: str) -> bool:
        given = re.search(r"^Authorization: Digest (.*)$", head, re.MULTILINE)
        if not given:
            return False
        fields = dict(re.findall(r'(\w+)="?([^",\r]*)"?', given[1]))
        name = {"MD5": "md5", "SHA-256": "sha256"}[self.behaviour.accepts]

        def digest(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        secret, request = digest(f"viewer:cam:{self.behaviour.password}"), digest(f"{method}:{fields['uri']}")
        middle = f"{fields['nc']}:{fields['cnonce']}:{fields['qop']}:" if "qop" in fields else ""
        return bool(fields["nonce"] == nonce and fields["response"] == digest(f"{secret}:{nonce}:{middle}{request}"))

    def _description(self) -> str:
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=cam", "t=0 0", "a=control:*"]
        for number, frames in enumerate((self._frames, self._others), start=1):
            sets = [base64.b64encode(nal).decode() for nal in (frames or [[]])[0] if nal[0] & 31 in (7, 8)][:2]
            if sets:
                lines += [
                    "m=video 0 RTP/AVP 96",
                    "c=IN IP4 0.0.0.0",
                    "a=rtpmap:96 H264/90000",
                    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={','.join(sets)}",
                    f"a=control:track{number}",
                ]
        return "\r\n".join([*lines, ""])

    def _play(self, client: socket.socket) -> None:
        with suppress(OSError):
            self._send_frames(client)
        if client in self._udp:
            self._udp.pop(client)[0].close()

    def _send(self, client: socket.socket, channel: int, data: bytes) -> None:
        if client not in self._udp:
            client.sendall(_interleaved(channel, data))
        elif client.fileno() < 0:
            raise OSError
        else:
            link, port = self._udp[client]
            with suppress(ConnectionRefusedError):
                link.sendto(data, ("127.0.0.1", port + channel))

    def _send_frames(self, client: socket.socket) -> None:
        told = self.behaviour
        began = due = time.time()
        sequence, others, reported = 0, 0, float("-inf")
        for number in range(10**9):
            if self._stopped.wait(max(0.0, due - time.time())):
                return
            index, ticks = number % len(self._frames), told.stamp(number) & 0xFFFFFFFF
            if told.report_seconds and due - reported >= told.report_seconds:
                reported = due
                self._send(client, 1, _report(told.clock(due), ticks))
            self.taken.append((index, due))
            for last, payload in _payloads(self._frames[index]):
                header = struct.pack(">BBHII", 0x80, 96 | (0x80 if last else 0), sequence & 0xFFFF, ticks, 7)
                self._send(client, 0, header + payload)
                sequence += 1
            for last, payload in _payloads(self._others[number % len(self._others)] if self._others else []):
                header = struct.pack(">BBHII", 0x80, 96 | (0x80 if last else 0), others & 0xFFFF, ticks, 8)
                self._send(client, 2, header + payload)
                others += 1
            if told.endless and number == 2:
                self._send_endless(client, sequence, ticks)
            due += told.frame_seconds * told.slowness(due - began)

    def _send_endless(self, client: socket.socket, sequence: int, ticks: int) -> None:
        filler, start = b"\x55" * 60_000, 0x80
        while not self._stopped.is_set():
            header = struct.pack(">BBHII", 0x80, 96, sequence & 0xFFFF, ticks, 7)
            self._send(client, 0, header + bytes([0x7C, start | 5]) + filler)
            sequence, start = sequence + 1, 0
            if client in self._udp:
                time.sleep(0.0015)  # 40 MB/s at most: a network, not this computer's memory


def _interleaved(channel: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0x24, channel, len(data)) + data


def _report(utc: float, ticks: int) -> bytes:
    since_1900 = utc + _NTP
    return struct.pack(
        ">BBHIIIIII", 0x80, 200, 6, 7, int(since_1900) & 0xFFFFFFFF, int(since_1900 % 1 * 2**32), ticks, 0, 0
    )


def _payloads(nals: list[bytes]) -> Iterator[tuple[bool, bytes]]:
    """The RTP payloads of one frame, each with whether it is the last."""
    for number, nal in enumerate(nals):
        final = number == len(nals) - 1
        if len(nal) <= _PAYLOAD:
            yield final, nal
            continue
        parts = [nal[at : at + _PAYLOAD] for at in range(1, len(nal), _PAYLOAD)]
        for part, data in enumerate(parts):
            edge = (0x80 if part == 0 else 0) | (0x40 if part == len(parts) - 1 else 0)
            yield final and part == len(parts) - 1, bytes([(nal[0] & 0xE0) | 28, edge | (nal[0] & 31)]) + data
