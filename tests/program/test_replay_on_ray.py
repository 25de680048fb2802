"""`replay --engine ray`: a local cluster gives what one process gives, also where a worker is killed."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from detector.run.cluster_worker import look_around
from helpers.replays import flashes_of
from helpers.waiting import wait_until
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import CaptureOptions

_FILES = 6
_MANY = 40


def ray_is_missing() -> bool:
    try:
        import ray  # noqa: F401, PLC0415 - heavy, and hardly anywhere installed
    except ImportError:
        return True
    return False


ray = pytest.mark.skipif(ray_is_missing(), reason="the package ray is not installed (make ray)")


def clips(folder: Path, count: int) -> Path:
    """Fill a folder with short clips with a flash each."""
    for number in range(count):
        flash = FlashPlan(kind="sheet", at=1.0 + 0.2 * (number % 6))
        plan = Plan(seconds=2.5, size=(320, 180), flashes=(flash,), seed=number)
        write_clip(Scene(plan), folder / f"c{number:02d}.mp4", ClipFormat())
    return folder


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips(tmp_path_factory.mktemp("night"), _FILES)


def started(night: Path, out: Path, *words: str) -> "subprocess.Popen[str]":
    """Replay `night` into `out`, under a run of a name of its own, so that ids can be compared."""
    out.mkdir()
    (out / "run.json").write_text('{"run": "0123456789ab"}')
    command = [sys.executable, "-m", "detector", "replay", str(night), "--out", str(out), "--resume"]
    command += ["--verifier", "photometric", *words]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(run: "subprocess.Popen[str]") -> tuple[int, str, str]:
    with run:
        try:
            told, said = run.communicate(timeout=500)
        finally:
            run.kill()
    return run.returncode, told, said


@pytest.fixture(scope="module")
def in_turn(night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process finds."""
    out = tmp_path_factory.mktemp("one") / "out"
    code, _, said = ended(started(night, out, "--jobs", "1"))
    assert code == 0, said
    assert len(flashes_of(out)) == _FILES
    return out


def same_results(out: Path, other: Path) -> None:
    assert flashes_of(out) == flashes_of(other)
    for name in ("curves.jsonl", "flash-curves.jsonl", "flashes.csv"):
        assert (out / name).read_bytes() == (other / name).read_bytes()
    for flash in flashes_of(out):
        assert (out / flash["media"]["still"]).stat().st_size == (other / flash["media"]["still"]).stat().st_size
        assert (out / flash["media"]["clip"]).is_file()
    assert (out / "report.html").is_file()


def workers_of(parent: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The workers of its cluster that watch a file just now."""
    found = []
    for child in psutil.Process(parent.pid).children(recursive=True):
        try:
            if any(file.path.endswith(".mp4") for file in child.open_files()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def wait_until_watched(parent: "subprocess.Popen[str]", count: int = 1) -> list[psutil.Process]:
    """Return the workers once `count` of them watch a file at the same time."""
    found: list[psutil.Process] = []

    def enough() -> bool:
        assert parent.poll() is None, "it ended before"
        found[:] = workers_of(parent)
        return len(found) >= count

    wait_until(enough, 400, f"{count} workers watch a file")
    return found


def kill_one_worker(parent: "subprocess.Popen[str]") -> None:
    """Kill a worker that watches a file, once there is one."""
    wait_until_watched(parent)[0].kill()


@ray
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_cluster_of_three_workers_gives_the_results_of_one_process(
    night: Path, in_turn: Path, tmp_path: Path
) -> None:
    run = started(night, tmp_path / "out", "--engine", "ray", "--jobs", "3", "--json", "--realtime")
    wait_until_watched(run, 3)
    code, told, said = ended(run)
    assert code == 0, said
    same_results(tmp_path / "out", in_turn)
    events = [json.loads(line)["data"] for line in told.splitlines() if line.startswith("{")]
    files = [event["file"] for event in events]
    assert files == sorted(files)  # told file by file, in order
    assert Counter((event["id"], event["revision"]) for event in events).most_common(1)[0][1] == 1
    assert f"{_FILES} confirmed in 0:00:14 of video from {_FILES} files" in said


@ray
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_midway_costs_nothing_and_its_file_is_watched_again(
    night: Path, in_turn: Path, tmp_path: Path
) -> None:
    run = started(night, tmp_path / "out", "--engine", "ray", "--jobs", "3", "--realtime")
    kill_one_worker(run)
    code, _, said = ended(run)
    assert code == 0, said
    same_results(tmp_path / "out", in_turn)
    assert said.count("the worker that watched it was lost; it is watched again") == 1


@ray
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_forty_clips_give_the_results_of_one_process_though_a_worker_is_killed(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    archive = clips(tmp_path / "archive", _MANY)
    code, _, said = ended(started(archive, tmp_path / "one", "--jobs", "1"))
    assert code == 0, said
    assert len(flashes_of(tmp_path / "one")) == _MANY
    run = started(archive, tmp_path / "out", "--engine", "ray", "--jobs", "4", "--realtime")
    kill_one_worker(run)
    code, _, said = ended(run)
    assert code == 0, said
    same_results(tmp_path / "out", tmp_path / "one")
    assert said.count("the worker that watched it was lost; it is watched again") == 1


@ray
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_parts_of_a_recording_give_the_results_of_one_process_though_a_worker_is_killed(
    tmp_path: Path,
) -> None:
    flashes = tuple(FlashPlan(kind="sheet", at=at) for at in (20.0, 48.0, 93.94, 110.0, 141.0, 182.0))
    plan = Plan(seconds=188.0, size=(256, 144), flashes=flashes, rain=0.3)  # cut into four, one flash across a cut
    write_clip(Scene(plan), tmp_path / "storm.mp4", ClipFormat())
    code, _, said = ended(started(tmp_path / "storm.mp4", tmp_path / "one"))
    assert code == 0, said
    run = started(tmp_path / "storm.mp4", tmp_path / "out", "--engine", "ray", "--jobs", "2", "--split-minutes", "1")
    kill_one_worker(run)
    code, _, said = ended(run)
    assert code == 0, said
    assert flashes_of(tmp_path / "out") == flashes_of(tmp_path / "one")
    assert len(flashes_of(tmp_path / "out")) == len(flashes)
    assert said.count("the worker that watched it was lost; it is watched again") == 1
    assert "in 0:03:07 of video from 1 file" in said


@ray
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_signal_ends_the_cluster_too(night: Path, tmp_path: Path) -> None:
    run = started(night, tmp_path / "out", "--engine", "ray", "--jobs", "2", "--realtime")
    wait_until_watched(run)
    family = psutil.Process(run.pid).children(recursive=True)
    run.terminate()
    code, _, said = ended(run)
    assert "stopped early" in said, said
    assert code in (0, 1)
    assert not psutil.wait_procs(family, timeout=30)[1]


@ray
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_one_broken_file_is_named_and_the_others_are_watched(night: Path, in_turn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    for clip in night.iterdir():
        (folder / clip.name).symlink_to(clip)
    (folder / "broken.mp4").write_bytes(b"no video")
    code, _, said = ended(started(folder, tmp_path / "out", "--engine", "ray"))
    assert code == 1
    assert str(folder / "broken.mp4") in said
    assert flashes_of(tmp_path / "out") == flashes_of(in_turn)


@ray
@pytest.mark.ray
def test_a_cluster_that_is_not_there_is_one_line(night: Path, tmp_path: Path) -> None:
    code, _, said = ended(started(night, tmp_path / "out", "--engine", "ray", "--address", "127.0.0.1:9"))
    assert code == 1
    assert "--address 127.0.0.1:9: no Ray cluster can be reached there" in said.splitlines()[-1]


@pytest.mark.skipif(not ray_is_missing(), reason="ray is installed")
def test_without_ray_one_line_says_what_to_install(night: Path, tmp_path: Path) -> None:
    code, _, said = ended(started(night, tmp_path / "out", "--engine", "ray"))
    assert code == 1
    assert "pip install 'lightning-detector[ray]'" in said
    assert not (tmp_path / "out" / "flashes.jsonl").exists()


def test_flags_that_do_not_go_together_are_refused(night: Path, tmp_path: Path) -> None:
    for number, (words, why) in enumerate(
        ((("--address", "auto"), "add --engine ray"), (("--engine", "ray", "--follow", "1"), "leave out --engine ray"))
    ):
        code, _, said = ended(started(night, tmp_path / str(number), *words))
        assert code == 2
        assert why in said


def test_a_node_tells_which_recordings_it_does_not_see_or_sees_otherwise(night: Path, tmp_path: Path) -> None:
    here, other = tmp_path / "here.mp4", tmp_path / "other.mp4"
    here.write_bytes(b"12")
    other.write_bytes(b"123")
    files = [(str(here), 2), (str(other), 2), ("/nowhere/gone.mp4", 5)]
    urls = [f"local://{night}/c00.mp4", "local:///nowhere/gone.mp4", "http://127.0.0.1:9/a.mp4"]
    sight = look_around(files, urls, CaptureOptions(), str(tmp_path / "probe"))
    assert sight.missing == (str(other), "/nowhere/gone.mp4")
    assert [why.partition(": ")[0] for why in sight.unread] == urls[1:]
    assert not sight.writes
    assert look_around([(str(here), 2), (str(tmp_path), -1)], (), CaptureOptions(), str(here)).writes
