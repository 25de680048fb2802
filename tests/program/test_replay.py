"""`replay`: a storm clip in; a table, events, a folder of results out; and a clear line for what cannot be watched."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from detector.cli.main import main
from detector.run.recordings import find_videos
from storm import ClipFormat, FlashPlan, LookalikePlan, Plan, Scene, write_clip

FULL_BYTES = 100  # no file may grow beyond this, as where a disk is full


@pytest.fixture(scope="session")
def storm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A clip of two flashes, and their truth."""
    plan = Plan(seconds=6.0, size=(320, 180), flashes=(FlashPlan(kind="sheet", at=1.5), FlashPlan(kind="bolt", at=4.0)))
    scene = Scene(plan)
    path = tmp_path_factory.mktemp("storm") / "storm.mp4"
    write_clip(scene, path, ClipFormat())
    return path, scene.truth()


def events_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_every_flash_is_detected_and_then_confirmed_under_the_same_id(
    storm: tuple[Path, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    path, truth = storm
    assert main(["replay", str(path), "--json", "--verifier", "photometric"]) == 0
    data = [event["data"] for event in events_of(capfd.readouterr().out)]
    assert [(flash["state"], flash["revision"]) for flash in data] == [("detected", 1), ("confirmed", 2)] * 2
    assert data[0]["id"] == data[1]["id"] != data[2]["id"]
    for flash, (start, _) in zip(data[1::2], truth.flashes, strict=True):
        assert flash["start_seconds"] == pytest.approx(start, abs=0.041)
        assert flash["file"] == "storm.mp4"


def test_the_folder_of_results_holds_each_flash_once_with_its_still_and_its_clip(
    storm: tuple[Path, Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert main(["replay", str(storm[0]), "--out", str(out), "--verifier", "photometric"]) == 0
    flashes = [json.loads(line)["data"] for line in (out / "flashes.jsonl").read_text().splitlines()]
    assert [flash["state"] for flash in flashes] == ["confirmed", "confirmed"]
    for flash in flashes:
        assert (out / flash["media"]["still"]).stat().st_size > 1000
        with av.open(str(out / flash["media"]["clip"])) as clip:
            assert sum(1 for _ in clip.decode(video=0)) > flash["duration_seconds"] * 25
    assert len((out / "flashes.csv").read_text().splitlines()) == 3


def test_a_full_disk_costs_what_does_not_fit_and_the_table_is_still_printed(
    storm: tuple[Path, Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({FULL_BYTES}, {FULL_BYTES}))"
    program = f"{full}; from detector.cli.main import main; raise SystemExit(main())"
    words = ["replay", str(storm[0]), "--out", str(out), "--verifier", "photometric"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.count("confirmed") == 2
    assert "2 confirmed" in done.stderr
    assert "Traceback" not in done.stderr
    for file in ("flashes.jsonl: cannot write results", ".jpg: cannot write the still", ".mp4: cannot write the clip"):
        assert file in done.stderr
    left = [path for path in out.rglob("*") if path.is_file() and path.stat().st_size]
    assert left == []


def test_utc_of_every_flash_follows_from_the_start_that_was_given(
    storm: tuple[Path, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(storm[0]), "--json", "--start", "2026-11-22T23:59:59Z"]) == 0
    first = events_of(capfd.readouterr().out)[0]["data"]
    assert first["clock"] == "file"
    assert first["start_utc"].startswith("2026-11-23T00:00:00.")


def test_a_start_without_a_zone_is_said_to_be_taken_as_utc(
    storm: tuple[Path, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["replay", str(storm[0]), "--json", "--quiet", "--set", "site.timezone=Europe/Vienna", "--start"]
    assert main([*words, "2026-07-22 23:59:59"]) == 0
    out, err = capfd.readouterr()
    assert events_of(out)[0]["data"]["start_utc"].startswith("2026-07-23T00:00:00.")
    assert "--start has no zone: taken as UTC, 2026-07-22T23:59:59Z" in err
    assert "write 2026-07-22T23:59:59+02:00" in err
    assert main([*words, "2026-07-22T23:59:59Z"]) == 0
    assert "no zone" not in capfd.readouterr().err


@pytest.mark.parametrize("inputs", [["a.mp4", "b.mp4"], ["."]])
def test_one_start_is_refused_for_several_files(
    inputs: list[str], storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(storm[0].read_bytes())
    paths = [str(tmp_path / name) for name in inputs]
    assert main(["replay", *paths, "--json", "--start", "2026-11-22T23:59:59Z"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "--start is the time of one file, but there are 2" in err


@pytest.mark.parametrize("command", [["replay", "--json"], ["tune"]])
def test_the_settings_file_of_watch_serves_other_commands_too(
    command: list[str], storm: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cameras = tmp_path / "cameras.toml"
    cameras.write_text('[prefilter]\ngap_seconds = 0.4\n[[camera]]\nurl = "rtsp://10.0.0.1/cam"\n')
    assert main([*command, str(storm[0]), "--config", str(cameras)]) == 0


def test_with_no_verifier_every_candidate_is_unverified(
    storm: tuple[Path, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(storm[0]), "--json", "--verifier", "none"]) == 0
    states = {event["data"]["state"] for event in events_of(capfd.readouterr().out)}
    assert states == {"detected", "unverified"}


def test_a_model_that_is_named_but_not_asked_is_said(
    storm: tuple[Path, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(storm[0]), "--json", "--quiet", "--verifier", "photometric", "--model", "x/y"]) == 0
    assert "--model x/y is not asked: the verifier is photometric" in capfd.readouterr().err


def test_a_folder_is_watched_with_all_its_videos_and_their_names_stay_apart(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "storm.mp4").write_bytes(storm[0].read_bytes())
    (tmp_path / "notes.txt").write_text("not video")
    assert main(["replay", str(tmp_path), "--json"]) == 0
    assert {event["subject"] for event in events_of(capfd.readouterr().out)} == {"storm", "storm-2"}


def test_files_of_the_same_name_are_told_apart_by_their_path_in_the_folder(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    card, out = tmp_path / "card", tmp_path / "run"
    for folder in ("100", "101"):
        (card / folder).mkdir(parents=True)
        (card / folder / "MVI_0001.MP4").write_bytes(storm[0].read_bytes())
    for _ in range(2):
        assert main(["replay", str(card), "--out", str(out), "--quiet", "--overwrite"]) == 0
        table = capfd.readouterr().out
        assert [table.count(name) for name in ("100/MVI_0001.MP4", "101/MVI_0001.MP4")] == [2, 2]
    with (out / "flashes.csv").open(newline="") as rows:
        assert [row["file"] for row in csv.DictReader(rows)] == ["100/MVI_0001.MP4"] * 2 + ["101/MVI_0001.MP4"] * 2


def test_names_in_a_run_are_distinct_and_a_file_named_twice_is_watched_once(tmp_path: Path) -> None:
    for name in ("a/x.mp4", "b/x.mp4", "b/y.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a, b = tmp_path / "a", tmp_path / "b"
    assert [one.name for one in find_videos([tmp_path, b / "x.mp4", a / ".." / "b"])] == [
        "a/x.mp4",
        "b/x.mp4",
        "b/y.mp4",
    ]
    assert [one.name for one in find_videos([b, b / "x.mp4"])] == ["x.mp4", "y.mp4"]
    assert [one.name for one in find_videos([a, b])] == [str(a / "x.mp4"), str(b / "x.mp4"), str(b / "y.mp4")]


def test_a_folder_is_searched_for_the_videos_of_every_kind_of_device(tmp_path: Path) -> None:
    endings = ["3g2", "360", "ASF", "dav", "dv", "f4v", "insv", "m2t", "m2v", "MOD", "mxf", "TOD", "vob", "y4m"]
    for ending in (*endings, "THM", "jpg", "srt", "wav"):
        (tmp_path / f"a.{ending}").write_bytes(b"x")
    assert {recording.path.suffix[1:] for recording in find_videos([tmp_path])} == set(endings)


def test_hidden_files_of_a_folder_are_no_recordings_unless_named(tmp_path: Path) -> None:
    for name in ("._MVI_0001.MP4", "MVI_0001.MP4", ".Trashes/501/old.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [one.name for one in find_videos([tmp_path])] == ["MVI_0001.MP4"]
    assert [one.name for one in find_videos([tmp_path / ".Trashes"])] == ["501/old.mp4"]
    assert [one.name for one in find_videos([tmp_path / "._MVI_0001.MP4"])] == ["._MVI_0001.MP4"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_an_overwriting_replay_of_a_file_whose_name_is_not_utf_8_takes_the_place_of_the_first(
    storm: tuple[Path, Any], tmp_path: Path
) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / os.fsdecode(b"K\xf6ln.mp4")).write_bytes(storm[0].read_bytes())
    words = ["replay", str(tmp_path / "card"), "--out", str(tmp_path / "run"), "--quiet"]
    assert [main(words), main(words), main([*words, "--overwrite"])] == [0, 1, 0]
    assert len((tmp_path / "run" / "flashes.jsonl").read_text().splitlines()) == 2


def test_a_run_leaves_out_the_clips_that_it_overwrites_and_no_recordings_beside_them(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "storm.mp4").write_bytes(storm[0].read_bytes())
    runs = []
    for _ in range(2):
        assert main(["replay", str(tmp_path), "--out", str(tmp_path), "--json", "--overwrite"]) == 0
        out, err = capfd.readouterr()
        runs.append([event["data"]["file"] for event in events_of(out)])
    assert runs == [["clips/storm.mp4"] * 6] * 2
    assert "left out 1 clips of the run that is overwritten" in err
    assert len(list((tmp_path / "clips").iterdir())) == 1


def test_results_are_never_lost_unless_told_to_overwrite_also_where_names_match(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "00.mp4").write_bytes(storm[0].read_bytes())
    out = tmp_path / "run"
    words = ["--out", str(out), "--quiet"]
    assert main(["replay", str(tmp_path / "day1"), *words]) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    clip = next(path for path in before if path.suffix == ".mp4")
    capfd.readouterr()
    assert main(["replay", str(tmp_path / "day2"), *words]) == 1
    assert "holds the flashes of an earlier run; choose another folder" in capfd.readouterr().err
    (tmp_path / "bad.mp4").write_text("no video")
    assert main(["replay", str(tmp_path / "bad.mp4"), *words, "--overwrite"]) == 1
    assert main(["replay", str(clip), *words, "--overwrite"]) == 2
    assert "--overwrite would remove it" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def audio_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("empty folder", "no video in this folder"),
        ("zero bytes", "empty"),
        ("text", "not a video"),
        ("audio", "no video"),
    ],
)
def test_what_cannot_be_watched_gets_one_clear_line_and_nothing_is_written(
    kind: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.mp4"
    match kind:
        case "empty folder":
            path.mkdir()
        case "zero bytes":
            path.touch()
        case "text":
            path.write_text("this is no video\n" * 100)
        case "audio":
            audio_only(path)
    assert main(["replay", str(path), "--out", str(tmp_path / "run"), "--quiet"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "clip.mp4" in err
    assert said in err.lower()
    assert not (tmp_path / "run").exists()


def test_an_address_of_a_camera_is_referred_to_watch_without_its_password(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["replay", "rtsp://admin:secret@10.0.0.1/x"])
    _, err = capfd.readouterr()
    assert "use watch" in err
    assert "secret" not in err


def test_a_truncated_file_has_its_flashes_reported_and_the_break_too(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole.mkv"
    scene = Scene(Plan(seconds=6.0, size=(320, 180), flashes=(FlashPlan(kind="sheet", at=1.0),)))
    write_clip(scene, whole, ClipFormat())
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert main(["replay", str(cut), "--json", "--quiet"]) == 1
    out, err = capfd.readouterr()
    assert [event["data"]["state"] for event in events_of(out)] == ["detected", "confirmed"]
    assert len(err.splitlines()) == 1
    assert "cut.mkv" in err


def test_one_bad_file_does_not_keep_the_others_from_being_watched(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    assert main(["replay", str(tmp_path / "bad.mp4"), str(storm[0]), "--json", "--quiet"]) == 1
    out, err = capfd.readouterr()
    assert len(events_of(out)) == 4
    assert "bad.mp4" in err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_whose_name_is_not_utf_8_is_watched_and_so_are_the_others(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    latin = tmp_path / os.fsdecode(b"Gewitter_K\xf6ln.mp4")
    latin.write_bytes(storm[0].read_bytes())
    assert main(["replay", str(latin), str(storm[0]), "--json", "--quiet"]) == 0
    files = [event["data"]["file"] for event in events_of(capfd.readouterr().out)]
    assert files == ["Gewitter_K\ufffdln.mp4"] * 4 + ["storm.mp4"] * 4


def test_the_table_shows_the_name_of_a_file_as_it_is(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "Big storm [dQw4w9WgXcQ] :fire:.mp4"
    path.write_bytes(storm[0].read_bytes())
    assert main(["replay", str(path)]) == 0
    assert capfd.readouterr().out.count(path.name) == 2


def test_ctrl_c_finishes_what_is_open_and_reports_what_was_found(storm: tuple[Path, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "detector", "replay", str(storm[0]), "--realtime", "--json", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest = events_of(process.stdout.read())
    assert process.returncode == 0
    assert first["data"]["state"] == "detected"
    assert {event["data"]["id"] for event in rest} == {first["data"]["id"]}
    assert ["state" in event["data"]["changed"] for event in rest] == [True, False]
    assert len((out / "flashes.jsonl").read_text().splitlines()) == 1


def test_where_rejected_lights_are_told_is_said_only_if_there_are_some_and_they_are_not_shown(
    tmp_path: Path, storm: tuple[Path, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "step.mp4"
    hint = "1 rejected in 0:00:05 of video from 1 file (rejected lights: --json, --out or tune)"
    plan = Plan(seconds=6.0, size=(320, 180), lookalikes=(LookalikePlan(kind="exposure_step", at=3.0),))
    write_clip(Scene(plan), path, ClipFormat())
    assert main(["replay", str(path)]) == 0
    assert hint in capfd.readouterr().err
    for words in ([str(path), "--json"], [str(path), "--out", str(tmp_path / "run")], [str(storm[0])]):
        assert main(["replay", *words]) == 0
        assert "rejected lights" not in capfd.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--quiet"]])
def test_a_replay_that_is_stopped_says_how_far_it_came(
    flags: list[str], storm: tuple[Path, Any], tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(storm[0].read_bytes())
    command = [sys.executable, "-m", "detector", "replay", str(tmp_path), "--realtime", "--json", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 0
    last = err.splitlines()[-1]
    stopped = re.search(r"stopped early: 1 of 2 files, the last to (\d+) %$", last)
    assert stopped, last
    assert 20 <= int(stopped[1]) <= 60
    assert ("of video from 1 file; stopped" in last) == (not flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--set", "prefilter.gap_seconds=99"], "prefilter.gap_seconds = 99"),
        (["--set", "nonsense.key=1"], "unknown setting 'nonsense'"),
        (["--config", "nowhere.toml"], "nowhere.toml: cannot read"),
        (["--publish", "tcp://0.0.0.0:5999"], "0.0.0.0"),
        (["--publish", "nonsense"], "nonsense"),
    ],
)
def test_a_wrong_flag_or_setting_is_named_with_its_value(
    flags: list[str], said: str, storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(storm[0]), "--out", str(tmp_path / "run"), "--quiet", *flags]) == 1
    out, err = capfd.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert said in err
    assert not (tmp_path / "run").exists()


def test_a_flash_on_the_first_frame_of_a_file_is_reported_without_a_confirmation(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(seconds=4.0, size=(320, 180), flashes=(FlashPlan(kind="sheet", at=1.0),))
    scene = Scene(plan)
    write_clip(scene, tmp_path / "whole.mp4", ClipFormat())
    begins = scene.truth().flashes[0][0]
    cut = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(tmp_path / "whole.mp4"),
        "-vf",
        f"trim=start={begins - 0.001},setpts=PTS-STARTPTS",
    ]
    subprocess.run([*cut, str(tmp_path / "cut.mp4")], check=True)
    assert main(["replay", str(tmp_path / "cut.mp4"), "--json", "--verifier", "photometric"]) == 0
    (flash,) = [event["data"] for event in events_of(capfd.readouterr().out)]
    assert (flash["state"], flash["start_seconds"]) == ("unverified", 0.0)
    assert "nothing is known of the scene before" in flash["verdict"]["reason"]


def test_each_video_stream_of_a_file_is_watched_under_a_name_of_its_own(
    storm: tuple[Path, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = ["-f", "lavfi", "-i", "mandelbrot=size=320x180:rate=25"]
    both = tmp_path / "both.mp4"
    mixed = ["ffmpeg", "-v", "error", *noise, "-i", str(storm[0]), "-map", "0:v", "-map", "1:v", "-c:v:1", "copy"]
    subprocess.run([*mixed, "-c:v:0", "mpeg4", "-t", "6", str(both)], check=True)
    (tmp_path / "both-2.mp4").write_bytes(storm[0].read_bytes())
    assert main(["replay", str(both), str(tmp_path / "both-2.mp4"), "--json", "--verifier", "photometric"]) == 0
    data = [event["data"] for event in events_of(capfd.readouterr().out) if event["data"]["state"] == "confirmed"]
    assert {(flash["camera"], flash["file"]) for flash in data} == {("both-2-2", "both.mp4"), ("both-2", "both-2.mp4")}
    assert main(["replay", str(both), "--json", "--verifier", "photometric", "--stream", "1"]) == 0
    assert not events_of(capfd.readouterr().out)
    assert main(["replay", str(both), "--verifier", "photometric", "--stream", "3"]) == 1
    assert "holds 2 video streams, none with number 3" in capfd.readouterr().err


def test_standard_input_is_watched(storm: tuple[Path, Any], tmp_path: Path) -> None:
    stream = tmp_path / "storm.ts"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(storm[0]), "-c", "copy", str(stream)], check=True)
    command = [sys.executable, "-m", "detector", "replay", "-", "--json", "--verifier", "photometric"]
    done = subprocess.run(command, input=stream.read_bytes(), capture_output=True, check=True, timeout=100)
    states = [event["data"]["state"] for event in events_of(done.stdout.decode())]
    assert states.count("confirmed") == 2


def test_a_series_of_one_frame_a_second_is_said_to_tell_little(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=1", "-t", "10"]
    subprocess.run([*made, str(tmp_path / "slow.mkv")], check=True)
    assert main(["replay", str(tmp_path / "slow.mkv"), "--verifier", "photometric"]) == 0
    err = capfd.readouterr().err
    assert err.count("its frames are 1.0 s apart") == 1
