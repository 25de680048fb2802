"""`replay --split-minutes`: a long recording watched in parts gives what it gives as a whole."""

import json
import random
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from detector.cli.main import main
from detector.output.report.curves import read_curves
from helpers.replays import flashes_of
from storm import FLASH_KINDS, ClipFormat, FlashPlan, Plan, Scene, write_clip

_SECONDS = 231.0  # four parts of at most a minute; the last two are read from a key frame of an odd number on
_CUTS = [_SECONDS * number / 4 for number in range(1, 4)]


@pytest.fixture(scope="session")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storm of some minutes, with a flash across each cut."""
    dice, kinds = random.Random(5), [kind for kind in FLASH_KINDS if kind != "band"]  # that needs another shutter
    flashes, at = [FlashPlan(kind="pulses", at=cut - 0.06) for cut in _CUTS], 3.0
    while at < _SECONDS - 12:
        if all(abs(at - cut) > 2 for cut in _CUTS):
            flashes.append(FlashPlan(kind=kinds[len(flashes) % len(kinds)], at=round(at, 2)))
        at += dice.uniform(1.5, 9)
    flashes.sort(key=lambda one: one.at or 0.0)
    plan = Plan(seconds=_SECONDS, size=(256, 144), flashes=tuple(flashes), rain=0.3, wind=0.5, seed=11)
    path = tmp_path_factory.mktemp("storm") / "storm.mp4"
    write_clip(
        Scene(plan), path, ClipFormat(key_seconds=1.0)
    )  # one part begins with an odd frame, another with an even
    return path


def replay(recording: Path, out: Path, *words: str) -> int:
    """Replay into `out` under a run of a name of its own, so that ids can be compared."""
    out.mkdir()
    (out / "run.json").write_text('{"run": "0123456789ab"}')
    return main(["replay", str(recording), "--out", str(out), "--resume", "--verifier", "photometric", *words])


@pytest.fixture(scope="session")
def whole(storm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is found where the storm is watched in one."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert replay(storm, out) == 0
    return out


@pytest.fixture(scope="session")
def parts(storm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is found where two processes watch it in parts."""
    out = tmp_path_factory.mktemp("parts") / "out"
    assert replay(storm, out, "--jobs", "2", "--split-minutes", "1") == 0
    return out


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Each value in which two flashes differ, with its place."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from differences(one.get(key), other.get(key), f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, its, f"{where}[{number}]")
    elif one != other:
        yield f"{where}: {one} {other}"


def shares_its_clip_across_a_cut(flash: dict[str, Any]) -> bool:
    media = flash["media"]
    if media["clip"] is None:
        return False
    return any(media["clip_start_seconds"] < cut < media["clip_end_seconds"] for cut in _CUTS)


def compared(out: Path, other: Path) -> list[str]:
    """All differences between two runs, but for clips that several flashes share across a cut."""
    found = []
    for flash, whole in zip(flashes_of(out), flashes_of(other), strict=True):
        if shares_its_clip_across_a_cut(whole):
            for key in ("clip", "clip_start_seconds", "clip_end_seconds"):
                flash["media"][key] = whole["media"][key]
        found += differences(flash, whole, flash["id"])
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_parts_find_the_flashes_of_the_whole_each_once_with_the_same_ids_times_evidence_and_stills(
    parts: Path, whole: Path
) -> None:
    out = parts
    assert compared(out, whole) == []
    assert (out / "flash-curves.jsonl").read_bytes() == (whole / "flash-curves.jsonl").read_bytes()
    found = flashes_of(out)
    across = [one for one in found if any(one["start_seconds"] < cut < one["end_seconds"] for cut in _CUTS)]
    assert len(across) == len(_CUTS)
    for flash in found:
        media = flash["media"]
        assert (out / media["still"]).stat().st_size == (whole / media["still"]).stat().st_size
        assert (out / media["clip"]).is_file()
        assert media["clip_start_seconds"] <= max(0.0, flash["start_seconds"] - 2)
        assert media["clip_end_seconds"] >= min(_SECONDS, flash["end_seconds"] + 2) - 0.1
    assert sorted(path.name for path in (out / "storm").glob("*.jpg")) == sorted(
        path.name for path in (whole / "storm").glob("*.jpg")
    )
    assert [(one["name"], one["state"]) for one in json.loads((out / "run.json").read_text())["files"]] == [
        ("storm.mp4", "done")
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_light_curve_of_parts_has_each_moment_once(parts: Path, whole: Path) -> None:
    pieces, (alone,) = read_curves(parts), read_curves(whole)
    assert [piece.begin for piece in pieces] == pytest.approx([0.0, *_CUTS], abs=0.3)
    for piece, following in pairwise(pieces):
        assert 0 <= following.begin - piece.end < 0.2
    assert pieces[-1].end == alone.end


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_recording_whose_time_stamps_begin_anew_is_watched_in_one(
    storm: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    joined = tmp_path / "joined.ts"
    with joined.open("wb") as file:
        for first, shift in ((0, 0), (60, 30)):  # what comes after 60 s says that it began at 30 s
            words = ["-ss", first, "-i", storm, "-t", 60, "-c", "copy", "-output_ts_offset", shift, "-f", "mpegts", "-"]
            file.write(
                subprocess.run(["ffmpeg", "-v", "error", *map(str, words)], check=True, capture_output=True).stdout
            )
    code = replay(joined, tmp_path / "one")
    assert "in parts" not in capfd.readouterr().err
    assert replay(joined, tmp_path / "out", "--jobs", "2", "--split-minutes", "1") == code
    assert compared(tmp_path / "out", tmp_path / "one") == []
    said = capfd.readouterr().err
    assert said.count("it is watched in one, not in parts") == 1
    assert " of video from 1 file" in said


def test_parts_are_only_made_where_several_can_be_watched_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert main(["replay", str(tmp_path / "a.mp4"), "--split-minutes", "5"]) == 2
    assert "--split-minutes: parts are watched at once; add --jobs or --engine ray" in capfd.readouterr().err
