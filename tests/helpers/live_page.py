"""The page in a process of its own, asked over HTTP, and feeds for it to read."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from detector.events import FLASH_SCHEMA, FLASH_TYPE, Flash
from helpers.ports import free_port
from helpers.waiting import wait_until
from stream import CameraStatus, Publisher

START_SECONDS = 20


@dataclass
class Answer:
    """What was answered."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class PageServer:
    """A running page."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask for `path` as it is written; headers by their names with _ for -."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="host" in headers)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.ask("/api/schema").code in (200, 401)
        except OSError:
            return False


@contextmanager
def serving(
    *endpoints: str, out: Path | None = None, token: str = "", log: Path | None = None, port: int = 0, **words: str
) -> Iterator[PageServer]:
    """Run `page` on a free port until the block ends."""
    port = port or free_port()
    command = [sys.executable, "-m", "detector", "page", *endpoints, "--listen", f"127.0.0.1:{port}"]
    command += ["--out", str(out)] if out is not None else []
    command += [word for key, value in words.items() for word in (f"--{key}", value)]
    environment = {**os.environ, "LIGHTNING_PAGE_TOKEN": token}
    with (log or Path(os.devnull)).open("ab") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=environment)
    page = PageServer(port, process)
    try:
        wait_until(lambda: page.answers() or process.poll() is not None, START_SECONDS, "the page answers")
        assert process.poll() is None
        yield page
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def publish_flash(feed: Publisher, flash: Flash) -> None:
    feed.publish(
        topic=f"ev.flash.{flash.camera}", type=FLASH_TYPE, subject=flash.camera, dataschema=FLASH_SCHEMA, data=flash
    )


def publish_camera(feed: Publisher, status: CameraStatus) -> None:
    name = status.camera
    feed.publish(topic=f"ev.camera.{name}", type="lightning.camera.v1", subject=name, dataschema="urn:c", data=status)


def made_status(*cameras: str, state: str = "live", **more: Any) -> dict[str, Any]:
    """A status as `watch` sends it in heartbeats."""
    counters = {
        "state": state, "fps": 25.0, "frames": 1000, "age": 0.04, "damaged": 0, "skipped": 0, "reconnects": 0,
        "clock": "rtcp", "bound_ms": 3,
    }  # fmt: skip
    return {
        "site": "test",
        "started": time.time() - 600,
        "cameras": dict.fromkeys(cameras, counters),
        "verifier": {"name": "photometric", "waiting": 0, "queued": 0},
        "free_mb": {"journal": 50_000, "out": 50_000},
    } | more
