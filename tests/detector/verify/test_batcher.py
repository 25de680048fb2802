"""Batcher: every candidate is answered, in time, whatever the verifier does."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from detector.candidate import Candidate
from detector.events import Verdict
from detector.settings import BatcherSettings, load_settings
from detector.verify.base import NullVerifier
from detector.verify.batcher import Batcher
from helpers.candidates import candidate
from helpers.waiting import wait_until

LIMIT_SECONDS = 20.0


def settings(**changes: object) -> BatcherSettings:
    return msgspec.structs.replace(load_settings().batcher, **{"batch_wait_ms": 5.0, **changes})


def lightning(name: str = "fake") -> Verdict:
    return Verdict(lightning=True, probability=0.9, verifier=name)


@dataclass
class Gated:
    """A slow verifier that answers a batch only when the test opens its gate."""

    name: str = "gated"
    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    closed: bool = False

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        self.batches.append([c.id for c in candidates])
        self.sizes.extend(max(c.peak.luma.shape) for c in candidates)
        assert self.gate.wait(LIMIT_SECONDS)
        return [lightning() for _ in candidates]

    def close(self) -> None:
        self.closed = True
        self.gate.set()


class Answers:
    """What came back for each candidate, in order."""

    def __init__(self) -> None:
        self.by_id: defaultdict[str, list[Verdict]] = defaultdict(list)

    def __call__(self, judged: Candidate, verdict: Verdict) -> None:
        self.by_id[judged.id].append(verdict)

    def states(self, name: str) -> list[str]:
        return [verdict.state for verdict in self.by_id[name]]


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def gated() -> Iterator[Gated]:
    verifier = Gated()
    yield verifier
    verifier.gate.set()


def test_a_verifier_that_answers_at_once_is_asked_inline_and_in_order(answers: Answers) -> None:
    order: list[tuple[str, str]] = []
    with Batcher(NullVerifier(), settings()) as batcher:
        for number in range(5):
            batcher.ask(candidate(f"c{number}"), lambda c, v: order.append((c.id, threading.current_thread().name)))
    assert order == [(f"c{number}", "MainThread") for number in range(5)]


def test_candidates_of_all_cameras_share_a_batch(gated: Gated, answers: Answers) -> None:
    with Batcher(gated, settings(batch_size=4, batch_wait_ms=60_000)) as batcher:
        for camera in "abcd":
            batcher.ask(candidate(camera, camera=camera), answers)
        gated.gate.set()
        assert batcher.drain(LIMIT_SECONDS)
    assert gated.batches == [["a", "b", "c", "d"]]
    assert all(answers.states(camera) == ["confirmed"] for camera in "abcd")


def test_a_batch_that_does_not_fill_closes_after_its_wait(gated: Gated, answers: Answers) -> None:
    gated.gate.set()
    with Batcher(gated, settings(batch_size=64, batch_wait_ms=20)) as batcher:
        batcher.ask(candidate("only"), answers)
        assert batcher.drain(LIMIT_SECONDS)
    assert answers.states("only") == ["confirmed"]


def test_a_busy_camera_starves_no_other(gated: Gated, answers: Answers) -> None:
    with Batcher(gated, settings(batch_size=2, waiting_limit=100)) as batcher:
        batcher.ask(candidate("first", camera="busy"), answers)
        wait_until(lambda: len(gated.batches) == 1)
        for number in range(20):
            batcher.ask(candidate(f"busy{number:02}", camera="busy"), answers)
        batcher.ask(candidate("quiet", camera="quiet"), answers)
        gated.gate.set()
        assert batcher.drain(LIMIT_SECONDS)
    assert gated.batches[1] == ["busy00", "quiet"]
    busy = [name for batch in gated.batches for name in batch if name.startswith("busy")]
    assert busy == sorted(busy), "a camera's own candidates are judged oldest first"


def test_a_live_candidate_past_its_deadline_is_unverified_first_and_judged_later(
    gated: Gated, answers: Answers
) -> None:
    with Batcher(gated, settings(deadline_seconds=0.05)) as batcher:
        batcher.ask(candidate("late"), answers)
        wait_until(lambda: answers.states("late") == ["unverified"])
        assert "late" in (answers.by_id["late"][0].reason or "")
        gated.gate.set()
        assert batcher.drain(LIMIT_SECONDS)
        assert batcher.counts.late == 1
    assert answers.states("late") == ["unverified", "confirmed"]


def test_late_candidates_are_counted_and_said_once_not_each(
    gated: Gated, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    with Batcher(gated, settings(deadline_seconds=0.02)) as batcher:
        for number in range(5):
            batcher.ask(candidate(f"c{number}"), answers)
            wait_until(lambda: answers.states(f"c{number}") == ["unverified"])  # noqa: B023 - within the turn
        assert batcher.counts.late == 5
    assert len([record for record in caplog.records if "published as unverified" in record.message]) == 1


def test_a_file_waits_for_its_verdict_past_any_deadline(gated: Gated, answers: Answers) -> None:
    with Batcher(gated, settings(deadline_seconds=0.01)) as batcher:
        batcher.ask(candidate("file"), answers, wait=True)
        wait_until(lambda: len(gated.batches) == 1)
        assert not batcher.drain(0.1)
        gated.gate.set()
        assert batcher.drain(LIMIT_SECONDS)
    assert answers.states("file") == ["confirmed"]


def test_asking_for_a_live_camera_never_waits_and_what_does_not_fit_is_unverified(
    gated: Gated, answers: Answers
) -> None:
    with Batcher(gated, settings(batch_size=1, waiting_limit=4)) as batcher:
        batcher.ask(candidate("held", camera="a"), answers)
        wait_until(lambda: len(gated.batches) == 1)
        for number in range(10):
            batcher.ask(candidate(f"c{number}", camera="a"), answers)
        batcher.ask(candidate("other", camera="b"), answers)
        assert batcher.waiting <= 4 + batcher.counts.dropped
        wait_until(lambda: sum(map(len, answers.by_id.values())) == batcher.counts.dropped == 8)
        gated.gate.set()
        assert batcher.drain(LIMIT_SECONDS)
    assert answers.states("other") == ["confirmed"], "the camera with few candidates keeps them"
    assert [answers.states(f"c{n}") for n in range(10)] == [["unverified"]] * 8 + [["confirmed"]] * 2
    assert "too many" in (answers.by_id["c0"][0].reason or "")


def test_a_file_waits_for_room(gated: Gated, answers: Answers) -> None:
    with Batcher(gated, settings(batch_size=1, waiting_limit=2)) as batcher:
        for number in range(2):
            batcher.ask(candidate(f"c{number}"), answers, wait=True)
        third = threading.Thread(target=batcher.ask, args=(candidate("c2"), answers), kwargs={"wait": True})
        third.start()
        third.join(0.1)
        assert third.is_alive(), "asked although there was no room"
        gated.gate.set()
        third.join(LIMIT_SECONDS)
        assert not third.is_alive()
        assert batcher.drain(LIMIT_SECONDS)
        assert batcher.counts.dropped == 0
    assert len(answers.by_id) == 3


def test_waiting_candidates_keep_small_pictures_only(gated: Gated, answers: Answers) -> None:
    gated.gate.set()
    with Batcher(gated, settings(picture_side_pixels=128)) as batcher:
        batcher.ask(candidate("wide", size=(1080, 1920)), answers)
        assert batcher.drain(LIMIT_SECONDS)
    assert max(gated.sizes) <= 128


class Moody:
    """Raises, runs out of memory, falls silent for a while or answers, at random."""

    name = "moody"

    def __init__(self) -> None:
        self.dice = random.Random(7)

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        match self.dice.randrange(5):
            case 0:
                raise RuntimeError("broken")
            case 1:
                raise MemoryError("8 GiB wanted")
            case 2:
                threading.Event().wait(0.15)
            case 3:
                return []
        return [lightning() for _ in candidates]

    def close(self) -> None:
        pass


def test_a_verifier_that_raises_hangs_or_runs_out_of_memory_loses_no_candidate(answers: Answers) -> None:
    asked = [f"{camera}{number}" for number in range(60) for camera in "abcd"]
    with Batcher(Moody(), settings(deadline_seconds=0.1, waiting_limit=1000)) as batcher:
        for name in asked:
            batcher.ask(candidate(name, camera=name[0], size=(36, 64)), answers)
        assert batcher.drain(60)
    for name in asked:
        states = answers.states(name)
        assert len(states) == 1 or (len(states) == 2 and states[0] == "unverified"), f"{name}: {states}"
        assert "rejected" not in states, "a failure is not a no"
    assert batcher.waiting == 0


def test_out_of_memory_halves_the_batch_and_goes_on(answers: Answers) -> None:
    sizes: list[int] = []

    class Small:
        name = "small"

        def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
            sizes.append(len(candidates))
            if len(candidates) > 2:
                raise MemoryError("card full")
            return [lightning() for _ in candidates]

        def close(self) -> None:
            pass

    with Batcher(Small(), settings(batch_size=8, batch_wait_ms=60_000)) as batcher:
        for number in range(16):
            batcher.ask(candidate(f"c{number:02}"), answers)
        assert batcher.drain(LIMIT_SECONDS)
    assert sizes[:2] == [8, 4], "the first batch is halved until it fits"
    assert all(size <= 2 for size in sizes[-4:]), "the next batches start with what fitted"
    assert all(answers.states(f"c{number:02}") == ["confirmed"] for number in range(16))


def test_a_verifier_that_never_returns_holds_nobody_for_ever(gated: Gated, answers: Answers) -> None:
    with Batcher(gated, settings(batch_size=1, waiting_limit=2, stuck_seconds=0.1)) as batcher:
        for number in range(5):
            batcher.ask(candidate(f"c{number}"), answers, wait=True)
        assert batcher.drain(LIMIT_SECONDS)
        assert all(answers.states(f"c{number}") == ["unverified"] for number in range(5))


def test_once_stopped_nobody_waits_for_a_verifier_that_hangs(gated: Gated, answers: Answers) -> None:
    stop = threading.Event()
    with Batcher(gated, settings(batch_size=1, waiting_limit=2), stop) as batcher:
        for number in range(2):
            batcher.ask(candidate(f"c{number}"), answers, wait=True)
        third = threading.Thread(target=batcher.ask, args=(candidate("c2"), answers), kwargs={"wait": True})
        third.start()
        wait_until(lambda: batcher.counts.asked == 3)
        stop.set()
        third.join(LIMIT_SECONDS / 4)
        assert not third.is_alive(), "a file still waits for room"
        began = time.monotonic()
        assert not batcher.drain()
        assert time.monotonic() - began < LIMIT_SECONDS / 4
    assert [answers.states(f"c{number}")[-1] for number in (1, 2)] == ["unverified"] * 2


def test_leaving_the_block_answers_what_is_left_and_closes_the_verifier(gated: Gated, answers: Answers) -> None:
    with Batcher(gated, settings(batch_size=1)) as batcher:
        for number in range(3):
            batcher.ask(candidate(f"c{number}"), answers)
        wait_until(lambda: len(gated.batches) == 1)
    assert gated.closed
    assert [len(answers.by_id[f"c{number}"]) for number in range(3)] == [1, 1, 1]
    assert answers.states("c2") == ["unverified"]
    assert not [t for t in threading.enumerate() if t.name.startswith("batcher")]


def test_what_an_answer_raises_reaches_the_owner_and_the_others_are_still_told(gated: Gated, answers: Answers) -> None:
    gated.gate.set()

    def full_disk(judged: Candidate, verdict: Verdict) -> None:
        raise OSError("disk full")

    def run() -> None:
        with Batcher(gated, settings()) as batcher:
            batcher.ask(candidate("c0"), full_disk)
            batcher.ask(candidate("c1"), answers)
            wait_until(lambda: answers.states("c1") == ["confirmed"])
            batcher.drain(LIMIT_SECONDS)

    with pytest.raises(OSError, match="disk full"):
        run()


def test_what_one_cameras_answer_raises_is_said_of_it_and_stops_no_other_camera(
    gated: Gated, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    gated.gate.set()

    def full_disk(judged: Candidate, verdict: Verdict) -> None:
        raise OSError("disk full")

    def run() -> None:
        with Batcher(gated, settings()) as batcher:
            batcher.ask(candidate("c0", camera="north"), full_disk)
            wait_until(lambda: batcher.waiting == 0)
            batcher.ask(candidate("c1", camera="south"), answers)
            wait_until(lambda: answers.states("c1") == ["confirmed"])

    with pytest.raises(OSError, match="disk full"):
        run()
    assert answers.states("c1") == ["confirmed"]
    assert [line for line in caplog.messages if line.startswith("north: ") and "disk full" in line]


def test_cameras_are_asked_from_many_threads_with_a_slow_verifier_and_nothing_is_lost(answers: Answers) -> None:
    class Slow:
        name = "slow"

        def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
            threading.Event().wait(0.05)
            return [lightning() for _ in candidates]

        def close(self) -> None:
            pass

    longest: list[float] = []

    def watch(batcher: Batcher, camera: str) -> None:
        for number in range(50):
            began = time.monotonic()
            batcher.ask(candidate(f"{camera}{number}", camera=camera, size=(36, 64)), answers)
            longest.append(time.monotonic() - began)

    with Batcher(Slow(), settings(batch_size=4, waiting_limit=16, deadline_seconds=0.2)) as batcher:
        cameras = [threading.Thread(target=watch, args=(batcher, camera)) for camera in "abcd"]
        for thread in cameras:
            thread.start()
        for thread in cameras:
            thread.join(LIMIT_SECONDS)
        assert batcher.drain(LIMIT_SECONDS)
    assert len(answers.by_id) == 200
    assert batcher.counts.dropped > 0
    assert max(longest) < 5.0, "asking must not wait for the verifier"


@dataclass
class TwoCards:
    """A verifier with two workers that prepares a further batch for each; a batch ends when the test lets it."""

    name: str = "two cards"
    workers: int = 2
    calls: int = 4
    largest_batch: int = 0
    under_way: dict[str, threading.Event] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        gate = threading.Event()
        with self.lock:
            self.under_way[candidates[0].id] = gate
            self.sizes.append(len(candidates))
            if self.closed:
                gate.set()
        assert gate.wait(LIMIT_SECONDS)
        with self.lock:
            del self.under_way[candidates[0].id]
        return [lightning() for _ in candidates]

    def let_go(self, first: str) -> None:
        with self.lock:
            self.under_way[first].set()

    def close(self) -> None:
        with self.lock:
            self.closed = True
            for gate in self.under_way.values():
                gate.set()


def test_a_verifier_with_two_workers_holds_several_batches_and_they_may_end_in_any_order(answers: Answers) -> None:
    cards = TwoCards()
    with Batcher(cards, settings(batch_size=2, batch_wait_ms=60_000)) as batcher:
        for number in range(8):
            batcher.ask(candidate(f"c{number}", camera=f"cam{number}"), answers, wait=True)
        wait_until(lambda: len(cards.under_way) == 4)
        assert batcher.waiting == 8
        cards.let_go("c4")
        wait_until(lambda: answers.states("c4") == answers.states("c5") == ["confirmed"])
        assert not answers.by_id.keys() - {"c4", "c5"}, "a batch that is still under way was answered"
        for first in ("c0", "c2", "c6"):
            cards.let_go(first)
        assert batcher.drain(LIMIT_SECONDS)
    assert all(answers.states(f"c{number}") == ["confirmed"] for number in range(8))
    assert not [t for t in threading.enumerate() if t.name.startswith("batcher")]


def test_while_all_workers_are_busy_candidates_gather_and_their_batch_grows(answers: Answers) -> None:
    cards = TwoCards(workers=1, calls=2, largest_batch=6)
    with Batcher(cards, settings(batch_size=4, batch_wait_ms=0)) as batcher:
        batcher.ask(candidate("c0"), answers)
        wait_until(lambda: "c0" in cards.under_way)
        for number in range(1, 4):
            batcher.ask(candidate(f"c{number}"), answers)
        assert cards.sizes == [1], "three of four are no batch while the worker is busy"
        batcher.ask(candidate("c4"), answers)
        wait_until(lambda: "c1" in cards.under_way)
        for number in range(5, 13):
            batcher.ask(candidate(f"c{number:02}"), answers)
        assert cards.sizes == [1, 4], "no more than two batches are held"
        cards.let_go("c0")
        wait_until(lambda: "c05" in cards.under_way)
        cards.close()
        assert batcher.drain(LIMIT_SECONDS)
    assert cards.sizes == [1, 4, 6, 2]


def test_one_worker_that_never_returns_costs_its_own_batch_and_no_other(answers: Answers) -> None:
    cards = TwoCards(calls=2)
    with Batcher(cards, settings(batch_size=1, stuck_seconds=2.0, waiting_limit=100)) as batcher:
        batcher.ask(candidate("stuck"), answers, wait=True)
        wait_until(lambda: "stuck" in cards.under_way)
        for number in range(3):
            batcher.ask(candidate(f"c{number}"), answers, wait=True)
            wait_until(lambda: f"c{number}" in cards.under_way)  # noqa: B023 - within the turn
            cards.let_go(f"c{number}")
        wait_until(lambda: answers.states("stuck") == ["unverified"])
        batcher.ask(candidate("c3"), answers, wait=True)
        wait_until(lambda: "c3" in cards.under_way)
        cards.let_go("c3")
        wait_until(lambda: answers.states("c3") == ["confirmed"])
    assert all(answers.states(f"c{number}") == ["confirmed"] for number in range(4))


def test_what_several_workers_hold_takes_no_room_from_those_that_wait(answers: Answers) -> None:
    cards = TwoCards(workers=2, calls=2)
    with Batcher(cards, settings(batch_size=2, batch_wait_ms=60_000, waiting_limit=4)) as batcher:
        for number in range(4):
            batcher.ask(candidate(f"c{number}", camera=f"cam{number}"), answers)
        wait_until(lambda: len(cards.under_way) == 2)
        for number in range(4, 6):
            batcher.ask(candidate(f"c{number}", camera=f"cam{number}"), answers)
        assert (batcher.counts.dropped, batcher.waiting) == (0, 6)
        batcher.ask(candidate("c6", camera="cam6"), answers)
        assert batcher.counts.dropped == 1
        cards.close()
        assert batcher.drain(LIMIT_SECONDS)
