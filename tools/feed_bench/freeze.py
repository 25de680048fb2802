"""Freeze a subscriber, let it continue, and check that it catches up; measure the publisher's memory meanwhile."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from feed_bench.roles import start
from stream import HistoryFilter, read_history


@dataclass(frozen=True)
class FreezeResult:
    """The result of the measurement."""

    frozen_seconds: float
    committed: int
    missing: int
    doubled: int
    behind: int
    caught_up_seconds: float
    memory_before_mb: float
    memory_most_mb: float

    @property
    def holds(self) -> bool:
        """Whether everything arrived once, and the publisher grew by less than 20 MB."""
        grown = self.memory_most_mb - self.memory_before_mb
        return self.committed > 0 and not self.missing and not self.doubled and grown < 20


def measure_freeze(folder: Path, endpoint: str, seconds: float, rate: float) -> FreezeResult:
    """Freeze (SIGSTOP) a subscriber for `seconds` while `rate` messages per second are published."""
    journal, kept = folder / "journal.db", folder / "kept"
    publisher = start("publish", endpoint, journal, rate)
    subscriber = start("keep", endpoint, kept)
    try:
        _wait_for(kept, 3 * rate)
        memory = psutil.Process(publisher.pid).memory_info
        before = memory().rss
        subscriber.send_signal(signal.SIGSTOP)
        most, end = before, time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.5)
            most = max(most, memory().rss)
        had = _lines(kept)
        subscriber.send_signal(signal.SIGCONT)
        thawed = time.monotonic()
        target = sum(1 for _ in read_history(journal, HistoryFilter()))
        _wait_for(kept, target)
        caught_up = time.monotonic() - thawed
        publisher.send_signal(signal.SIGUSR1)
        time.sleep(1.5)
        most = max(most, memory().rss)
        committed = [one.message.id for one in read_history(journal, HistoryFilter())]
        _wait_for(kept, len(committed))
        got = [line.split()[3] for line in kept.read_text().splitlines()]
    finally:
        for process in (publisher, subscriber):
            process.kill()
            process.wait()
    return FreezeResult(
        frozen_seconds=seconds,
        committed=len(committed),
        missing=len(set(committed) - set(got)),
        doubled=len(got) - len(set(got)),
        behind=target - had,
        caught_up_seconds=caught_up,
        memory_before_mb=before / 1e6,
        memory_most_mb=most / 1e6,
    )


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _wait_for(path: Path, lines: float, limit_seconds: float = 60.0) -> None:
    deadline = time.monotonic() + limit_seconds
    while _lines(path) < lines:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{_lines(path)} of {lines:.0f} messages came within {limit_seconds:g} s")
        time.sleep(0.05)
