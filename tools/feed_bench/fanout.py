"""Measure many subscribers with CURVE, one of them dead: the time from `publish` to each of the others."""

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feed_bench.roles import start
from stream import make_client_keys, make_server_keys

_PROCESSES = 4
_LIMIT_MS = 10.0


@dataclass(frozen=True)
class FanoutResult:
    """The result of the measurement."""

    subscribers: int
    received: int
    expected: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    disk_p50_ms: float
    disk_p99_ms: float

    @property
    def holds(self) -> bool:
        """Whether the 99th percentile is under 10 ms, and very few messages were fetched from the history."""
        return self.p99_ms < _LIMIT_MS and self.received > 0.9 * self.expected


def measure_fanout(folder: Path, endpoint: str, subscribers: int, rate: float, seconds: float) -> FanoutResult:
    """Publish `rate` messages per second for `seconds` to `subscribers`, one of them frozen from the start."""
    keys, key = folder / "keys", folder / "client.key"
    make_server_keys(keys)
    make_client_keys(keys, "bench", key)
    shares = [len(part) for part in np.array_split(np.arange(subscribers - 1), _PROCESSES)]
    dead = start("many", endpoint, 1, key, folder / "dead")
    processes = [start("many", endpoint, share, key, folder / f"part{n}") for n, share in enumerate(shares)]
    publisher = start("publish", endpoint, folder / "journal.db", rate, keys, folder / "disk")
    try:
        time.sleep(3.0)
        dead.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        publisher.send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)
    finally:
        for process in (publisher, dead, *processes):
            process.kill()
            process.wait()
    found = np.concatenate([json.loads((folder / f"part{n}").read_text()) for n in range(_PROCESSES)])
    p50, p99, most = np.percentile(found, (50, 99, 100))
    disk = np.percentile(json.loads((folder / "disk").read_text()), (50, 99))
    return FanoutResult(subscribers, len(found), (subscribers - 1) * rate * seconds, p50, p99, most, *disk)
