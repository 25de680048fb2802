"""The fuzz of recordings: mutants follow from their seed, and its judge sees every fault."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.mutants import mutate
from fuzz.trial import Outcome
from helpers import ROOT

GOOD = Outcome(code=0, errors="", confirmed=0, peak_mb=90.0, seconds=1.0, hung=False)


def test_a_mutant_follows_from_its_seed_and_differs_from_the_file() -> None:
    data = bytes(range(256)) * 64
    made = [mutate(data, seed) for seed in range(100)]
    assert made == [mutate(data, seed) for seed in range(100)]
    assert len({name for name, _ in made}) == 7
    assert sum(damaged != data for _, damaged in made) > 90


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"errors": "Traceback (most recent call last)"}, "traceback"),
        ({"hung": True, "code": -9}, "hang"),
        ({"code": -11}, "exit -11"),
        ({"code": 1}, "failed in silence"),
        ({"peak_mb": 500.0}, "500 MB"),
        ({"confirmed": 2}, "2 confirmed"),
    ],
)
def test_each_fault_is_seen(changed: dict[str, object], fault: str) -> None:
    assert GOOD.faults(400) == []
    assert replace(GOOD, **changed).faults(400) == [fault]  # type: ignore[arg-type]


@pytest.mark.soak
def test_a_few_mutants_of_each_container_do_no_harm(tmp_path: Path) -> None:
    tool = ROOT / "tools" / "fuzz_files.py"
    words = [sys.executable, str(tool), "--count", "8", "--seed", "100", "--keep", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 mutants from seed 100" in done.stdout
