"""The MQTT bridge as the tests run it: the program itself, and a site that it listens to."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from detector.events import Flash
from detector.run.site_storms import SiteStorms
from detector.settings import Settings
from helpers import ROOT
from helpers.broker import PASSWORD, USER, Broker
from helpers.feed import free_endpoint, options_for
from helpers.live_page import made_status
from helpers.service import ended_like_a_service
from helpers.storms import made_flash
from stream import Publisher

SITE = "test"


@contextmanager
def bridge(
    endpoint: str, broker: Broker, *words: str, log: Path, password: str = PASSWORD, port: int | None = None
) -> Iterator[psutil.Process]:
    """Run the program; end it as a service manager does."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "detector", "mqtt", endpoint, "--broker-ca", str(broker.authority),
                "--broker", f"mqtts://{USER}:{{BROKER_PASSWORD}}@localhost:{port or broker.tls_port}", *words,
            ],
            stderr=errors, env=os.environ | {"BROKER_PASSWORD": password}, cwd=ROOT,
        )  # fmt: skip
    with ended_like_a_service(process) as running:
        yield running


class Site:
    """A publisher with cameras and storms, as `watch` has them.

    Attributes:
        status: what its heartbeats say.
        end: ends it.
    """

    def __init__(self, folder: Path, *cameras: str, **more: Any) -> None:
        self.endpoint = free_endpoint()
        self.status = made_status(*cameras)
        self.journal = folder / "feed.db"
        self.feed = Publisher(options_for(self.endpoint, self.journal, status=lambda: self.status, **more), {})
        self.storms = SiteStorms(self.feed, Settings(), self.journal, SITE)
        self.end: Callable[[], None] = lambda: None
        self._made = 0

    def flash(self, camera: str, *, ago: float = 0.0, state: str = "confirmed", **more: Any) -> Flash:
        """Publish a flash that began so long ago, and what it makes of storms."""
        self._made += 1
        flash = made_flash(0.0, camera, utc=time.time() - ago, state=state, **more)
        flash = msgspec.structs.replace(flash, id=f"{camera}-{self._made}", changed=("state",))
        self.storms.publish(flash)
        return flash


@contextmanager
def site(folder: Path, *cameras: str, **more: Any) -> Iterator[Site]:
    made = Site(folder, *cameras, **more)
    with ExitStack() as stack:
        stack.enter_context(made.feed)
        made.end = stack.close
        yield made
