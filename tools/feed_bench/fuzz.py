"""Attack a publisher with malformed traffic, and measure its memory and the delays of an honest client meanwhile."""

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zmq

from feed_bench.roles import start
from stream import make_client_keys, make_server_keys, parse_endpoint
from stream.feed.keys import ClientKeys, read_client_keys

_STRANGERS = 4
_QUIET_SECONDS = 5.0  # before the attack, for comparison: other programs cost time, too
_ASK_SECONDS = 0.05
_MEMORY_MB = 50.0
_P99_MS = 100.0


@dataclass(frozen=True)
class FuzzResult:
    """The result of the measurement."""

    seed: int
    curve: bool
    frames: dict[str, int]
    seconds: float
    alive: bool
    memory_before_mb: float
    memory_most_mb: float
    gateways: int
    quiet_ms: list[float]
    asked_ms: list[float]
    unanswered: int
    heard_ms: list[float]

    @property
    def holds(self) -> bool:
        """Whether the publisher survives, its memory is stable, and the honest client is hardly affected."""
        return (
            self.alive
            and self.memory_most_mb - self.memory_before_mb < _MEMORY_MB
            and not self.unanswered
            and percentile(self.asked_ms, 99) < _P99_MS
            and percentile(self.heard_ms, 99) < _P99_MS
        )

    def figures(self) -> dict[str, Any]:
        """Return the figures as a row."""
        return {
            "keys": self.curve,
            "frames": sum(self.frames.values()),
            "seconds": self.seconds,
            "alive": self.alive,
            "gateways_replaced": self.gateways,
            "memory_before_mb": self.memory_before_mb,
            "memory_most_mb": self.memory_most_mb,
            "requests": len(self.asked_ms),
            "unanswered": self.unanswered,
            "quiet_p99_ms": percentile(self.quiet_ms, 99),
            "request_p99_ms": percentile(self.asked_ms, 99),
            "message_p99_ms": percentile(self.heard_ms, 99),
        }


def percentile(found: list[float], which: float) -> float:
    """Return a percentile, or infinity for an empty list."""
    return float(np.percentile(found, which)) if found else float("inf")


def measure_fuzz(folder: Path, endpoint: str, frames: int, rate: float, seed: int, *, curve: bool) -> FuzzResult:
    """Send about `frames` frames from four processes to a publisher of `rate` messages per second."""
    keys, key = folder / "keys", folder / "client.key"
    if curve:
        make_server_keys(keys)
        make_client_keys(keys, "bench", key)
    publisher = start("publish", endpoint, folder / "journal.db", rate, *([keys] if curve else []))
    honest = Honest(endpoint, read_client_keys(key) if curve else None)
    strangers: list[subprocess.Popen[bytes]] = []
    try:
        honest.wait_served()
        time.sleep(_QUIET_SECONDS)
        quiet_ms = honest.asked_ms[1:]
        before = most = _memory_mb(publisher.pid)
        gateways = {_gateway(publisher.pid)}
        honest.forget()
        began = time.monotonic()
        address = parse_endpoint(endpoint)
        for number in range(_STRANGERS):
            words = [address.host, address.port, frames // _STRANGERS, seed * 1000 + number, key if curve else ""]
            strangers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "feed_bench.strangers", *map(str, words)],
                    cwd=Path(__file__).parents[1],
                    stdout=subprocess.PIPE,
                )
            )
        while any(one.poll() is None for one in strangers) and publisher.poll() is None:
            time.sleep(0.1)
            most = max(most, _memory_mb(publisher.pid))
            gateways.add(_gateway(publisher.pid))
        seconds = time.monotonic() - began
        time.sleep(1.0)
        alive = publisher.poll() is None
    finally:
        honest.end()
        for process in (publisher, *strangers):
            process.kill()
        outputs = [one.communicate()[0] for one in strangers]
        publisher.wait()
    sent: dict[str, int] = {}
    for output in outputs:
        for name, count in json.loads(output or b"{}").items():
            sent[name] = sent.get(name, 0) + count
    return FuzzResult(
        seed=seed,
        curve=curve,
        frames=sent,
        seconds=seconds,
        alive=alive,
        memory_before_mb=before,
        memory_most_mb=most,
        gateways=len(gateways - {0}) - 1,
        quiet_ms=quiet_ms,
        asked_ms=honest.asked_ms,
        unanswered=honest.unanswered,
        heard_ms=honest.heard_ms,
    )


class Honest:
    """A client that subscribes, and asks its history twenty times a second; plain sockets in a thread."""

    def __init__(self, endpoint: str, keys: ClientKeys | None) -> None:
        self.asked_ms: list[float] = []
        self.heard_ms: list[float] = []
        self.unanswered = 0
        self._address = parse_endpoint(endpoint)
        self._keys = keys
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="honest client")
        self._thread.start()

    def wait_served(self) -> None:
        """Wait until the client got an answer and a message."""
        deadline = time.monotonic() + 30
        while not (self.asked_ms and self.heard_ms):
            if time.monotonic() > deadline:
                raise TimeoutError("the publisher serves nobody")
            time.sleep(0.05)

    def forget(self) -> None:
        """Reset the counts."""
        self.asked_ms, self.heard_ms, self.unanswered = [], [], 0

    def end(self) -> None:
        """Stop asking."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with zmq.Context() as context:
            events, history = self._socket(context, zmq.SUB), self._socket(context, zmq.DEALER)
            events.subscribe(b"ev.")
            events.connect(self._address.events)
            history.connect(self._address.history)
            poller = zmq.Poller()
            poller.register(events, zmq.POLLIN)
            poller.register(history, zmq.POLLIN)
            asked_at, answered, number = 0.0, True, 0
            while not self._ended.is_set():
                now = time.monotonic()
                if answered and now - asked_at > _ASK_SECONDS:
                    number, asked_at, answered = number + 1, now, False
                    history.send(b'{"op":"info","request":%d}' % number)
                elif not answered and now - asked_at > 2.0:
                    self.unanswered += 1
                    answered = True
                for socket, _ in poller.poll(5):
                    frames = socket.recv_multipart()
                    if socket is events:
                        sent_at = json.loads(frames[2])["data"]["at_ns"]
                        self.heard_ms.append((time.monotonic_ns() - sent_at) / 1e6)
                    elif json.loads(frames[0])["request"] == number:
                        answered = True
                        self.asked_ms.append((time.monotonic() - asked_at) * 1e3)
            events.close(0)
            history.close(0)

    def _socket(self, context: "zmq.Context[zmq.Socket[bytes]]", kind: int) -> "zmq.Socket[bytes]":
        socket = context.socket(kind)
        socket.linger = 0
        if self._keys is not None:
            socket.curve_serverkey = self._keys.server.encode()
            socket.curve_publickey = self._keys.public.encode()
            socket.curve_secretkey = self._keys.secret.encode()
        return socket


def _memory_mb(pid: int) -> float:
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children()):
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total / 1e6


def _gateway(pid: int) -> int:
    with suppress(psutil.Error):
        for one in psutil.Process(pid).children():
            return one.pid
    return 0
