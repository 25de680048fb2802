"""Recordings in a store: read through fsspec, here from its store of local files."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from detector.cli.main import main
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    for number, place in enumerate(("a.mp4", "west/b.mp4")):
        (folder / place).parent.mkdir(exist_ok=True)
        plan = Plan(seconds=3.0, size=(320, 180), flashes=(FlashPlan(kind="sheet", at=1.5),), seed=number)
        write_clip(Scene(plan), folder / place, ClipFormat())
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.mp4").write_bytes(b"no video")
    return folder


def flashes_of(recordings: str, out: Path, *words: str) -> list[dict[str, Any]]:
    out.mkdir()
    (out / "run.json").write_text('{"run": "0123456789ab"}')
    assert main(["replay", recordings, "--out", str(out), "--resume", "--verifier", "photometric", *words]) == 0
    found = [json.loads(line)["data"] for line in (out / "flashes.jsonl").read_text().splitlines()]
    for flash in found:
        del flash["latency_ms"], flash["verdict"]["seconds"]
        assert (out / flash["media"]["clip"]).is_file()
    return found


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_in_a_store_gives_what_the_same_folder_here_gives(night: Path, tmp_path: Path, jobs: str) -> None:
    stored = flashes_of(f"local://{night}", tmp_path / "stored", "--jobs", jobs)
    assert [flash["file"] for flash in stored] == ["a.mp4", "west/b.mp4"]
    assert stored == flashes_of(str(night), tmp_path / "here")


def test_one_recording_in_a_store_is_read(night: Path, tmp_path: Path) -> None:
    assert [one["file"] for one in flashes_of(f"local://{night}/a.mp4", tmp_path / "out")] == ["a.mp4"]


def test_what_is_not_there_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "local:///nowhere/a.mp4", "--out", str(tmp_path / "out")]) == 1
    assert "local:///nowhere/a.mp4: there is no such file or folder" in capfd.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="s3fs is installed")
def test_a_store_whose_package_is_missing_says_what_to_install(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "s3://bucket/night/", "--out", str(tmp_path / "out"), "--jobs", "2"]) == 1
    assert "s3://bucket/night/: needs more: pip install fsspec s3fs" in capfd.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_what_is_no_video_in_a_store_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    assert main(["replay", f"local://{tmp_path}/broken.mp4"]) == 1
    assert "broken.mp4: is not a video, or its beginning or index is missing" in capfd.readouterr().err
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.txt").write_text("a")
    assert main(["replay", f"local://{tmp_path}/only"]) == 1
    assert "no video among the 1 files there" in capfd.readouterr().err
