"""Twenty kills of broker and bridge at 20 events a second: every event arrives, none again behind the cursor."""

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import pytest

from helpers.broker import missing, running_broker
from helpers.mqtt_bridge import SITE, Site, bridge, site
from helpers.mqtt_tap import tap
from helpers.waiting import wait_until
from stream import HistoryFilter, read_history

pytestmark = [pytest.mark.mqtt, pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

KILLS = int(os.environ.get("MQTT_KILLS", "20"))
EVENTS_PER_SECOND = 20.0
EVENTS = f"lightning/{SITE}/event/"


@dataclass
class Sent:
    """What the bridge sent, as the tap saw it.

    Attributes:
        numbers: of the events, in the order in which they were sent.
        behind: those that the cursor was behind already.
        acknowledged: those that a broker has acknowledged. What a killed broker had acknowledged and not yet handed on
            is the broker's loss, so a listener cannot be the measure.
    """

    place: Path
    numbers: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)

    def see(self, topic: str, payload: bytes) -> None:
        if topic.startswith(EVENTS):
            number = int(msgspec.json.decode(payload)["sequence"])
            if number <= self.reached():
                self.behind.append(number)
            self.numbers.append(number)

    def acknowledge(self, topic: str, payload: bytes) -> None:
        if topic.startswith(EVENTS):
            self.acknowledged.add(int(msgspec.json.decode(payload)["sequence"]))

    def reached(self) -> int:
        with suppress(FileNotFoundError):
            feeds = msgspec.json.decode(self.place.read_bytes())["feeds"]
            return max(one["sequence"] for one in [*feeds.values(), {"sequence": 0}])
        return 0


@contextmanager
def flashing(north: Site) -> Iterator[list[float]]:
    """Publish flashes of two cameras at a steady rate while the block lasts; gives the times of each."""
    times: list[float] = []
    ended = threading.Event()

    def work() -> None:
        due = time.monotonic()
        while not ended.is_set():
            north.flash(("roof", "yard")[len(times) % 2])
            times.append(time.monotonic())
            due += 1 / EVENTS_PER_SECOND
            ended.wait(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=work, name="flashes")
    thread.start()
    try:
        yield times
    finally:
        ended.set()
        thread.join()


@pytest.mark.timeout(2400)
def test_twenty_kills_lose_nothing_and_repeat_nothing_behind_the_cursor(tmp_path: Path) -> None:
    dice = random.Random(26)
    sent = Sent(tmp_path / "place")
    words = ("--cursor", str(sent.place), "--discovery", "homeassistant")
    with (
        running_broker(tmp_path / "broker") as broker,
        site(tmp_path, "roof", "yard") as north,
        tap(broker.tls_port, broker.folder, sent.see, sent.acknowledge) as port,
        ExitStack() as stack,
    ):

        def start() -> psutil.Process:
            return stack.enter_context(bridge(north.endpoint, broker, *words, log=tmp_path / "log", port=port))

        running = start()
        wait_until(sent.place.exists, 300)
        with flashing(north) as times:
            wait_until(lambda: len(sent.acknowledged) > 20, 300)
            for kill in range(KILLS):
                time.sleep(dice.uniform(0.5, 2.0))  # anywhere within a stretch of work, not at a known moment of it
                if kill % 2:
                    broker.kill()
                    time.sleep(dice.uniform(0.0, 1.0))
                    broker.start()
                else:
                    running.kill()
                    running = start()
                goal = len(times)
                wait_until(lambda goal=goal: len(sent.acknowledged) >= goal, 300)
            seconds, count = times[-1] - times[0], len(times)
        kept = [record.message for record in read_history(north.journal, HistoryFilter())]
        expected = [int(message.sequence) for message in kept]
        wait_until(lambda: set(expected) <= sent.acknowledged, 300)
    again = len(sent.numbers) - len(set(sent.numbers))
    print(  # noqa: T201 - the figures of `make mqtt`
        f"{KILLS} kills in {seconds:.0f} s, {count / seconds:.1f} flashes/s, {len(expected)} events: "
        f"{len(set(expected) - sent.acknowledged)} lost, {len(sent.behind)} again behind the cursor, "
        f"{again} sent again before it moved"
    )
    assert expected == list(range(1, len(expected) + 1))
    assert not sent.behind
    assert set(sent.numbers) == set(expected)
    assert again <= 20 * KILLS  # what was under way at each kill
    assert count / seconds > EVENTS_PER_SECOND * 0.8
