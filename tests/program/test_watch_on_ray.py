"""`watch --engine ray`: two nodes of a cluster share real cameras, and one takes over those of the other."""

import json
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.feed import free_endpoint
from helpers.rtsp import RtspServer
from helpers.waiting import wait_until
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import HistoryFilter, read_history

PROGRAM = (sys.executable, "-m", "detector")
CAMERAS = ("east", "north", "south", "west")
_TAKEN_OVER_SECONDS = 30.0


def ray_is_missing() -> bool:
    try:
        import ray  # noqa: F401, PLC0415 - heavy, and hardly anywhere installed
    except ImportError:
        return True
    return False


needs_ray = pytest.mark.skipif(ray_is_missing(), reason="the package ray is not installed (make ray)")


class Watch:
    """A `watch --engine ray`, and what it has told."""

    def __init__(self, address: str, settings: Path, journal: Path) -> None:
        words = [
            "watch",
            "--engine",
            "ray",
            "--address",
            address,
            "--config",
            str(settings),
            "--verifier",
            "photometric",
        ]
        words += ["--publish", free_endpoint(), "--journal", str(journal), "--json"]
        self.said: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._threads = [threading.Thread(target=read) for read in (self._read_events, self._read_log)]
        for thread in self._threads:
            thread.start()

    def nodes_of(self, camera: str) -> list[str]:
        """The nodes on which a camera went live, in order."""
        return [
            event["source"]
            for event in tuple(self.events)
            if event["subject"] == camera and event["data"].get("state") == "live"
        ]

    def system(self, state: str) -> list[dict[str, Any]]:
        own = [event for event in tuple(self.events) if "originfeed" not in event]
        return [event["data"] for event in own if event["data"].get("state") == state]

    def confirmed(self, camera: str) -> int:
        events = [event["data"] for event in tuple(self.events) if event["type"] == "lightning.flash.v1"]
        return sum(event["state"] == "confirmed" and event["camera"] == camera for event in events)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def close(self) -> None:
        """Read the last lines; the process has ended, or soon will."""
        for thread in self._threads:
            thread.join()
        with self.process:
            pass

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)


@contextmanager
def watching(address: str, settings: Path, journal: Path) -> Iterator[Watch]:
    watch = Watch(address, settings, journal)
    try:
        yield watch
    except BaseException:
        sys.stderr.writelines(watch.said)
        raise
    finally:
        watch.process.kill()
        watch.close()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of two nodes of a core."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_enable_worker_prestart", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield made
    finally:
        made.shutdown()


def added(cluster: Any) -> Any:
    """Add a node; Ray itself gives up on a busy machine."""
    for _ in range(4):
        with suppress(Exception):
            return cluster.add_node(num_cpus=1)
    return cluster.add_node(num_cpus=1)


def raylet_of(node: Any) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def watches_below(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in process.children(recursive=True):
        with suppress(psutil.Error):
            words = child.cmdline()
            if "watch" in words and "local" in words:
                found.append(child)
    return found


def command_lines() -> list[str]:
    lines = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return lines


def kill_with_all_below(process: psutil.Process) -> None:
    family = [process, *process.children(recursive=True)]
    for one in family:
        with suppress(psutil.Error):
            one.suspend()
    for one in family:
        with suppress(psutil.Error):
            one.kill()


@needs_ray
@pytest.mark.ray
@pytest.mark.rtsp
@pytest.mark.timeout(600)
def test_cameras_of_a_node_that_dies_are_live_elsewhere_and_nothing_is_lost_or_told_twice(
    cluster: Any, rtsp_server: Callable[..., RtspServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flashes = (FlashPlan(kind="sheet", at=2.0), FlashPlan(kind="bolt", at=5.0))
    plan = Plan(seconds=8.0, size=(320, 180), flashes=flashes)
    write_clip(Scene(plan), tmp_path / "storm.mp4", ClipFormat(key_seconds=1.0))
    server = rtsp_server(tmp_path / "storm.mp4", "--user", "joe", "--password", "pa55word")
    monkeypatch.setenv("CAMERA_PASSWORD", "pa55word")
    url = f"rtsp://joe:{{CAMERA_PASSWORD}}@127.0.0.1:{server.port}/cam"
    settings, journal = tmp_path / "cameras.toml", tmp_path / "journal.sqlite"
    settings.write_text("".join(f'[[camera]]\nname = "{name}"\nurl = "{url}"\n' for name in CAMERAS))
    other = added(cluster)

    with watching(cluster.address, settings, journal) as watch:
        wait_until(lambda: all(map(watch.confirmed, CAMERAS)), 240, "a flash of each camera")
        home = {name: watch.nodes_of(name)[-1] for name in CAMERAS}
        assert sorted(Counter(home.values()).values()) == [2, 2]
        assert not [line for line in command_lines() if "pa55" in line and "rtsp_server" not in line]

        lost = next(iter(watches_below(raylet_of(other)))).cmdline()
        lost_journal = Path(lost[lost.index("--journal") + 1])
        gone = [name for name, source in home.items() if source.rpartition(":")[2] == lost_journal.parent.name]
        assert len(gone) == 2
        kill_with_all_below(raylet_of(other))
        wait_until(
            lambda: all(len(watch.nodes_of(name)) > 1 for name in gone), _TAKEN_OVER_SECONDS, "the others take over"
        )
        (said,) = watch.system("node_lost")
        assert said["cameras"] == gone
        assert str(lost_journal) in said["detail"]
        counts = {name: watch.confirmed(name) for name in CAMERAS}
        wait_until(lambda: all(watch.confirmed(name) > counts[name] for name in CAMERAS), 30, "a flash of each camera")

        added(cluster)
        wait_until(lambda: watch.system("node_joined"), 60, "the node is back")
        wait_until(lambda: Counter(watch.nodes_of(name)[-1] for name in CAMERAS).most_common()[0][1] == 2, 60, "a move")
        below = watches_below(psutil.Process())
        assert len(below) >= 2
        assert watch.interrupt() == 0, "".join(watch.said)
        assert not psutil.wait_procs(below, timeout=10)[1]

    joined = list(read_history(journal, HistoryFilter()))
    assert [kept.sequence for kept in joined] == list(range(1, len(joined) + 1))
    ids = Counter(kept.message.id for kept in joined)
    assert ids.most_common(1)[0][1] == 1
    journals = list((tmp_path / "state").rglob("journal.sqlite"))
    assert len(journals) == 2
    for node in journals:
        own = [
            kept
            for kept in read_history(node, HistoryFilter())
            if not kept.topic.startswith(("ev.storm.", "ev.group."))
        ]
        assert {kept.message.id for kept in own} <= ids.keys()
        feeds = {kept.message.feed: kept for kept in own}
        origins = [kept.message for kept in joined if kept.message.originfeed in feeds]
        assert [message.originsequence for message in origins] == [kept.message.sequence for kept in own]
    starts = defaultdict(set)
    for kept in joined:
        if kept.message.type == "lightning.flash.v1":
            starts[kept.message.data["camera"]].add((kept.message.data["start_utc"], kept.message.data["id"]))
    for name in CAMERAS:
        assert len({start for start, _ in starts[name]}) == len(starts[name])
    assert "pa55" not in "".join(watch.said)
    assert not list((tmp_path / "state").rglob("cameras.toml"))


def refused(*words: str) -> tuple[int, str]:
    done = subprocess.run([*PROGRAM, "watch", *words], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_flags_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    camera, cluster = "rtsp://127.0.0.1:1/cam", ("--engine", "ray")
    journal = ("--journal", str(tmp_path / "journal.sqlite"))
    for words, said in (
        (("--address", "auto"), "add --engine ray"),
        ((*cluster,), "needs --journal"),
        ((*cluster, *journal, "--page"), "run it beside this: lightning-detector page tcp://127.0.0.1:5556"),
    ):
        code, told = refused(camera, *words)
        assert code == 2
        assert said in told


@pytest.mark.skipif(not ray_is_missing(), reason="ray is installed")
def test_without_ray_one_line_says_what_to_install(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    code, told = refused("rtsp://127.0.0.1:1/cam", "--engine", "ray", "--journal", str(journal))
    assert code == 1
    assert "pip install 'lightning-detector[ray]'" in told
    assert not journal.exists()


@needs_ray
@pytest.mark.ray
def test_a_cluster_that_is_not_there_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    words = ("--engine", "ray", "--journal", str(journal), "--address", "127.0.0.1:9")
    code, told = refused("rtsp://127.0.0.1:1/cam", *words)
    assert code == 1
    assert "--address 127.0.0.1:9: no Ray cluster can be reached there" in told.splitlines()[-1]
    assert not journal.exists()
