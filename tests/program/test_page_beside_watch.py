"""`watch --page` on real cameras: what the page shows, and that its death costs nothing."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from helpers.chromium import Browser, missing
from helpers.feed import free_endpoint
from helpers.live_page import PageServer, serving
from helpers.ports import free_port
from helpers.rtsp import RtspServer
from helpers.waiting import wait_until
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import Heartbeat, Subscriber, SubscriberOptions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FLASHES = (FlashPlan(kind="sheet", at=2.0), FlashPlan(kind="bolt", at=5.0))


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storm") / "storm.mp4"
    write_clip(Scene(Plan(seconds=8.0, size=(320, 180), flashes=FLASHES)), path, ClipFormat(key_seconds=1.0))
    return path


@contextmanager
def watching(folder: Path, servers: list[RtspServer], endpoint: str, port: int) -> Iterator[PageServer]:
    config = folder / "cameras.toml"
    tables = [f'[[camera]]\nname = "cam-{n}"\nurl = "{server.url}"\n' for n, server in enumerate(servers)]
    config.write_text('[feed]\nsite = "observatory"\n' + "".join(tables))
    command = [sys.executable, "-m", "detector", "watch", "--config", str(config), "--publish", endpoint, "--quiet"]
    command += ["--journal", str(folder / "journal.db"), "--out", str(folder / "out"), "--verifier", "photometric"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*command, "--page", f"127.0.0.1:{port}"], stdout=log, stderr=log)
    page = PageServer(port, process)  # type: ignore[arg-type]
    try:
        wait_until(page.answers, 40, "the page answers")
        yield page
    finally:
        process.terminate()
        process.wait(30)


def page_of(watch: PageServer) -> psutil.Process | None:
    """The page's own process."""
    for child in psutil.Process(watch.process.pid).children(recursive=True):
        try:
            if "page" in child.cmdline():
                return child
        except psutil.Error:
            continue
    return None


def test_health_follows_a_camera_that_dies_and_comes_back_within_ten_seconds(
    rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    servers = [rtsp_server(storm), rtsp_server(storm)]
    with watching(tmp_path, servers, free_endpoint(), free_port()) as page:
        wait_until(lambda: page.ask("/health").code == 200, 40, "all is well")
        servers[1].kill()
        wait_until(lambda: page.ask("/health").code == 503, 10, "the dead camera is told")
        assert page.ask("/health").json["sites"]["observatory"]["cameras"]["cam-0"]["mark"] == "ok"
        servers[1].start()
        wait_until(lambda: page.ask("/health").code == 200, 30, "it is back")
        servers[0].signal(signal.SIGSTOP)  # frozen: no word, no end of the connection
        wait_until(lambda: page.ask("/health").code == 503, 10, "the frozen camera is told")
        servers[0].signal(signal.SIGCONT)
        wait_until(lambda: page.ask("/health").code == 200, 30, "it is back")


@pytest.mark.soak
def test_killing_the_page_twenty_times_costs_no_event_and_no_frame(
    rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    servers = [rtsp_server(storm), rtsp_server(storm)]
    endpoint, numbers, counters = free_endpoint(), [], {}

    def hear(_endpoint: str, heartbeat: Heartbeat) -> None:
        if isinstance(heartbeat.status, dict):
            counters.update(heartbeat.status["cameras"])

    with (
        Subscriber(endpoint, options=SubscriberOptions(since=0, on_heartbeat=hear)) as events,
        watching(tmp_path, servers, endpoint, free_port()) as page,
    ):

        def take() -> None:
            while received := events.receive(0.05):
                numbers.append(received.sequence)

        for _ in range(20):
            with serving(endpoint, out=tmp_path / "out") as another:
                another.process.kill()
                another.process.wait()
            take()
        own = page_of(page)
        assert own is not None
        own.kill()
        wait_until(lambda: not page.answers(), 10, "it is gone")
        wait_until(page.answers, 40, "watch has started its page again")
        wait_until(lambda: take() or len(counters) == 2, 10, "counters")
        assert page.process.poll() is None
        for camera in ("cam-0", "cam-1"):
            one = counters[camera]
            assert (one["skipped"], one["damaged"], one["reconnects"]) == (0, 0, 0)
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 10


@pytest.mark.web
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_flash_of_a_real_camera_reaches_the_browser_with_its_clip_and_survives_restarts(
    rtsp_server: Callable[..., RtspServer], storm: Path, tmp_path: Path
) -> None:
    servers = [rtsp_server(storm), rtsp_server(storm)]
    endpoint, port = free_endpoint(), free_port()
    with Browser(tmp_path / "profile") as browser:
        with watching(tmp_path, servers, endpoint, port) as page:
            tab = browser.page()
            tab.open(page.url)
            tab.wait("document.querySelector('.item.confirmed')", 60)
            tab.wait("document.querySelectorAll('.cam.live').length === 2", 20)
            tab.run("document.querySelector('.item.confirmed .fl').click()")
            tab.wait("document.querySelector('.more video')?.readyState >= 2", 20)
            identity = tab.run("document.querySelector('.item.open').dataset.key")
            assert tab.errors == []
        tab.wait("document.querySelector('.trouble')", 20)
        with watching(tmp_path, servers, endpoint, port):
            tab.wait("!document.body.classList.contains('stale') && !document.querySelector('.trouble.bad')", 60)
            assert tab.run(f"document.getElementById('stream').querySelector('[data-key=\"{identity}\"]') !== null")
            again = browser.page()
            began = time.monotonic()
            again.open(page.url)
            again.wait(f"document.getElementById('stream').querySelector('[data-key=\"{identity}\"]') !== null", 20)
            assert again.errors == []
            assert time.monotonic() - began < 20
