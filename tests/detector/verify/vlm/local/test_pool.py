"""Workers on several devices: batches run side by side, and a worker that is lost costs no candidate."""

import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from helpers.candidates import candidate
from helpers.models import model_settings
from helpers.waiting import wait_until

pytest.importorskip("torch", reason="the extra minicpm is not installed")
pytest.importorskip("transformers", reason="the extra minicpm is not installed")

from detector.candidate import Candidate
from detector.events import Verdict
from detector.verify.base import parallelism
from detector.verify.batcher import Batcher
from detector.verify.vlm.local.process import ModelLost, ModelProcess
from detector.verify.vlm.local.snapshot import find_snapshot
from detector.verify.vlm.local.supervisor import ModelSupervisor
from detector.verify.vlm.local.verifier import MinicpmVerifier, loads_of
from detector.verify.vlm.question import VlmInput

pytestmark = [pytest.mark.model, pytest.mark.slow]
LIMIT_SECONDS = 90.0


@pytest.fixture(scope="module")
def two(hub_cache: Path) -> Iterator[MinicpmVerifier]:
    """A verifier with two workers that all tests share; each leaves both running."""
    settings = model_settings(minicpm={"device": "cpu, cpu"})
    verifier = MinicpmVerifier(settings, find_snapshot(settings.minicpm, hub_cache))
    for supervisor in verifier.pool.supervisors:
        supervisor.wait_loaded()
    yield verifier
    verifier.close()


def pid_of(supervisor: ModelSupervisor) -> int:
    supervisor.wait_loaded()
    assert supervisor.pid is not None
    return supervisor.pid


def clip(seed: int) -> VlmInput:
    return VlmInput([np.random.default_rng(seed).integers(0, 256, (90, 160, 3), dtype=np.uint8)], "Lightning?")


class Asking(threading.Thread):
    """Asks about one clip in a thread of its own."""

    def __init__(self, ask: Callable[[list[VlmInput]], object], seed: int) -> None:
        super().__init__()
        self._ask, self._seed = ask, seed
        self.reply: object = None
        self.start()

    def run(self) -> None:
        try:
            self.reply = self._ask([clip(self._seed)])
        except ModelLost as error:
            self.reply = error

    def log_odds(self) -> float:
        self.join(LIMIT_SECONDS)
        assert not self.is_alive()
        return self.reply.scores[0].log_odds  # type: ignore[attr-defined, no-any-return]


def test_each_device_has_a_worker_and_the_candidates_of_many_cameras_are_shared_out(two: MinicpmVerifier) -> None:
    assert (two.workers, two.calls) == (2, 4)
    assert (parallelism(two).workers, parallelism(two).calls) == (2, 4)
    one, other = two.pool.supervisors
    alone = {name: two.verify([candidate(name, peak=peak)])[0] for name, peak in (("dim", 60), ("bright", 200))}
    verdicts: defaultdict[str, list[Verdict]] = defaultdict(list)

    def answer(judged: Candidate, verdict: Verdict) -> None:
        verdicts[judged.id].append(verdict)

    batching = msgspec.structs.replace(model_settings().batcher, batch_size=2, batch_wait_ms=5.0, waiting_limit=100)
    busiest = 0
    # It is closed with the block, and the others still want it: only what a batcher needs is lent.
    with Batcher(_Lent(two), batching) as batcher:
        for pid in (pid_of(one), pid_of(other)):
            os.kill(pid, signal.SIGSTOP)
        for number in range(16):
            name, peak = ("dim", 60) if number % 2 else ("bright", 200)
            batcher.ask(candidate(f"{name}{number}", camera=f"cam{number % 8}", peak=peak), answer, wait=True)
        wait_until(lambda: one.asking == other.asking == 2, LIMIT_SECONDS)
        busiest = batcher.waiting
        for pid in (pid_of(one), pid_of(other)):
            os.kill(pid, signal.SIGCONT)
        assert batcher.drain(LIMIT_SECONDS)
    assert busiest == 16
    assert len(verdicts) == 16
    for name, told in verdicts.items():
        assert len(told) == 1, name
        expected = alone[name.rstrip("0123456789")].evidence["log_odds"]
        assert told[0].evidence["log_odds"] == pytest.approx(expected, abs=1e-4), "the answer to another question"


class _Lent:
    """A verifier that stays open."""

    def __init__(self, verifier: MinicpmVerifier) -> None:
        self.name, self.verify = verifier.name, verifier.verify
        self.workers, self.calls, self.largest_batch = verifier.workers, verifier.calls, verifier.largest_batch

    def close(self) -> None:
        pass


def test_a_process_holds_two_batches_and_each_asker_gets_its_own_scores(two: MinicpmVerifier) -> None:
    supervisor = two.pool.supervisors[0]
    expected = [supervisor.ask([clip(seed)]).scores[0].log_odds for seed in range(3)]
    assert len(set(expected)) == 3
    pid = pid_of(supervisor)
    os.kill(pid, signal.SIGSTOP)
    asking = [Asking(supervisor.ask, seed) for seed in range(3)]
    wait_until(lambda: supervisor.asking == 3, LIMIT_SECONDS)
    os.kill(pid, signal.SIGCONT)
    assert [one.log_odds() for one in asking] == pytest.approx(expected, abs=1e-5)


def test_both_batches_of_a_killed_process_are_asked_again(two: MinicpmVerifier) -> None:
    supervisor = two.pool.supervisors[0]
    expected = [supervisor.ask([clip(seed)]).scores[0].log_odds for seed in range(2)]
    restarts, pid = supervisor.restarts, pid_of(supervisor)
    os.kill(pid, signal.SIGSTOP)
    asking = [Asking(supervisor.ask, seed) for seed in range(2)]
    wait_until(lambda: supervisor.asking == 2, LIMIT_SECONDS)
    os.kill(pid, signal.SIGKILL)
    assert [one.log_odds() for one in asking] == pytest.approx(expected, abs=1e-5)
    assert supervisor.restarts == restarts + 1


def test_a_worker_that_cannot_be_had_back_hands_its_batch_to_the_other(hub_cache: Path, tmp_path: Path) -> None:
    """The first worker's snapshot is gone when it is started again."""
    settings = model_settings(minicpm={"device": "cpu,cpu"})
    folder = tmp_path / "snapshot"
    folder.mkdir()
    for path in find_snapshot(settings.minicpm, hub_cache).folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    local = model_settings(minicpm={"device": "cpu,cpu", "model": str(folder)})
    others = set(threading.enumerate())
    verifier = MinicpmVerifier(settings, find_snapshot(local.minicpm))
    try:
        first, second = verifier.pool.supervisors
        pid_of(second)
        pid = pid_of(first)
        (folder / "config.json").unlink()
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, LIMIT_SECONDS
        )
        verdicts = [verifier.verify([candidate(f"c{number}")])[0] for number in range(3)]
        assert [verdict.lightning is not None for verdict in verdicts] == [True] * 3, verdicts[0].reason
        assert second.restarts == 0
    finally:
        verifier.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("minicpm-") and t not in others]


def test_the_time_of_a_batch_begins_when_the_one_before_it_is_answered(hub_cache: Path) -> None:
    settings = model_settings().minicpm
    process = ModelProcess(loads_of(settings, find_snapshot(settings, hub_cache))[0])
    try:
        process.wait_loaded(LIMIT_SECONDS)
        expected = [process.ask([clip(seed)], LIMIT_SECONDS).scores[0].log_odds for seed in range(2)]
        os.kill(process.pid, signal.SIGSTOP)
        first = Asking(lambda clips: process.ask(clips, LIMIT_SECONDS), 0)
        wait_until(lambda: len(process._replies) == 1, LIMIT_SECONDS)
        second = Asking(lambda clips: process.ask(clips, 4.0), 1)
        wait_until(lambda: len(process._replies) == 2, LIMIT_SECONDS)
        second.join(5.0)
        assert second.is_alive(), "given up although the process had no time for it yet"
        os.kill(process.pid, signal.SIGCONT)
        assert [first.log_odds(), second.log_odds()] == pytest.approx(expected, abs=1e-5)
    finally:
        process.end()
