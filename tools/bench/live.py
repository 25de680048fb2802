"""What cameras cost: so many RTSP cameras of one server in one `watch`; cores, memory, latency, frames skipped.

The RTSP server runs on the same cores and is not counted. Needs the GStreamer RTSP server (make setup-dev).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.clips import make_storm
from bench.result import Result
from helpers.rtsp import RtspServer, free_port, missing
from stream import Subscriber, SubscriberOptions

SETTLE_SECONDS = 6.0  # for all to be live, before it counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags: how many, how long, and what they send."""
    parser.add_argument("--cameras", default="1,4,8", help="(default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="that count, of each (default %(default)s)")
    parser.add_argument("--lines", type=int, default=1080, help="(default %(default)s)")
    parser.add_argument("--mbit", type=float, default=2.0, help="(default %(default)s)")


def measure(given: argparse.Namespace, result: Result) -> bool:
    """Measure each number of cameras; whether none skipped a frame."""
    if reason := missing():
        print(f"bench live: {reason}", file=sys.stderr)
        return False
    good = True
    with tempfile.TemporaryDirectory(prefix="bench-live-") as name:
        clip = make_storm(Path(name) / "storm", 12.0, lines=given.lines, mbit=given.mbit)
        with RtspServer(clip) as server:
            for number in map(int, given.cameras.split(",")):
                row = _watch(server.url, number, given.seconds, Path(name))
                good &= row["skipped"] == 0
                result.add(cameras=number, **row)
    return good


def _watch(url: str, number: int, seconds: float, folder: Path) -> dict[str, Any]:
    settings = folder / f"{number}.toml"
    settings.write_text("".join(f'[[camera]]\nname = "c{n}"\nurl = "{url}"\n' for n in range(number)), encoding="utf-8")
    endpoint = f"tcp://127.0.0.1:{free_port(neighbours=1)}"
    command = [sys.executable, "-m", "detector", "watch", "--config", str(settings), "--publish", endpoint, "--quiet"]
    watch = subprocess.Popen([*command, "--verifier", "photometric"], stdout=subprocess.DEVNULL)
    heard = _Heard(endpoint)
    try:
        heard.thread.start()
        time.sleep(SETTLE_SECONDS + 0.2 * number)
        process = psutil.Process(watch.pid)
        before, began = _cpu(process), time.monotonic()
        heard.count_from = time.time()
        time.sleep(seconds)
        cores = (_cpu(process) - before) / (time.monotonic() - began)
        memory = sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 1e6
        heard.count_from = float("inf")
    finally:
        heard.stop.set()
        watch.terminate()
        watch.wait(timeout=30)
    heard.thread.join(10)
    latencies = sorted(heard.latencies)
    return {
        "cores": cores,
        "cores_a_camera": cores / number,
        "memory_mb": memory,
        "fps_a_camera": statistics.median(heard.rates) if heard.rates else 0.0,
        "detected_p50_ms": latencies[len(latencies) // 2] if latencies else None,
        "detected_p99_ms": latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))] if latencies else None,
        "flashes": len(latencies),
        "skipped": heard.count("skipped"),
        "reconnects": heard.count("reconnects"),
    }


class _Heard:
    """What a subscriber hears meanwhile: when flashes came, and what heartbeats say of cameras.

    Attributes:
        count_from: flashes that arrive before this moment do not count.
        latencies: of `detected`, from the arrival of the first lit frame to the subscriber, in milliseconds.
        rates: frames a second of each camera at the end.
    """

    def __init__(self, endpoint: str) -> None:
        self.count_from = float("inf")
        self.latencies: list[float] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._listen, args=(endpoint,), daemon=True)
        self._cameras: dict[str, dict[str, Any]] = {}

    @property
    def rates(self) -> list[float]:
        """Frames a second of each camera."""
        return [camera.get("fps") or 0.0 for camera in self._cameras.values()]

    def count(self, what: str) -> int:
        """Return the sum of a counter of all cameras."""
        return sum(int(camera.get(what) or 0) for camera in self._cameras.values())

    def _listen(self, endpoint: str) -> None:
        options = SubscriberOptions(on_heartbeat=self._heartbeat)
        with Subscriber(endpoint, since=0, options=options) as events:
            for received in events:
                now, event = time.time(), received.message
                if self.stop.is_set():
                    return
                if event.type == "lightning.flash.v1" and event.data["state"] == "detected" and now > self.count_from:
                    sent = datetime.fromisoformat(event.time).astimezone(UTC).timestamp()
                    self.latencies.append(event.data["latency_ms"] + 1000 * (now - sent))

    def _heartbeat(self, _endpoint: str, heartbeat: Any) -> None:
        status = heartbeat.status or {}
        self._cameras.update(status.get("cameras", {}))


def _cpu(process: psutil.Process) -> float:
    family = (process, *process.children(recursive=True))
    return sum(one.cpu_times().user + one.cpu_times().system for one in family)
