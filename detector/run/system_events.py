"""Events about cameras and about the program itself: their types and what they say."""

from typing import Literal

import msgspec

from detector.events import SOFTWARE
from stream import HostClock

CAMERA_TYPE = "lightning.camera.v1"
CAMERA_TOPIC = "ev.camera."  # the camera's name follows
CAMERA_SCHEMA = "urn:lightning-detector:camera:1"
SYSTEM_TYPE = "lightning.system.v1"
SYSTEM_TOPIC = "ev.system"
SYSTEM_SCHEMA = "urn:lightning-detector:system:1"


class SystemState(msgspec.Struct, frozen=True, kw_only=True):
    """What `watch` says of itself: that it started or stopped, with which cameras and which verifier, and why that.

    `reloaded` and `reload_refused` follow a request to read the cameras again; `detail` says what changed, or what is
    wrong in the file.

    Attributes:
        host_clock: whether this computer's clock is kept synchronised, its largest error in ms, and what was asked.
    """

    state: Literal["started", "stopped", "reloaded", "reload_refused"]
    cameras: tuple[str, ...]
    verifier: str
    host_clock: HostClock
    software: str = SOFTWARE
    detail: str | None = None
