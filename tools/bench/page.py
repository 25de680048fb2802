"""What the live page costs cameras: `watch --page` on real RTSP cameras, quiet and then under load.

The load: many listeners to server-sent events, one of them a real browser (Chromium), and many requests a second, all
at the lowest priority. Gives frames watched and skipped, how soon `detected` reaches a subscriber, the page's memory,
what each listener got, and how soon a flash stood in the browser. Needs the GStreamer RTSP server and Chromium.
"""

import argparse
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.latency import FLASHES, seconds_of
from bench.result import Result
from helpers import chromium
from helpers.live_page import PageServer
from helpers.rtsp import RtspServer, free_port, missing
from helpers.waiting import wait_until
from storm import ClipFormat, Plan, Scene, write_clip
from stream import Subscriber

LIMIT_MS = 250
PATHS = ("/", "/api/flashes", "/api/cameras", "/metrics", "/health", "/api/state", "/assets/page.js")
_NICEST = 19
WATCHED = """window.seen = {}; new MutationObserver(() => { for (const n of document.querySelectorAll('.fl[data-id]'))
  window.seen[n.dataset.id] ??= Date.now() / 1000; }).observe(document.querySelector('#stream'),
  {childList: true, subtree: true}); 0"""


@dataclass
class Heard:
    """What a subscriber heard: ms from a frame's arrival to `detected`, and when each was published."""

    detected: dict[str, tuple[float, float]] = field(default_factory=dict)

    def listen(self, endpoint: str, stop: threading.Event) -> None:
        """Take messages until `stop`."""
        with Subscriber(endpoint, since=0) as subscriber:
            while not stop.is_set():
                received = subscriber.receive(0.5)
                event = None if received is None else received.message
                if event is not None and event.type == "lightning.flash.v1" and event.data["state"] == "detected":
                    published = seconds_of(event.time)
                    latency = event.data["latency_ms"] + 1000 * (time.time() - published)
                    self.detected[event.data["id"]] = latency, published

    def between(self, begin: float, end: float) -> list[float]:
        """Return the latencies of what was published in a stretch of time."""
        return [latency for latency, at in self.detected.values() if begin <= at < end]


def listeners(port: int, count: int, seconds: float) -> list[int]:
    """Listen on `count` connections; how many flashes each got."""
    chosen, got = selectors.DefaultSelector(), [0] * count
    ends = time.monotonic() + seconds
    open_ = []
    for n in range(count):
        one = socket.create_connection(("127.0.0.1", port), timeout=20)
        one.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        chosen.register(one, selectors.EVENT_READ, n)
        open_.append(one)
    while time.monotonic() < ends:
        for key, _ in chosen.select(0.5):
            content = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            got[key.data] += content.count(b"event: flash\n")
            if not content:
                got[key.data] = -1
                chosen.unregister(key.fileobj)
    for one in open_:
        one.close()
    return got


def ask(port: int, rate: float, seconds: float) -> tuple[int, int]:
    """Ask `rate` times a second; how many answers came, and how many of them were errors."""
    answers = errors = 0
    begin = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    n = 0
    while time.monotonic() - begin < seconds:
        due = begin + n / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            connection.request("GET", PATHS[n % len(PATHS)])
            answer = connection.getresponse()
            answer.read()
            answers += 1
            errors += answer.status not in (200, 503)
        except (OSError, HTTPException):
            errors += 1
            connection.close()
        n += 1
    return answers, errors


def load(port: int, count: int, rate: float, seconds: float) -> None:
    """Be the load, in a process of its own; print what came of it."""
    os.nice(_NICEST)
    asked: list[tuple[int, int]] = []
    workers = [threading.Thread(target=lambda: asked.append(ask(port, rate / 4, seconds))) for _ in range(4)]
    for worker in workers:
        worker.start()
    got = listeners(port, count, seconds)
    for worker in workers:
        worker.join()
    answers, errors = (sum(one) for one in zip(*asked, strict=True))
    print(min(got), max(got), answers, errors)


@contextmanager
def watching(folder: Path, cameras: list[RtspServer], endpoint: str, port: int) -> Iterator[PageServer]:
    """Run `watch --page` on the cameras."""
    config = folder / "cameras.toml"
    config.write_text("".join(f'[[camera]]\nname = "cam-{n}"\nurl = "{one.url}"\n' for n, one in enumerate(cameras)))
    words = [sys.executable, "-m", "detector", "watch", "--config", str(config), "--publish", endpoint, "--quiet"]
    words += ["--journal", str(folder / "journal.db"), "--out", str(folder / "out"), "--verifier", "photometric"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*words, "--page", f"127.0.0.1:{port}"], stdout=log, stderr=log)
    page = PageServer(port, process)  # type: ignore[arg-type]
    try:
        wait_until(page.answers, 60, "the page answers")
        yield page
    finally:
        process.terminate()
        process.wait(30)


def counters(page: PageServer) -> dict[str, int]:
    """Return frames watched and skipped, of all cameras together."""
    cameras: list[dict[str, Any]] = page.ask("/api/cameras").json["cameras"]
    return {key: sum(int(one.get(key) or 0) for one in cameras) for key in ("frames", "skipped", "reconnects")}


def memory_mb(page: PageServer) -> float:
    """Return the resident memory of the page's process."""
    for child in psutil.Process(page.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "page" in child.cmdline():
                return float(child.memory_info().rss) / 1e6
    return 0.0


def tell(result: Result, name: str, latencies: list[float], before: dict[str, int], after: dict[str, int]) -> float:
    """Add the figures of one stretch; return its 99th percentile."""
    p99 = float(np.percentile(latencies, 99)) if latencies else float("nan")
    change = {key: after[key] - before[key] for key in after}
    result.add(load=name, flashes=len(latencies), detected_p50_ms=np.median(latencies), detected_p99_ms=p99, **change)
    return p99


def in_browser(page: Any, heard: Heard, begin: float) -> list[float]:
    """Return the seconds from the publication of each flash published since `begin` until it stood in the browser."""
    seen: dict[str, float] = page.run("window.seen")
    published = {key: told[1] for key, told in list(heard.detected.items()) if told[1] > begin}
    return [at - published[key] for key, at in seen.items() if key in published]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: how long, how many cameras, and how much load."""
    parser.add_argument("--seconds", type=float, default=60.0, help="of each stretch (default 60)")
    parser.add_argument("--cameras", type=int, default=4, help="(default 4)")
    parser.add_argument("--listeners", type=int, default=50, help="one of them the browser (default 50)")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (default 200)")
    parser.add_argument("--size", default="640x360", help="of the frames (default 640x360)")
    parser.add_argument("--load", type=int, metavar="PORT", help=argparse.SUPPRESS)


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Measure, or be the load; whether cameras did not suffer."""
    if given.load is not None:
        load(given.load, given.listeners, given.rate, given.seconds)
        return True
    if reason := missing() or chromium.missing():
        print(f"bench page: {reason}", file=sys.stderr)
        return False
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        clip = folder / "storm.mp4"
        size = tuple(int(number) for number in given.size.split("x"))
        write_clip(Scene(Plan(seconds=12.0, size=size, flashes=FLASHES)), clip, ClipFormat(key_seconds=1.0))
        cameras = [stack.enter_context(RtspServer(clip)) for _ in range(given.cameras)]
        endpoint, port, heard, stop = (
            f"tcp://127.0.0.1:{free_port(neighbours=1)}",
            free_port(),
            Heard(),
            threading.Event(),
        )
        server = stack.enter_context(watching(folder, cameras, endpoint, port))
        listener = threading.Thread(target=heard.listen, args=(endpoint, stop))
        listener.start()
        stack.callback(listener.join)
        stack.callback(stop.set)
        wait_until(lambda: counters(server)["frames"] > 100 * given.cameras, 120, "all cameras are live")
        quiet, before = time.time(), counters(server)
        time.sleep(given.seconds)
        between, loaded = counters(server), time.time()
        tell(result, "none", heard.between(quiet, loaded), before, between)
        browser = stack.enter_context(chromium.Browser(folder / "profile"))
        tab = browser.page()
        tab.open(server.url)
        tab.run(WATCHED)
        memory, begin = memory_mb(server), time.time()
        words = [
            sys.executable,
            str(Path(__file__).parent),
            "page",
            "--load",
            str(port),
            "--listeners",
            str(given.listeners - 1),
        ]
        words += ["--rate", str(given.rate), "--seconds", str(given.seconds)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        after = counters(server)
        p99 = tell(result, "listeners and requests", heard.between(begin, time.time()), between, after)
        least, most, answers, errors = map(int, done.stdout.split())
        shown = in_browser(tab, heard, begin)
        result.add(
            listeners=given.listeners,
            flashes_each_got_least=least,
            flashes_each_got_most=most,
            browser_showed=len(shown),
            browser_median_s=np.median(shown),
            browser_longest_s=max(shown),
            answers=answers,
            errors=errors + len(tab.errors),
            page_mb_before=memory,
            page_mb_after=memory_mb(server),
        )
        good = p99 <= LIMIT_MS and after["skipped"] == before["skipped"] and not errors and least >= 0
        return good and not tab.errors
