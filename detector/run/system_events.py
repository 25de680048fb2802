"""Events about cameras and about the program itself: their types and what they say."""

from typing import Literal

import msgspec

from detector.events import SOFTWARE
from stream import CameraStatus, HostClock, utc_text

CAMERA_TYPE = "lightning.camera.v1"
CAMERA_TOPIC = "ev.camera."  # the camera's name follows
CAMERA_SCHEMA = "urn:lightning-detector:camera:1"
SYSTEM_TYPE = "lightning.system.v1"
SYSTEM_TOPIC = "ev.system"
SYSTEM_SCHEMA = "urn:lightning-detector:system:1"


class CameraState(CameraStatus, frozen=True):
    """What `data` of a camera's message says: its status, and since when in words.

    Attributes:
        since_utc: UTC of `since`, ISO 8601; null before the first state.
    """

    since_utc: str | None = None


def camera_state(status: CameraStatus) -> CameraState:
    """Return the `data` of the message about a camera."""
    since = utc_text(status.since) if status.since else None
    return CameraState(**msgspec.structs.asdict(status), since_utc=since)


class SystemState(msgspec.Struct, frozen=True, kw_only=True):
    """What a run says of itself: that it started or stopped, or removed media that were too old or too many.

    `reloaded` and `reload_refused` follow a request to read the cameras again; `detail` says what changed, or what is
    wrong in the file.

    Attributes:
        state: what happened.
        cameras: those that are watched.
        verifier: which one judges, and why that.
        host_clock: whether this computer's clock is kept synchronised, its largest error in ms, and what was asked.
        flashes: ids of the flashes whose media were removed.
        megabytes: how much that was, 10^6 bytes.
        reason: why they were removed, in words.
        software: what says so.
    """

    state: Literal["started", "stopped", "reloaded", "reload_refused", "media-removed"]
    cameras: tuple[str, ...]
    verifier: str
    host_clock: HostClock | None = None
    flashes: tuple[str, ...] = ()
    megabytes: float | None = None
    reason: str | None = None
    software: str = SOFTWARE
    detail: str | None = None
