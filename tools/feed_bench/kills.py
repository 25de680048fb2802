"""Kill publisher and subscriber at random, and compare what arrived with what is in the journal."""

import random
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from feed_bench.roles import start
from stream import HistoryFilter, read_history


@dataclass(frozen=True)
class KillResult:
    """The result of the measurement."""

    publisher_kills: int
    subscriber_kills: int
    committed: int
    delivered: int
    lost: int
    doubled: int
    swapped: int
    plain_lost: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether nothing was lost or doubled, and all was in order."""
        return self.committed > 0 and not (self.lost or self.doubled or self.swapped)


def measure_kills(folder: Path, endpoint: str, kills: int, rate: float, seed: int) -> KillResult:
    """Kill the publisher `kills` times at `rate` messages per second, and the subscriber now and then."""
    dice = random.Random(seed)
    journal, kept, bare = folder / "journal.db", folder / "kept", folder / "plain"
    began = time.monotonic()
    publisher = start("publish", endpoint, journal, rate)
    subscriber = start("keep", endpoint, kept)
    plain = start("plain", endpoint, bare)
    subscriber_kills = 0
    try:
        for number in range(kills):
            _wait_for_messages(journal, after=_last(journal))
            time.sleep(dice.uniform(0.0, 0.6))
            if dice.random() < 0.4:
                subscriber = _replace(subscriber, "keep", endpoint, kept)
                subscriber_kills += 1
            publisher = _replace(publisher, "publish", endpoint, journal, rate)
            if (number + 1) % 10 == 0:
                print(f"{number + 1} kills, {_last(journal)} messages", flush=True)
        _wait_for_messages(journal, after=_last(journal))
        publisher.send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        last = _last(journal)
        _wait_until_kept(kept, last)
    finally:
        for process in (publisher, subscriber, plain):
            process.kill()
            process.wait()
    return _compare(journal, kept, bare, (kills, subscriber_kills, time.monotonic() - began))


def _replace(process: "subprocess.Popen[bytes]", role: str, *words: object) -> "subprocess.Popen[bytes]":
    process.kill()
    process.wait()
    return start(role, *words)


def _last(journal: Path) -> int:
    """Return the last number in the journal."""
    with suppress(Exception):  # there is no journal yet
        for kept in read_history(journal, HistoryFilter(since=0, newest=1)):
            return kept.sequence
    return 0


def _wait_for_messages(journal: Path, after: int, limit_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + limit_seconds
    while _last(journal) <= after:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the publisher committed nothing for {limit_seconds:g} s")
        time.sleep(0.05)


def _wait_until_kept(kept: Path, last: int, limit_seconds: float = 60.0) -> None:
    deadline = time.monotonic() + limit_seconds
    while time.monotonic() < deadline:
        lines = kept.read_text().splitlines() if kept.exists() else []
        if lines and int(lines[-1].split()[2]) >= last:
            return
        time.sleep(0.2)


def _compare(journal: Path, kept: Path, bare: Path, counted: tuple[int, int, float]) -> KillResult:
    committed = [one.message.id for one in read_history(journal, HistoryFilter())]
    delivered = [line.split()[3] for line in kept.read_text().splitlines()]
    numbers = [int(line.split()[2]) for line in kept.read_text().splitlines()]
    seen_plain = {int(number) for number in bare.read_text().split()} if bare.exists() else set()
    return KillResult(
        publisher_kills=counted[0],
        subscriber_kills=counted[1],
        committed=len(committed),
        delivered=len(delivered),
        lost=len(set(committed) - set(delivered)),
        doubled=len(delivered) - len(set(delivered)),
        swapped=sum(1 for before, after in pairwise(numbers) if after <= before),
        plain_lost=len(committed) - len(seen_plain & set(range(1, len(committed) + 1))),
        seconds=counted[2],
    )
