"""`tools/bench`: one command for all benchmarks, whose results say on what machine and with what they were made."""

import re
import subprocess
from pathlib import Path

import pytest

from bench.process import Cost, in_turn, ratio, wall
from helpers import ROOT
from helpers.bench import BENCH, bench
from helpers.media import Clip, make_clip


@pytest.mark.parametrize("name", ["accuracy", "feed", "live", "page", "replay", "soak"])
def test_every_benchmark_tells_its_flags(name: str) -> None:
    # A file of the same folder must not hide a module of the standard library from the others.
    done = subprocess.run([*BENCH, name, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: tools/bench")


def test_a_result_is_a_line_of_json_with_machine_versions_and_figures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(seconds=1.0, size=(320, 180)))
    words = ("replay", str(clip), "--times", "2", "--rounds", "1", "--note", "so short")
    result = bench(tmp_path, *words, codes=(0, 1))  # 1: so short a clip misses what must hold of long ones
    assert (result["name"], result["note"]) == ("replay", "so short")
    assert result["machine"]["cores"] >= 1
    assert {"python", "av", "numpy"} <= result["versions"].keys()
    (row,) = result["figures"]
    assert row["clip"] == "clip.mp4 x 2"
    assert row["replay_cpu_ratio"] > 0
    assert row["memory_mb"] > 20


def test_a_benchmark_gives_figures_under_the_names_of_their_columns(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip(seconds=1.0, size=(320, 180)))
    result = bench(tmp_path, "prefilter", str(clip), codes=(0, 1))  # 1: beside so small frames it costs much
    (row,) = result["figures"]
    assert (row["clip"], row["size"], row["frames"]) == ("clip.mp4", "320x180", 25)
    assert row["share"] == pytest.approx(row["prefilter_ms"] / row["decode_ms"], rel=1e-3)
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
