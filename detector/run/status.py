"""The status of a run in the heartbeats of its feed: cameras, disk, verifier and queues."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stream import CameraStatus

_log = logging.getLogger(__name__)

_DISK_SECONDS = 10.0  # between two measurements of free disk space


class CameraReading(NamedTuple):
    """The current counters of a camera.

    Attributes:
        status: its state and counters.
        age_seconds: seconds since its last frame arrived; None before the first.
        utc_error_ms: bound on the error of its last frame's UTC in milliseconds; None if unknown.
    """

    status: CameraStatus
    age_seconds: float | None
    utc_error_ms: float | None


class RunStatus:
    """The `status` of heartbeats; `tell` is called in the publisher's thread, the rest in the owner's.

    Args:
        site: the publisher's name.
        folders: folders whose free space is reported, by what they hold.
    """

    def __init__(self, site: str, folders: Mapping[str, Path]) -> None:
        self._site = site
        self._folders = dict(folders)
        self._started = round(time.time(), 1)
        self._free: dict[str, int] = {}
        self._next_look = 0.0
        self._cameras: Callable[[], Iterable[CameraReading]] | None = None
        self._verifier: Callable[[], dict[str, Any]] | None = None

    def attach(self, cameras: Callable[[], Iterable[CameraReading]], verifier: Callable[[], dict[str, Any]]) -> None:
        """Include these in the status from now on; both are called in the publisher's thread and must not block."""
        self._cameras, self._verifier = cameras, verifier

    def look(self) -> None:
        """Measure the free disk space, if that is due. A hanging disk blocks the caller, never the feed."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _DISK_SECONDS
        free = {}
        for kind, folder in self._folders.items():
            try:
                disk = os.statvfs(folder)
            except OSError as error:
                _log.debug("%s: %s", folder, error.strerror)
                continue
            free[kind] = disk.f_bavail * disk.f_frsize // 1_000_000
        self._free = free

    def tell(self) -> dict[str, Any] | None:
        """Return the status; None before anything is watched."""
        if self._cameras is None or self._verifier is None:
            return None
        return {
            "site": self._site,
            "started": self._started,
            "cameras": {reading.status.camera: camera_fields(reading) for reading in self._cameras()},
            "verifier": self._verifier(),
            "free_mb": self._free,
        }


def camera_fields(reading: CameraReading) -> dict[str, Any]:
    """Return one camera's fields in a heartbeat: at most 200 bytes of JSON with its name."""
    status = reading.status
    return {
        "state": status.state,
        "fps": round(status.fps, 1),
        "frames": status.frames,
        "age": None if reading.age_seconds is None else round(reading.age_seconds, 2),
        "damaged": status.damaged,
        "skipped": status.skipped,
        "reconnects": status.reconnects,
        "clock": status.clock,
        "bound_ms": None if reading.utc_error_ms is None else round(reading.utc_error_ms),
    }


class SiteStatuses:
    """The status in a relay's heartbeats: the last status of each site that it receives."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._sites: dict[str, tuple[float, dict[str, Any]]] = {}

    def heard(self, status: Mapping[str, Any]) -> None:
        """Note the status in a received heartbeat; that of another relay is split into its sites."""
        now = time.monotonic()
        inner = status.get("sites")
        if isinstance(inner, dict):
            for name, one in inner.items():
                if isinstance(one, dict):
                    age = one.get("age", 0.0)
                    self._sites[str(name)] = (now - (age if isinstance(age, float | int) else 0.0), one)
        elif isinstance(status.get("site"), str):
            self._sites = {**self._sites, status["site"]: (now, dict(status))}

    def tell(self) -> dict[str, Any]:
        """Return each site's last status, with its age in seconds."""
        now = time.monotonic()
        sites = {name: status | {"age": round(now - heard, 1)} for name, (heard, status) in self._sites.items()}
        return {"site": self._site, "sites": sites}
