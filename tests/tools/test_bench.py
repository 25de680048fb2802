"""`tools/bench`: one command for all benchmarks, whose results say on what machine and with what they were made."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.process import Cost, in_turn, ratio, wall
from helpers import ROOT
from helpers.media import Clip, make_clip

BENCH = [sys.executable, str(ROOT / "tools" / "bench")]


@pytest.mark.parametrize("name", ["replay", "start", "jobs", "fast", "live"])
def test_every_benchmark_of_its_own_tells_its_flags(name: str) -> None:
    # A file of the same folder must not hide a module of the standard library from the others.
    done = subprocess.run([*BENCH, name, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: tools/bench")


def test_a_result_is_a_line_of_json_with_machine_versions_and_figures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(seconds=1.0, size=(320, 180)))
    words = ["replay", str(clip), "--times", "2", "--rounds", "1", "--json", str(tmp_path / "results.jsonl")]
    done = subprocess.run([*BENCH, *words], check=False, capture_output=True, cwd=tmp_path, env=None)
    assert done.returncode in (0, 1), done.stderr  # 1: so short a clip misses what must hold of long ones
    (line,) = (tmp_path / "results.jsonl").read_text().splitlines()
    result = json.loads(line)
    assert result["name"] == "replay"
    assert result["machine"]["cores"] >= 1
    assert {"python", "av", "numpy"} <= result["versions"].keys()
    (row,) = result["figures"]
    assert row["clip"] == "clip.mp4 x 2"
    assert row["replay_cpu_ratio"] > 0
    assert row["memory_mb"] > 20


def test_what_another_benchmark_prints_is_kept_with_the_same_facts(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(seconds=1.0, size=(320, 180)))
    out = tmp_path / "results.jsonl"
    subprocess.run([*BENCH, "prefilter", str(clip), "--json", str(out)], check=False, capture_output=True)
    result = json.loads(out.read_text())
    assert any("clip.mp4" in line for line in result["lines"])
    assert "commit" in result["versions"] or not (ROOT / ".git").exists()


def test_commands_are_run_turn_by_turn_and_compared_within_a_round(tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = {name: ["sh", "-c", f"echo {name} >> {log}"] for name in ("one", "two")}
    costs = in_turn(commands, 2)
    assert log.read_text().split() == ["one", "two"] * 3  # the first round is not counted
    assert [len(found) for found in costs.values()] == [2, 2]
    ours, others = [Cost(2.0, 0, 0), Cost(9.0, 0, 0), Cost(6.0, 0, 0)], [Cost(1.0, 0, 0), Cost(3.0, 0, 0)]
    assert ratio(ours[:2], others, wall) == 2.5


def test_the_other_checkout_is_the_one_that_start_compares_with(tmp_path: Path) -> None:
    program = tmp_path / "base" / "detector"
    program.mkdir(parents=True)
    (program / "__init__.py").touch()
    (program / "__main__.py").write_text("from pathlib import Path; Path(__file__).with_name('ran').touch()")
    words = [*BENCH, "start", "--rounds", "1", "--base", str(program.parent)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (program / "ran").exists()
    assert "wall_of_base" in done.stdout


def test_help_says_what_each_benchmark_measures() -> None:
    done = subprocess.run([*BENCH, "--help"], capture_output=True, text=True, check=True)
    for name in ("start", "live", "page", "model_host"):
        assert re.search(rf"^  {name} +\w.* .*\w", done.stdout, re.MULTILINE), name
