"""`replay --jobs`: many files at once give what one after the other gives, also where a process dies."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from detector.cli.main import main
from helpers.replays import flashes_of
from helpers.waiting import wait_until
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import HistoryFilter, Message, read_history

_FILES = 3


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of short clips with a flash each, at a time of its own."""
    folder = tmp_path_factory.mktemp("night")
    for number in range(_FILES):
        flash = FlashPlan(kind="sheet", at=1.0 + 0.3 * number)
        plan = Plan(seconds=3.0, size=(320, 180), flashes=(flash,), seed=number)
        write_clip(Scene(plan), folder / f"c{number}.mp4", ClipFormat())
    return folder


def begun(out: Path) -> Path:
    """A folder of results in which nothing was watched yet: its run has the same name wherever it is gone on with."""
    out.mkdir()
    (out / "run.json").write_text('{"run": "0123456789ab"}')
    return out


def replay(night: Path, out: Path, *words: str) -> int:
    return main(["replay", str(night), "--out", str(out), "--resume", "--verifier", "photometric", *words])


@pytest.fixture(scope="session")
def in_turn(night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process finds."""
    out = begun(tmp_path_factory.mktemp("one") / "out")
    assert replay(night, out) == 0
    return out


def files_of(out: Path) -> list[tuple[str, str]]:
    return [(one["name"], one["state"]) for one in json.loads((out / "run.json").read_text())["files"]]


def same_results(out: Path, other: Path) -> None:
    assert flashes_of(out) == flashes_of(other)
    assert len(flashes_of(out)) == _FILES
    for name in ("curves.jsonl", "flash-curves.jsonl", "flashes.csv"):
        assert (out / name).read_bytes() == (other / name).read_bytes()
    assert files_of(out) == files_of(other) == [(f"c{number}.mp4", "done") for number in range(_FILES)]
    for flash in flashes_of(out):
        assert (out / flash["media"]["still"]).stat().st_size == (other / flash["media"]["still"]).stat().st_size
        assert (out / flash["media"]["clip"]).is_file()
    assert (out / "report.html").is_file()


def test_results_do_not_depend_on_how_many_files_are_watched_at_once(
    night: Path, in_turn: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = begun(tmp_path / "out")
    assert replay(night, out, "--jobs", "2", "--json", "--journal", str(tmp_path / "journal")) == 0
    same_results(out, in_turn)
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    files = [event["data"]["file"] for event in events]
    assert files == sorted(files)
    for number in range(_FILES):
        revisions = [one["data"]["revision"] for one in events if one["data"]["file"] == f"c{number}.mp4"]
        assert revisions == list(range(1, len(revisions) + 1))


@pytest.fixture(scope="session")
def dated(night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clips with the times at which they began: two within a storm, and one two hours later."""
    folder = tmp_path_factory.mktemp("dated")
    for number, time_of_day in enumerate(("19:00:00", "19:05:00", "21:00:00")):
        begins = f"creation_time=2026-07-14T{time_of_day}Z"
        words = ["-i", night / f"c{number}.mp4", "-c", "copy", "-metadata", begins, folder / f"c{number}.mp4"]
        subprocess.run(["ffmpeg", "-v", "error", *map(str, words)], check=True)
    return folder


def storms_of(journal: Path) -> list[dict[str, Any]]:
    """What was told of storms, and behind how many verdicts: clips come when they are written, at no certain place."""
    records = [record.message for record in read_history(journal, HistoryFilter())]
    told = [one for one in records if one.type in ("lightning.storm.v1", "lightning.group.v1")]

    def verdicts(before: list[Message]) -> int:
        return len({(one.data["id"], one.data["state"]) for one in before if one.type == "lightning.flash.v1"})

    return [{"behind": verdicts(records[: records.index(one)]), **one.data} for one in told]


@pytest.mark.parametrize(("with_utc", "begin_count", "storms"), [(True, 2, 1), (False, 1, _FILES)])
def test_storms_do_not_depend_on_how_many_files_are_watched_at_once(
    night: Path, dated: Path, tmp_path: Path, with_utc: bool, begin_count: int, storms: int
) -> None:
    told = []
    for jobs in ("1", "2"):
        out, journal = begun(tmp_path / f"out{jobs}"), tmp_path / f"journal{jobs}"
        words = ("--jobs", jobs, "--journal", str(journal), "--set", f"storm.begin_count={begin_count}")
        assert replay(dated if with_utc else night, out, *words) == 0
        told.append(storms_of(journal))
    assert told[0] == told[1]
    last = {storm["id"]: storm for storm in told[0]}
    assert len(last) == storms
    assert {storm["state"] for storm in last.values()} == {"ended"}
    assert sum(storm["flash_count"] for storm in last.values()) == (2 if with_utc else _FILES)
    assert all((storm["first_utc"] is not None) == with_utc for storm in last.values())


def started(night: Path, out: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "detector", "replay", str(night), "--out", str(out), "--resume"]
    command += ["--verifier", "photometric", "--realtime", *words]  # at the clip's pace: it can be caught in the middle
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def who_watches(parent: "subprocess.Popen[str]", clip: Path) -> psutil.Process:
    """The process that has `clip` open, once there is one."""
    found: list[psutil.Process] = []

    def opened() -> bool:
        for child in psutil.Process(parent.pid).children():
            with suppress(psutil.Error):
                found.extend([child] * any(file.path == str(clip) for file in child.open_files()))
        return bool(found)

    wait_until(opened, 60, f"a process opens {clip}")
    return found[0]


def kill_who_watches(parent: "subprocess.Popen[str]", clip: Path) -> None:
    child = who_watches(parent, clip)
    child.kill()
    child.wait(20)


def test_a_file_whose_process_is_killed_is_watched_again_and_nothing_is_told_twice(
    night: Path, in_turn: Path, tmp_path: Path
) -> None:
    out = begun(tmp_path / "out")
    with started(night, out, "--jobs", "2", "--json") as parent:
        kill_who_watches(parent, night / "c0.mp4")
        told, said = parent.communicate(timeout=120)
    assert parent.returncode == 0, said
    same_results(out, in_turn)
    line = f"{night / 'c0.mp4'}: the process that watched it was killed (SIGKILL); it is watched again"
    assert said.count(line) == 1
    seen = [(event["data"]["id"], event["data"]["revision"]) for event in map(json.loads, told.splitlines()[:-1])]
    assert len(seen) == len(set(seen))


def test_a_file_that_loses_two_processes_is_given_up_and_keeps_no_other_from_being_watched(
    night: Path, in_turn: Path, tmp_path: Path
) -> None:
    out = begun(tmp_path / "out")
    with started(night, out, "--jobs", "2") as parent:
        kill_who_watches(parent, night / "c1.mp4")
        kill_who_watches(parent, night / "c1.mp4")
        _, said = parent.communicate(timeout=120)
    assert parent.returncode == 1
    assert f"{night / 'c1.mp4'}: the process that watched it was killed (SIGKILL), twice" in said
    assert flashes_of(out) == [flash for flash in flashes_of(in_turn) if flash["file"] != "c1.mp4"]


def test_a_signal_ends_all_processes_and_no_file_counts_as_watched_to_its_end(night: Path, tmp_path: Path) -> None:
    out = begun(tmp_path / "out")
    with started(night, out, "--jobs", "2") as parent:
        who_watches(parent, night / "c0.mp4")
        children = psutil.Process(parent.pid).children()
        parent.terminate()
        _, said = parent.communicate(timeout=60)
    assert parent.returncode == 0, said
    assert "stopped early" in said
    assert not psutil.wait_procs(children, timeout=20)[1]
    assert "done" not in [state for _, state in files_of(out)]


def test_standard_input_is_read_by_one_process(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "-", str(night), "--jobs", "2"]) == 2
    assert "--jobs: standard input is read by one process" in capfd.readouterr().err


def test_one_broken_file_is_named_and_the_others_are_watched(
    night: Path, in_turn: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    out = begun(tmp_path / "out")
    words = ["replay", str(broken), str(night), "--out", str(out), "--resume", "--verifier", "photometric"]
    assert main([*words, "--jobs", "0"]) == 1
    assert str(broken) in capfd.readouterr().err
    assert flashes_of(out) == flashes_of(in_turn)
