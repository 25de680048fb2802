"""The tool that fits the confidence of the photometric verifier and says how well it holds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from detector.verify.photometric.registry import CLUES
from helpers import ROOT

KEYS = [clue for clue in CLUES if clue.cost > 3][:8]


def trial(label: str, seed: int, *, lightning: bool) -> dict[str, Any]:
    """A result of ten candidates, whose clues are clear for lightning and against other lights, more or less."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(10):
        shares = rng.normal(1.4 if lightning else 0.7, 0.5, len(KEYS))
        found.append({c.key: c.against + s * (c.clear - c.against) for c, s in zip(KEYS, shares, strict=True)})
    case = {"about": "strength" if lightning else "lookalike", "label": label, "plan": {"sky": "night"}}
    flashes = [{"found": True, "evidence": one} for one in found] if lightning else []
    return {"case": case, "flashes": flashes, "alarms": [] if lightning else [{"evidence": one} for one in found]}


def reliability(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "tools" / "reliability.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_fits_on_all_and_measures_on_sources_left_out(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    trials = [trial("direct", 1, lightning=True), trial("lamp", 2, lightning=False), trial("cut", 3, lightning=False)]
    results.write_text("".join(json.dumps(one) + "\n" for one in trials))
    done = reliability(str(results))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("30 candidates, 10 of them lightning: SLOPE ")
    assert [line.partition(",")[0] for line in lines[1:3]] == ["confidence", "sum of clues"]
    assert sum(int(line.split()[3]) for line in lines[4:]) == 30
    less = reliability(str(results), "--without", "cut")
    assert less.stdout.startswith("20 candidates")


def test_one_source_alone_is_refused(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(json.dumps(trial("direct", 1, lightning=True)) + "\n")
    done = reliability(str(results))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2, "reliability.py: error: give candidates of two sources or more",
    )  # fmt: skip
