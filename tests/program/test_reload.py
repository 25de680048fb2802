"""SIGHUP reads the cameras of a running watch again; what did not change loses no frame."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest

from helpers.feed import free_endpoint
from helpers.media import Clip, make_clip
from helpers.rtsp import RtspServer
from helpers.waiting import wait_until
from stream import Heartbeat, Subscriber, SubscriberOptions

PROGRAM = (sys.executable, "-m", "detector")


class Watch:
    """A running watch and what its feed says."""

    def __init__(self, process: "subprocess.Popen[bytes]", endpoint: str, config: Path) -> None:
        self.process = process
        self.config = config
        self.status: dict[str, Any] = {}
        self.system: list[dict[str, Any]] = []
        self.cameras: list[dict[str, Any]] = []
        self._events = Subscriber(endpoint, options=SubscriberOptions(since=0, on_heartbeat=self._hear))

    def _hear(self, _endpoint: str, heartbeat: Heartbeat) -> None:
        if isinstance(heartbeat.status, dict):
            self.status = heartbeat.status

    def listen(self, seconds: float = 0.1) -> None:
        """Take what came."""
        while received := self._events.receive(seconds):
            if received.topic == "ev.system":
                self.system.append(received.message.data)
            elif received.topic.startswith("ev.camera."):
                self.cameras.append(received.message.data)

    def close(self) -> None:
        self._events.close()

    def frames(self, camera: str) -> int:
        """Frames counted in the last heartbeat."""
        return int(self.status.get("cameras", {}).get(camera, {}).get("frames", 0))

    def reload(self, text: str) -> dict[str, Any]:
        """Write the settings file, ask for it to be read, and return what the feed said of that."""
        self.config.write_text(text)
        before = len(self.system)
        self.process.send_signal(signal.SIGHUP)

        def told() -> bool:
            self.listen()
            return len(self.system) > before

        wait_until(told, 60, "the reload is told")
        return self.system[-1]


@contextmanager
def watching(folder: Path, text: str) -> Iterator[Watch]:
    """Run watch on a settings file, without a terminal, as a service manager does."""
    endpoint, config = free_endpoint(), folder / "cameras.toml"
    config.write_text(text)
    command = [*PROGRAM, "watch", "--config", str(config), "--publish", endpoint, "--out", str(folder / "out")]
    command += ["--journal", str(folder / "journal.db"), "--verifier", "photometric", "--quiet"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    watch = Watch(process, endpoint, config)
    try:

        def begun() -> bool:
            watch.listen()
            return process.poll() is not None or bool(watch.status)

        wait_until(begun, 30, "watch runs")
        yield watch
    finally:
        process.terminate()
        process.wait(20)
        watch.close()


def camera(name: str, server: RtspServer, more: str = "") -> str:
    return f'[[camera]]\nname = "{name}"\nurl = "{server.url}"\n{more}'


def listen_for(watch: Watch, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch.listen()


def all_live(watch: Watch, *names: str) -> None:
    def live() -> bool:
        watch.listen()
        return all(watch.status.get("cameras", {}).get(name, {}).get("state") == "live" for name in names)

    wait_until(live, 30, f"{names} are live")


def test_a_reload_touches_only_what_changed(
    rtsp_server: Callable[..., RtspServer], camera_clip: Path, tmp_path: Path
) -> None:
    servers = [rtsp_server(camera_clip) for _ in range(3)]
    a, b, c = (camera(name, server) for name, server in zip("abc", servers, strict=True))
    with watching(tmp_path, a + b) as watch:
        all_live(watch, "a", "b")
        told = watch.reload(a + camera("b", servers[1], 'transport = "tcp"\n') + c)
        assert (told["state"], told["detail"], told["cameras"]) == ("reloaded", "added c; changed b", ["a", "b", "c"])
        all_live(watch, "a", "b", "c")
        told = watch.reload(a + c)
        assert (told["detail"], told["cameras"]) == ("removed b", ["a", "c"])
        wait_until(lambda: watch.listen() or "b" not in watch.status["cameras"], 10, "b is told no more")
        assert [one["state"] for one in watch.cameras if one["camera"] == "a"] == ["live"]
        assert [one["state"] for one in watch.cameras if one["camera"] == "c"] == ["live"]
        counters = watch.status["cameras"]["a"]
        assert (counters["reconnects"], counters["skipped"], counters["damaged"]) == (0, 0, 0)
        assert not (tmp_path / "out" / "live" / "b.jpg").exists()
    assert watch.process.returncode == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[camera]]\nname = "a"\nurl = "x"\n\n[[camera]]\nname = "b"\nurl = "y"\nregion = [0, 0, 2, 1]\n', 8),
        ('[[camera]]\nname = "a"\nurl = "rtsp://x/"\n[prefilter]\ngap_seconds = "soon"\n', 5),
        ('[[camera]]\nname = "a"\nurl = \n', 3),
        ('[[camera]]\nname = "a"\nurl = "rtsp://x/"\nnonsense = 1\n', 4),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_line_and_all_goes_on(
    text: str, line: int, rtsp_server: Callable[..., RtspServer], camera_clip: Path, tmp_path: Path
) -> None:
    right = camera("roof", rtsp_server(camera_clip))
    with watching(tmp_path, right) as watch:
        all_live(watch, "roof")
        told = watch.reload(text)
        assert told["state"] == "reload_refused"
        assert f"line {line}" in told["detail"], told["detail"]
        assert told["cameras"] == ["roof"]
        before = watch.frames("roof")
        wait_until(lambda: watch.listen() or watch.frames("roof") > before, 10, "frames go on")
        assert watch.reload(right)["detail"] == "nothing changed"


def test_other_sections_wait_for_the_next_start_and_that_is_said(
    rtsp_server: Callable[..., RtspServer], camera_clip: Path, tmp_path: Path
) -> None:
    right = camera("roof", rtsp_server(camera_clip))
    with watching(tmp_path, right) as watch:
        told = watch.reload(right + "[photometric]\nthreshold = 0.6\n")
        assert told["detail"] == "nothing changed; [photometric] will change at the next start"


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_fifty_reloads_under_four_cameras_leave_nothing_behind_and_cost_the_others_no_frame(
    rtsp_server: Callable[..., RtspServer], tmp_path: Path
) -> None:
    # No flashes: clips of a storm hold memory while they grow, and would hide what reloads leave.
    quiet = make_clip(tmp_path / "quiet.mp4", Clip(seconds=10, flashes=()))
    servers = [rtsp_server(quiet) for _ in range(4)]
    three = "".join(camera(f"cam-{n}", server) for n, server in enumerate(servers[:3]))
    fourth = [three + camera("cam-3", servers[3], f"region = [0.0, 0.0, 1.0, {1 - n / 10}]\n") for n in range(2)]
    with watching(tmp_path, fourth[0]) as watch:
        names = [f"cam-{n}" for n in range(4)]
        all_live(watch, *names)
        process = psutil.Process(watch.process.pid)

        def reload(numbers: range) -> list[int]:
            """Reload so often; return the bytes in memory after each."""
            held = []
            for n in numbers:
                assert watch.reload(fourth[n % 2])["detail"] == "changed cam-3"
                held.append(process.memory_info().rss)
            return held

        def kept() -> tuple[int, int]:
            return process.num_threads(), process.num_fds()

        reload(range(1, 31))
        listen_for(watch, 30.0)  # clip buffers fill with time, without reloads too
        all_live(watch, *names)
        before = kept()
        memory = reload(range(31, 81))
        all_live(watch, *names)
        wait_until(lambda: watch.listen() or kept() <= before, 30, f"threads and files of {before}, now {kept()}")
        # The buffer of a camera that is opened again is empty, and fills: memory goes up and down with it.
        grown = median(memory[-15:]) - median(memory[:15])
        assert grown < 30e6, f"{grown / 1e6:.0f} MB more after 50 reloads: {[round(one / 1e6) for one in memory]}"
        assert all(one["camera"] == "cam-3" or one["state"] == "live" for one in watch.cameras)
        for name in names[:3]:
            counters = watch.status["cameras"][name]
            assert (counters["reconnects"], counters["skipped"], counters["damaged"]) == (0, 0, 0)
        assert json.loads((tmp_path / "out" / "live" / "cam-0.json").read_text())["camera"] == "cam-0"


def test_the_hang_up_of_a_terminal_still_ends_the_program(
    rtsp_server: Callable[..., RtspServer], camera_clip: Path, tmp_path: Path
) -> None:
    import pty  # noqa: PLC0415 - not on Windows

    words = ["watch", rtsp_server(camera_clip).url, "--publish", "none", "--verifier", "photometric"]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*PROGRAM, *words])
    seen = b""
    while b"live" not in seen:
        seen += os.read(terminal, 4096)
    os.close(terminal)  # as a window that is closed
    statuses: list[int] = []

    def ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        statuses.extend([status] * (pid == child))
        return pid == child

    wait_until(ended, 20, "it ends")
    assert [os.waitstatus_to_exitcode(status) for status in statuses] == [0]
