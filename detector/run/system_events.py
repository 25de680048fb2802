"""Events about cameras and about the program itself: their types and their data."""

from typing import TYPE_CHECKING, Literal

import msgspec

from detector.events import SOFTWARE
from stream import CameraStatus, HostClock, utc_text

if TYPE_CHECKING:  # it takes long to load
    from stream import Publisher

CAMERA_TYPE = "lightning.camera.v1"
CAMERA_TOPIC = "ev.camera."  # followed by the camera's name
CAMERA_SCHEMA = "urn:lightning-detector:camera:1"
SYSTEM_TYPE = "lightning.system.v1"
SYSTEM_TOPIC = "ev.system"
SYSTEM_SCHEMA = "urn:lightning-detector:system:1"
StateOfRun = Literal["started", "stopped", "reloaded", "reload_refused", "media-removed", "node_joined", "node_lost"]


class CameraState(CameraStatus, frozen=True):
    """The `data` of a message about a camera: its status, and the time of its last change as text.

    Attributes:
        since_utc: UTC of `since`, ISO 8601; null before the first state.
    """

    since_utc: str | None = None


def camera_state(status: CameraStatus) -> CameraState:
    """Return the `data` of the message about a camera."""
    since = utc_text(status.since) if status.since else None
    return CameraState(**msgspec.structs.asdict(status), since_utc=since)


class SystemState(msgspec.Struct, frozen=True, kw_only=True):
    """The `data` of a message about a run: it started or stopped, or removed media that were too old or too many.

    `reloaded` and `reload_refused` follow a request to reload the cameras; `detail` says what changed, or what is wrong
    in the file. `node_lost` and `node_joined` tell of the nodes of a cluster; `detail` says what was not relayed.

    Attributes:
        state: what happened.
        cameras: the watched cameras.
        verifier: the verifier, and why it was chosen.
        host_clock: whether this computer's clock is synchronised, its largest error in ms, and the source of both.
        flashes: ids of the flashes whose media were removed.
        megabytes: size of the removed media, in 10^6 bytes.
        reason: why they were removed, in words.
        software: name and version of the program.
    """

    state: StateOfRun
    cameras: tuple[str, ...]
    verifier: str
    host_clock: HostClock | None = None
    flashes: tuple[str, ...] = ()
    megabytes: float | None = None
    reason: str | None = None
    software: str = SOFTWARE
    detail: str | None = None


def publish_system(feed: "Publisher", site: str, data: SystemState) -> None:
    """Publish an event about the program itself."""
    feed.publish(topic=SYSTEM_TOPIC, type=SYSTEM_TYPE, subject=site, dataschema=SYSTEM_SCHEMA, data=data)
