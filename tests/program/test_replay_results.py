"""`replay --out` of folders as people have them: gone on with, added to, with one report and one last line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detector.cli.main import main
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

WORDS = ["--verifier", "photometric", "--quiet"]


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A recording of one flash at 1.5 s."""
    path = tmp_path_factory.mktemp("storm") / "storm.mp4"
    plan = Plan(seconds=4.0, size=(320, 180), flashes=(FlashPlan(kind="bolt", at=1.5),))
    write_clip(Scene(plan), path, ClipFormat(key_seconds=1.0))
    return path.read_bytes()


@pytest.fixture
def card(storm: bytes, tmp_path: Path) -> Path:
    """A card with two recordings."""
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "card" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "card" / name).write_bytes(storm)
    return tmp_path / "card"


def flashes_in(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["data"] for line in (out / "flashes.jsonl").read_text().splitlines()]


def last_line(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().out.splitlines()[-1]


def test_the_last_line_says_where_the_report_is_and_what_it_holds(
    card: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["replay", str(card), "--out", str(out), *WORDS]) == 0
    assert last_line(capfd) == f"{out}/report.html  2 flashes, 2 stills, 2 clips"
    assert "a.mp4" in (out / "report.html").read_text()
    about = json.loads((out / "run.json").read_text())
    assert about["changed"] == {"verifier": {"kind": "photometric"}}
    assert [(one["name"], one["state"]) for one in about["files"]] == [("a.mp4", "done"), ("b.mp4", "done")]


def test_a_run_that_was_killed_is_gone_on_with_and_gives_what_a_whole_one_gives(
    card: Path, storm: bytes, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    command = [sys.executable, "-m", "detector", "replay", str(card), "--out", str(out), "--json", *WORDS]
    with subprocess.Popen([*command, "--realtime"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())["data"] for _ in range(4)]
        process.kill()
    assert [flash["file"] for flash in seen] == ["a.mp4"] * 3 + ["b.mp4"], "killed in the flash of the second file"
    assert main(["replay", str(card), "--out", str(out), "--resume", *WORDS]) == 0
    assert main(["replay", str(card), "--out", str(whole), *WORDS]) == 0
    told = [
        [(flash["file"], flash["start_seconds"], flash["state"]) for flash in flashes_in(one)] for one in (out, whole)
    ]
    assert told[0] == told[1]
    assert [flash["id"] for flash in flashes_in(out)] == [seen[0]["id"], seen[3]["id"]], "the same ids as before"
    stills = sorted(path.name for path in out.rglob("*.jpg") if "report" not in str(path))
    assert len(stills) == 6
    assert not list(out.rglob("*.new"))
    curves = [json.loads(line)["file"] for line in (out / "curves.jsonl").read_text().splitlines()]
    assert curves == ["a.mp4", "b.mp4"]


def test_a_file_that_is_finished_is_skipped_unless_it_or_the_settings_have_changed(
    card: Path, storm: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["replay", str(card), "--out", str(out), "--resume", *WORDS]
    assert main(words) == 0
    ids = [flash["id"] for flash in flashes_in(out)]
    capfd.readouterr()
    assert main(words) == 0
    told = capfd.readouterr()
    assert "2 files of an earlier run skipped" in told.err
    assert told.out.splitlines() == [f"{out}/report.html  2 flashes, 2 stills, 2 clips"]
    os.utime(card / "b.mp4", (1, 1))
    assert main(words) == 0
    assert "1 file of an earlier run skipped" in capfd.readouterr().err
    assert sorted(flash["id"] for flash in flashes_in(out)) == sorted(ids)
    assert main([*words, "--set", "prefilter.gap_seconds=0.4"]) == 0
    assert "skipped" not in capfd.readouterr().err
    assert len(flashes_in(out)) == 2


def test_a_second_card_is_added_though_its_files_lie_where_those_of_the_first_one_lay(
    card: Path, storm: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["replay", str(card), "--out", str(out), *WORDS]) == 0
    (card / "b.mp4").unlink()
    (card / "a.mp4").write_bytes(storm + b"\0" * 16)
    capfd.readouterr()
    assert main(["replay", str(card), "--out", str(out), "--add", *WORDS]) == 0
    assert last_line(capfd).endswith("3 flashes, 3 stills, 3 clips")
    assert [flash["file"] for flash in flashes_in(out)] == ["a.mp4", "b.mp4", str((card / "a.mp4").resolve())]
    assert len({flash["camera"] for flash in flashes_in(out)}) == 3
    assert len({flash["id"] for flash in flashes_in(out)}) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--add"], "without --out nothing is written"),
        (["--out", "OUT", "--add"], "holds no results to add to"),
        (["--out", "OUT", "--resume", "--overwrite"], "--overwrite and --resume exclude each other"),
    ],
)
def test_what_cannot_be_gone_on_with_is_wrong_use(
    words: list[str], said: str, card: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "out") if word == "OUT" else word for word in words]
    assert main(["replay", str(card), *words]) == 2
    assert said in capfd.readouterr().err


def test_folders_that_hold_results_are_never_input(
    card: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, again = card / "results", tmp_path / "again"
    assert main(["replay", str(card), "--out", str(out), *WORDS]) == 0
    capfd.readouterr()
    assert main(["replay", str(card), "--out", str(again), "--verifier", "photometric"]) == 0
    assert last_line(capfd).endswith("2 flashes, 2 stills, 2 clips")
    assert main(["replay", str(out), *WORDS]) == 1
    assert "holds the results of a run, and clips of results are no recordings" in capfd.readouterr().err


def test_files_that_fail_are_listed_at_the_end_and_tried_again(
    card: Path, storm: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (card / "a.mp4").write_text("no video")
    words = ["replay", str(card), "--out", str(out), "--resume", *WORDS]
    assert main(words) == 1
    told = capfd.readouterr()
    assert "not watched to the end:\n  " in told.err.replace("\r", "")
    assert f"{card}/a.mp4: is not a video" in told.err.rsplit("not watched to the end:", 1)[1]
    assert told.out.splitlines()[-1].endswith("1 flash, 1 still, 1 clip")
    (card / "a.mp4").write_bytes(storm)
    assert main(words) == 0
    assert last_line(capfd).endswith("2 flashes, 2 stills, 2 clips")
