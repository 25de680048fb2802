"""tools/bench_model.py runs on the tiny model; how fast is for people to look at."""

import json
import subprocess
import sys

import pytest

from helpers import ROOT

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_the_bench_measures_every_combination_without_network() -> None:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    tool = ROOT / "tools" / "bench_model.py"
    words = ["--size", "tiny", "--batch", "1", "3", "--side", "224", "--repeat", "1", "--json", "--device", "cpu"]
    done = subprocess.run([sys.executable, str(tool), *words], capture_output=True, text=True, timeout=110, check=True)
    found = json.loads(done.stdout)
    assert found["matrix_rate_tflops"] > 0
    assert [(row["batch"], row["pictures"], row["side"]) for row in found["rows"]] == [(1, 4, 224), (3, 4, 224)]
    assert all(row["seconds_per_clip"] > 0 and row["memory_mib"] > 50 for row in found["rows"])


@pytest.mark.parametrize("version", ["4.6", "4.7"])
def test_a_batch_of_eight_takes_at_most_4500_operators(version: str) -> None:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    tool = ROOT / "tools" / "bench_model.py"
    words = [
        "--size",
        "deep",
        "--version",
        version,
        "--batch",
        "8",
        "--side",
        "448",
        "--repeat",
        "1",
        "--device",
        "cpu",
    ]
    done = subprocess.run(
        [sys.executable, str(tool), *words, "--threads", "1", "--json"],
        capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    (row,) = json.loads(done.stdout)["rows"]
    assert 3500 < row["operators"] <= 4500


@pytest.mark.alone
def test_a_candidate_of_four_images_costs_2_ms_at_most_from_arrival_to_hand_over() -> None:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    tool = ROOT / "tools" / "bench_model_host.py"
    words = ["--frame", "720x1280", "--json"]
    done = subprocess.run([sys.executable, str(tool), *words], capture_output=True, text=True, timeout=110, check=True)
    found = json.loads(done.stdout)
    parts = ("images but the difference", "shared memory", "message", "read", "tokens", "one block")
    assert found["arrival to hand-over"] == pytest.approx(sum(found[part] for part in parts), abs=0.001)
    assert all(found[part] > 0 for part in ("images", "shared memory", "tokens"))
    assert found["images of a candidate"] == 4
    assert found["arrival to hand-over"] <= 2.0
