"""What docs/benchmarks.md shows is what the benchmarks found."""

import json
from pathlib import Path

import pytest

from benchmark_docs import PAGE, RESULTS, section, with_tables


def test_the_page_holds_the_tables_of_the_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run tools/benchmark_docs.py"


@pytest.mark.parametrize("path", sorted(RESULTS.iterdir()), ids=lambda path: path.stem)
def test_every_result_says_when_with_which_version_and_on_what_it_was_found(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        assert run["name"] == path.stem
        assert run["time"][:3] == "202"
        assert run["versions"]["lightning-detector"]
        assert run["machine"]["cores"] >= 1
        assert run["figures"]
        assert str(Path.home()) not in line
        assert "/tmp/" not in line


def test_each_row_of_a_table_ends_with_date_version_and_run(tmp_path: Path) -> None:
    results = tmp_path / "start.jsonl"
    run = {
        "name": "start",
        "command": ["start", "--mbit", "2"],
        "time": "2026-11-30T08:00:00+00:00",
        "machine": {"cores": 2, "cpu": "Example"},
        "versions": {"python": "3.11.7", "lightning-detector": "0.2.0", "commit": "abc1234"},
        "load_before": 0.5,
        "note": "alone",
        "figures": [{"run": "replay", "cpu_s": 1234.5, "same": True}, {"run": "ffmpeg", "wall_s": 0.12345}],
    }
    other = run | {"figures": [{"memory_mb": 12}], "note": "", "command": ["make", "mutants"]}
    results.write_text(f"{json.dumps(run)}\n{json.dumps(other)}\n")
    where = "30 November 2026, 2 cores of Example, Python 3.11.7, load 0.5 before"
    assert section(results).splitlines() == [
        "| run | cpu s | same | wall s | date | version | run |",
        "|---|---|---|---|---|---|---|",
        "| replay | 1,234 | yes |  | 2026-11-30 | 0.2.0 (abc1234) | 1 |",
        "| ffmpeg |  |  | 0.123 | 2026-11-30 | 0.2.0 (abc1234) | 1 |",
        "",
        "| memory MB | date | version | run |",
        "|---|---|---|---|",
        "| 12 | 2026-11-30 | 0.2.0 (abc1234) | 2 |",
        "",
        f"1. `python tools/bench start --mbit 2`, {where}. Alone.",
        f"2. `make mutants`, {where}.",
    ]
