"""The tool that fits the confidence of the photometric verifier and says how well it holds."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from detector.verify.photometric.registry import CLUES
from helpers.bench import BENCH, bench

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


def test_it_fits_on_all_and_measures_on_sources_left_out(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    trials = [trial("direct", 1, lightning=True), trial("lamp", 2, lightning=False), trial("cut", 3, lightning=False)]
    results.write_text("".join(json.dumps(one) + "\n" for one in trials))
    fit, *rest = bench(tmp_path, "reliability", str(results))["figures"]
    assert (fit["candidates"], fit["lightning"]) == (30, 10)
    assert fit["SLOPE"] > 0
    assert [row["sources_left_out"] for row in rest[:2]] == ["confidence", "sum of clues"]
    assert sum(row["candidates"] for row in rest[2:]) == 30
    (tmp_path / "less").mkdir()
    less = bench(tmp_path / "less", "reliability", str(results), "--without", "cut")
    assert less["figures"][0]["candidates"] == 20


def test_one_source_alone_is_refused(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(json.dumps(trial("direct", 1, lightning=True)) + "\n")
    done = subprocess.run([*BENCH, "reliability", str(results)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "bench reliability: give candidates of two sources or more\n")
