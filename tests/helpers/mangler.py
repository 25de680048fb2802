"""A man in the middle for tests: loses, damages, delays or stalls what an RTSP camera sends, over TCP and UDP."""

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

RTP_TICKS = 90000  # of video, per second


@dataclass(frozen=True)
class Faults:
    """What to do to the frames on their way. Shares are of RTP packets, 0..1.

    drop, burst: share of packets at which a loss begins, and how many are lost then. flip: share with three bits
    turned. duplicate, reorder: share sent twice, or after their successor (UDP only). jitter_ms: mean of an exponential
    delay. silent: nothing passes, connections stay. no_reports: RTCP is lost. clock_offset_seconds: added to
    the camera's clock in its sender reports. clock_drift_ppm: the same, growing with time. stamp_offset_seconds: added
    to the RTP time stamps of frames and reports, as a camera does that stamps by its clock.
    """

    drop: float = 0.0
    burst: int = 1
    flip: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    jitter_ms: float = 0.0
    silent: bool = False
    no_reports: bool = False
    clock_offset_seconds: float = 0.0
    clock_drift_ppm: float = 0.0
    stamp_offset_seconds: float = 0.0


class Mangler:
    """Stands between clients and the RTSP server on `server_port`; `faults` may be replaced at any time.

    `counts` tells what was done: rtp, rtcp, dropped, flipped, clients.
    """

    def __init__(self, server_port: int, faults: Faults = Faults(), seed: int = 1) -> None:
        self.server_port = server_port
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._random = random.Random(seed)
        self._lost_next = 0
        self._started = time.monotonic()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="mangler")
        self._links: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5), "the mangler did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(5)

    def cut(self) -> None:
        """Close every connection, as a network does whose cable is pulled and plugged in elsewhere."""
        self._loop.call_soon_threadsafe(lambda: [link.cancel() for link in self._links])

    def mangled(self, packet: bytes) -> list[bytes]:
        """What becomes of one RTP packet: none, one or two packets."""
        faults = self.faults
        self.counts["rtp"] += 1
        if faults.silent:
            return []
        if self._lost_next or self._random.random() < faults.drop:
            self._lost_next = self._lost_next - 1 if self._lost_next else faults.burst - 1
            self.counts["dropped"] += 1
            return []
        if self._random.random() < faults.flip and len(packet) > 40:
            damaged = bytearray(packet)
            for _ in range(3):
                damaged[self._random.randrange(20, len(damaged))] ^= 1 << self._random.randrange(8)
            self.counts["flipped"] += 1
            packet = bytes(damaged)
        if faults.stamp_offset_seconds:
            packet = self._stamped(packet, 4)
        return [packet, packet] if self._random.random() < faults.duplicate else [packet]

    def reports(self, packet: bytes) -> list[bytes]:
        """What becomes of one RTCP packet: the camera's clock in it is moved."""
        faults = self.faults
        self.counts["rtcp"] += 1
        if faults.silent or faults.no_reports:
            return []
        offset = faults.clock_offset_seconds + faults.clock_drift_ppm * 1e-6 * (time.monotonic() - self._started)
        moved, at = bytearray(packet), 0
        while at + 20 <= len(moved):
            if moved[at + 1] == 200:  # a sender report: NTP time in 32.32 bits at byte 8, then the RTP time stamp
                stamp = struct.unpack_from(">Q", moved, at + 8)[0] + round(offset * 2**32)
                struct.pack_into(">Q", moved, at + 8, stamp % 2**64)
                moved = bytearray(self._stamped(bytes(moved), at + 16))
            at += 4 * (struct.unpack_from(">H", moved, at + 2)[0] + 1)
        return [bytes(moved)]

    def _stamped(self, packet: bytes, at: int) -> bytes:
        """`packet` with the RTP time stamp at byte `at` moved."""
        ticks = struct.unpack_from(">I", packet, at)[0] + round(self.faults.stamp_offset_seconds * RTP_TICKS)
        return packet[:at] + struct.pack(">I", ticks % 2**32) + packet[at + 4 :]

    def delay_seconds(self) -> float:
        mean = self.faults.jitter_ms / 1000
        return self._random.expovariate(1 / mean) if mean else 0.0

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.counts["clients"] += 1
        try:
            await _Link(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(task)
            writer.close()


class _Link:
    """One client's connection, and the UDP ports that belong to it."""

    def __init__(self, mangler: Mangler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.mangler, self.reader, self.writer = mangler, reader, writer
        self.outgoing: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self.last_due = 0.0
        self.relays: list[_Relay] = []
        self.client_ports = ""

    async def run(self) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.mangler.server_port)
        tasks = [
            asyncio.create_task(work)
            for work in (self._to_server(server_writer), self._from_server(server_reader), self._send())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.exception()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server_writer.close()
            for relay in self.relays:
                relay.transport.close()

    async def _to_server(self, server: asyncio.StreamWriter) -> None:
        async for head, body in _messages(self.reader):
            asked = re.search(rb"client_port=(\d+)-(\d+)", head)
            if asked:
                self.client_ports = asked[1].decode()
                port = await self._relay(int(asked[1]))
                server.write(head.replace(asked[0], b"client_port=%d-%d" % (port, port + 1)) + body)
            else:
                server.write(head + body)
            await server.drain()

    async def _from_server(self, server: asyncio.StreamReader) -> None:
        async for head, body in _messages(server):
            if head[0] == 0x24:
                change = self.mangler.reports if head[1] % 2 else self.mangler.mangled
                for packet in change(body):
                    self._queue(head[:2] + struct.pack(">H", len(packet)) + packet)
                continue
            self._queue(self._with_own_ports(head) + body)

    def _with_own_ports(self, head: bytes) -> bytes:
        """The server's reply as the client shall see it: its own ports, and ours for the server's."""
        given = re.search(rb"server_port=(\d+)-(\d+)", head)
        if not given or not self.relays:
            return head
        for relay in self.relays:
            relay.server_port = int(given[1]) + relay.offset
        first, own = int(self.client_ports), self.relays[0].port
        head = re.sub(rb"client_port=\d+-\d+", b"client_port=%d-%d" % (first, first + 1), head)
        return head.replace(given[0], b"server_port=%d-%d" % (own, own + 1))

    def _queue(self, data: bytes) -> None:
        self.last_due = max(self.last_due, time.monotonic() + self.mangler.delay_seconds())
        self.outgoing.put_nowait((self.last_due, data))

    async def _send(self) -> None:
        while True:
            due, data = await self.outgoing.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            while self.mangler.faults.silent:  # noqa: ASYNC110 - tests set it from another thread
                await asyncio.sleep(0.01)
            self.writer.write(data)
            await self.writer.drain()

    async def _relay(self, client_port: int) -> int:
        """A pair of neighbouring UDP ports that stand for the server's."""
        loop = asyncio.get_running_loop()
        while True:
            sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
            with contextlib.suppress(OSError):
                sockets[0].bind(("127.0.0.1", 0))
                port = sockets[0].getsockname()[1]
                if port % 2 == 0:
                    sockets[1].bind(("127.0.0.1", port + 1))
                    break
            for one in sockets:
                one.close()
        for offset, one in enumerate(sockets):
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)  # what is lost shall be lost on purpose
            change = self.mangler.reports if offset else self.mangler.mangled
            relay = _Relay(self.mangler, client_port + offset, offset, change)
            await loop.create_datagram_endpoint(lambda relay=relay: relay, sock=one)
            relay.port = port + offset
            self.relays.append(relay)
        return port


class _Relay(asyncio.DatagramProtocol):
    """One of a client's UDP ports, on its way through."""

    def __init__(self, mangler: Mangler, client_port: int, offset: int, change: Callable[[bytes], list[bytes]]) -> None:
        self.mangler, self.client_port, self.offset, self.change = mangler, client_port, offset, change
        self.port = self.server_port = 0
        self.held: bytes | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[1] != self.server_port:
            if self.server_port:
                self.transport.sendto(data, ("127.0.0.1", self.server_port))
            return
        for packet in self.change(data):
            if self.held is None and self.mangler.chance(self.mangler.faults.reorder):
                self.held = packet
                continue
            self._send(packet)
            if self.held is not None:
                self._send(self.held)
                self.held = None

    def _send(self, packet: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(packet, ("127.0.0.1", self.client_port))


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    """RTSP requests and replies as (head, body), interleaved packets as (4 bytes, packet)."""
    while first := await reader.read(1):
        if first == b"$":
            head = first + await reader.readexactly(3)
            yield head, await reader.readexactly(struct.unpack(">H", head[2:])[0])
            continue
        head = first + await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length:\s*(\d+)", head)
        yield head, await reader.readexactly(int(length[1])) if length else b""
