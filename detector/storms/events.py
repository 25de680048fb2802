"""Events about storms and groups: their types and their data."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from detector.events import SOFTWARE

STORM_TYPE = "lightning.storm.v1"
STORM_TOPIC = "ev.storm."  # followed by the site's name
STORM_SCHEMA = "urn:lightning-detector:storm:1"
GROUP_TYPE = "lightning.group.v1"
GROUP_TOPIC = "ev.group."  # followed by the site's name
GROUP_SCHEMA = "urn:lightning-detector:group:1"

Trend = Literal["rising", "steady", "falling", "unknown"]


class StrongestFlash(msgspec.Struct, frozen=True, kw_only=True):
    """The flash of a storm with the largest rise in a camera, which need not be the nearest."""

    flash: Annotated[str, Meta(description="Its id.")]
    camera: Annotated[str, Meta(description="The camera that saw it.")]
    peak_rise_levels: Annotated[float, Meta(description="Rise of its brightest block, in levels of luma.")]


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """The whole current state of one storm; consumers keep the last revision by `id`.

    It is made from light alone: it gives no distance, and is not a safety device.
    """

    id: Annotated[str, Meta(description="Name of the storm; the same in all its revisions.")]
    site: Annotated[str, Meta(description="Who watches it.")]
    state: Annotated[
        Literal["began", "updated", "ended"],
        Meta(description="`updated` after `ended`: a flash that came late, or a late verdict, corrects it."),
    ]
    revision: Annotated[int, Meta(description="1 for the first event of this storm, and rising.")]
    file: Annotated[
        str | None, Meta(description="The recording, where no UTC is known; its storms are its own. Else null.")
    ]
    first_flash: Annotated[str, Meta(description="Id of the first flash.")]
    first_utc: Annotated[str | None, Meta(description="When it started, ISO 8601; null where UTC is not known.")]
    first_seconds: Annotated[
        float | None, Meta(description="When it started in the recording, where UTC is not known; else null.")
    ]
    last_flash: Annotated[str, Meta(description="Id of the last flash.")]
    last_utc: Annotated[str | None, Meta(description="When it started, ISO 8601; null where UTC is not known.")]
    last_seconds: Annotated[
        float | None, Meta(description="When it started in the recording, where UTC is not known; else null.")
    ]
    flash_count: Annotated[
        int,
        Meta(description="Flashes so far, a group counted once; 0: verdicts took away what the storm began with."),
    ]
    rate_per_minute: Annotated[
        float, Meta(description="Flashes a minute in the five minutes up to the last, or since the storm began.")
    ]
    trend: Annotated[
        Trend,
        Meta(description="Those five minutes against the five before, beyond chance; unknown in the first five."),
    ]
    cameras: Annotated[tuple[str, ...], Meta(description="The cameras that saw it.")]
    strongest: Annotated[StrongestFlash, Meta(description="The flash that rose most.")]
    quiet_minutes: Annotated[float, Meta(description="It ends so long after its last flash.")]
    all_clear_at: Annotated[
        str | None, Meta(description="When it ends, or ended, if no flash follows; null where UTC is not known.")
    ]
    merged_into: Annotated[
        str | None, Meta(description="Of an ended storm: the storm that a late flash showed to be the same.")
    ] = None
    software: Annotated[str, Meta(description="Program and version that made this event.")] = SOFTWARE


class GroupMember(msgspec.Struct, frozen=True, kw_only=True):
    """One camera's view of a flash."""

    flash: Annotated[str, Meta(description="Its id.")]
    site: Annotated[str, Meta(description="Whose camera it is.")]
    camera: Annotated[str, Meta(description="The camera that saw it.")]
    start_utc: Annotated[str, Meta(description="UTC of its start, ISO 8601.")]
    bound_ms: Annotated[float, Meta(description="Bound on the error of that time.")]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One flash as several cameras saw it; consumers keep the last revision by `id`."""

    id: Annotated[str, Meta(description="Name of the group; the same in all its revisions.")]
    site: Annotated[str, Meta(description="Who says that they agree.")]
    revision: Annotated[int, Meta(description="1 for the first event of this group, and rising.")]
    start_utc: Annotated[str, Meta(description="The start of the member with the smallest bound.")]
    bound_ms: Annotated[float, Meta(description="That bound.")]
    members: Annotated[tuple[GroupMember, ...], Meta(description="The flashes, two or more, each of another camera.")]
    software: Annotated[str, Meta(description="Program and version that made this event.")] = SOFTWARE
