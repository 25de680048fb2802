"""`tools/bench model` runs on the tiny model; how fast is for people to look at."""

from pathlib import Path

import pytest

from helpers.bench import bench

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_the_bench_measures_every_combination_without_network(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    words = ["model", "--size", "tiny", "--batch", "1", "3", "--side", "224", "--repeat", "1", "--device", "cpu"]
    about, *rows = bench(tmp_path, *words)["figures"]
    assert about["matrix_rate_tflops"] > 0
    assert [(row["batch"], row["pictures"], row["side"]) for row in rows] == [(1, 4, 224), (3, 4, 224)]
    assert all(row["seconds_per_clip"] > 0 and row["memory_mib"] > 50 for row in rows)


@pytest.mark.parametrize("version", ["4.6", "4.7"])
def test_a_batch_of_eight_takes_at_most_4500_operators(version: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    words = f"model --size deep --version {version} --batch 8 --side 448 --repeat 1 --device cpu --threads 1".split()
    _, row = bench(tmp_path, *words)["figures"]
    assert 3500 < row["operators"] <= 4500


@pytest.mark.alone
def test_a_candidate_of_four_images_costs_2_ms_at_most_from_arrival_to_hand_over(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra minicpm is not installed")
    images, *rows = bench(tmp_path, "model_host", "--frame", "720x1280")["figures"]
    found = {row["stage"]: row["cpu_ms_a_candidate"] for row in rows}
    parts = ("images but the difference", "shared memory", "message", "read", "tokens", "one block")
    assert found["arrival to hand-over"] == pytest.approx(sum(found[part] for part in parts), abs=0.001)
    assert all(found[part] > 0 for part in ("images", "shared memory", "tokens"))
    assert images == {"images_of_a_candidate": 4}
    assert found["arrival to hand-over"] <= 2.0
