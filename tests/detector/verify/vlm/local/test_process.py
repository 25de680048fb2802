"""The model's process: loads from a pinned snapshot, and comes back whatever happens to it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers import ROOT
from helpers.candidates import candidate
from helpers.models import MODEL_47, REVISION_47, model_settings
from helpers.waiting import wait_until

pytest.importorskip("torch", reason="the extra minicpm is not installed")
pytest.importorskip("transformers", reason="the extra minicpm is not installed")

from detector.events import Verdict
from detector.verify.factory import choose_verifier
from detector.verify.vlm.local.snapshot import find_snapshot
from detector.verify.vlm.local.verifier import MinicpmVerifier

pytestmark = [pytest.mark.model, pytest.mark.slow]
LIMIT_SECONDS = 90.0


@pytest.fixture(scope="module")
def verifier(hub_cache: Path) -> Iterator[MinicpmVerifier]:
    """One that all tests share: each leaves it running, in a new process if it must."""
    settings = model_settings(minicpm={"answer_limit_seconds": 6.0})
    shared = MinicpmVerifier(settings, find_snapshot(settings.minicpm, hub_cache))
    yield shared
    shared.close()


@pytest.fixture
def start(hub_cache: Path) -> Iterator[Callable[..., MinicpmVerifier]]:
    """Starts a verifier on the tiny snapshot, changed as told, and closes it."""
    begun: list[MinicpmVerifier] = []

    def begin(snapshot_settings: dict[str, Any] | None = None, **minicpm: Any) -> MinicpmVerifier:
        settings = model_settings(minicpm=minicpm)
        looked_up = model_settings(minicpm=snapshot_settings or {}).minicpm
        begun.append(MinicpmVerifier(settings, find_snapshot(looked_up, hub_cache)))
        return begun[-1]

    yield begin
    for verifier in begun:
        verifier.close()


def test_the_pinned_model_loads_offline_from_the_hubs_cache_and_its_verdicts_say_who_spoke(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(hub_cache))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    chosen = {"model": MODEL_47, "revision": REVISION_47}
    verifier, line = choose_verifier(model_settings(minicpm=chosen))
    try:
        first, second = verifier.verify([candidate("a"), candidate("b", peak=80, size=(240, 320))])
    finally:
        verifier.close()
    assert line.startswith(f"verifier: minicpm, {MODEL_47} at {REVISION_47} (asked for), prompt 2-")
    assert (first.model, first.model_revision, first.verifier) == (MODEL_47, REVISION_47, "minicpm")
    assert (first.prompt_version or "").startswith("2-")
    assert first.lightning is not None
    assert first.probability is not None
    assert first.seconds is not None
    assert first.seconds > 0
    assert set(first.evidence) == {"log_odds", "answer_mass"}
    assert first.evidence["log_odds"] != second.evidence["log_odds"]


def test_a_killed_process_is_replaced_and_the_batch_that_it_held_is_asked_again(
    verifier: MinicpmVerifier,
) -> None:
    restarts = verifier.pool.supervisors[0].restarts
    before = verifier.verify([candidate("a")])
    pid = verifier.pool.supervisors[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that the ask is surely under way when the end comes
    answers: list[Verdict] = []
    asking = threading.Thread(target=lambda: answers.extend(verifier.verify([candidate("a")])))
    asking.start()
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, LIMIT_SECONDS)
    os.kill(pid, signal.SIGKILL)
    asking.join(LIMIT_SECONDS)
    assert answers[0].evidence == before[0].evidence
    assert verifier.pool.supervisors[0].pid != pid
    assert verifier.pool.supervisors[0].restarts == restarts + 1


def test_a_process_that_dies_while_nobody_asks_comes_back_by_itself(verifier: MinicpmVerifier) -> None:
    verifier.pool.supervisors[0].wait_loaded()
    pid = verifier.pool.supervisors[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: verifier.pool.supervisors[0].pid not in (pid, None), LIMIT_SECONDS)
    assert verifier.verify([candidate("a")])[0].lightning is not None


def test_a_stopped_process_is_given_up_after_its_limit_and_replaced(verifier: MinicpmVerifier) -> None:
    verifier.verify([candidate("a")])
    pid = verifier.pool.supervisors[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    verdict = verifier.verify([candidate("a")])[0]
    assert verdict.lightning is not None, verdict.reason
    assert not psutil.pid_exists(pid)


@pytest.fixture
def broken(hub_cache: Path, tmp_path: Path) -> Path:
    """A snapshot that looks whole and cannot be loaded: its weights are of another shape than its config says."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in find_snapshot(model_settings().minicpm, hub_cache).folder.iterdir():
        content = path.read_bytes()
        if path.name == "config.json":
            content = content.replace(b'"num_attention_heads": 2', b'"num_attention_heads": 5')
        (folder / path.name).write_bytes(content)
    return folder


def test_a_model_that_cannot_load_answers_unverified_with_the_reason_and_rests_between_tries(
    start: Callable[..., MinicpmVerifier], broken: Path
) -> None:
    verifier = start({"model": str(broken)})
    first = verifier.verify([candidate("a"), candidate("b")])
    assert [verdict.lightning for verdict in first] == [None, None]
    assert "could not be loaded" in (first[0].reason or "")
    asked, resting = 0, False
    while not resting:
        asked += 1
        assert asked < 6, "it never rests"
        began = time.monotonic()
        reason = verifier.verify([candidate("a")])[0].reason or ""
        resting = "next try in" in reason
    assert time.monotonic() - began < 1.0, "while it rests it answers at once"


def test_closing_ends_a_wait_for_an_answer(start: Callable[..., MinicpmVerifier]) -> None:
    verifier = start()
    verifier.pool.supervisors[0].wait_loaded()
    pid = verifier.pool.supervisors[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    answers: list[Verdict] = []
    asking = threading.Thread(target=lambda: answers.extend(verifier.verify([candidate("a")])))
    asking.start()
    wait_until(lambda: verifier.pool.supervisors[0].asking == 1, LIMIT_SECONDS)
    began = time.monotonic()
    verifier.close()
    asking.join(LIMIT_SECONDS)
    assert not asking.is_alive()
    assert time.monotonic() - began < 10.0
    assert answers[0].lightning is None
    assert not psutil.pid_exists(pid)
    verifier.close()


def test_the_process_ends_when_the_program_is_killed(hub_cache: Path, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path[:0] = {[str(ROOT / 'tests')]!r}\n"
        "from pathlib import Path; from helpers.models import model_settings\n"
        "from detector.verify.vlm.local.snapshot import find_snapshot\n"
        "from detector.verify.vlm.local.verifier import MinicpmVerifier\n"
        "settings = model_settings()\n"
        f"verifier = MinicpmVerifier(settings, find_snapshot(settings.minicpm, Path({str(hub_cache)!r})))\n"
        "worker = verifier.pool.supervisors[0]; worker.wait_loaded(); print(worker.pid, flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    with psutil.Popen([sys.executable, "-c", program], stdout=-1, text=True, cwd=tmp_path) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    wait_until(
        lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE, LIMIT_SECONDS
    )


def test_the_process_has_the_threads_and_the_quiet_that_decoding_needs(verifier: MinicpmVerifier) -> None:
    loaded = verifier.pool.supervisors[0].wait_loaded()
    process = psutil.Process(verifier.pool.supervisors[0].pid)
    environment = process.environ()
    assert loaded.threads == 1
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert "OMP_WAIT_POLICY" not in os.environ, "ours stays as it was"
