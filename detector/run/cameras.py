"""Read and check the [[camera]] tables of a settings file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from detector.errors import SettingsError
from detector.placeholders import filled
from detector.prefilter.blocks import watched_blocks
from detector.settings import NAME_PATTERN, Settings, in_words, load_settings
from stream import CaptureOptions, camera_name, redact

Share = Annotated[float, Meta(ge=0, le=1)]
Box = tuple[Share, Share, Share, Share]
Point = tuple[Share, Share]
Polygon = tuple[Point, ...]

_FINE = (180, 320)  # rows and columns in which a share of the frame is counted
_OWN_SECTIONS = ("capture", "prefilter")  # what one camera may set for itself; the rest serves all cameras together

_SHORT_KEYS = ("transport", "stream", "times", "offset_seconds")  # of [camera.capture], allowed in [[camera]] itself


class MaskPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the frame that is not watched: a box (left, top, right, bottom) or a polygon, in shares 0..1."""

    box: Box | None = None
    polygon: Annotated[Polygon, Meta(min_length=3)] | None = None


class CameraTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [[camera]] table as written."""

    url: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(pattern=NAME_PATTERN)] | None = None
    transport: str | None = None
    stream: int | None = None
    times: str | None = None
    offset_seconds: float | None = None
    mask: tuple[MaskPart, ...] = ()
    region: Box | None = None
    capture: dict[str, Any] = {}
    prefilter: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class CameraEntry:
    """One camera to watch.

    Attributes:
        name: name of the camera.
        address: its address, with the password.
        settings: the common settings, overridden by this camera's own.
        mask: polygons ((x, y), ...) to leave out, in shares 0..1 of the upright frame.
        region: (left, top, right, bottom) to watch, in shares 0..1 of the upright frame, or None for all.
    """

    name: str
    address: str = field(repr=False)
    settings: Settings = field(repr=False)
    mask: tuple[Polygon, ...] = ()
    region: Box | None = None

    @property
    def capture(self) -> CaptureOptions:
        """The options to open it with."""
        return self.settings.capture

    @property
    def watched_share(self) -> float:
        """Share of the frame, 0..1, that is watched after mask and region."""
        return float(watched_blocks(_FINE, self.mask, self.region).mean())


def load_cameras(
    tables: Sequence[tuple[str, Mapping[str, Any]]], environment: Mapping[str, str] | None = None
) -> tuple[Settings, tuple[CameraEntry, ...]]:
    """Return the common settings and the cameras of `tables`; later tables override earlier ones.

    Args:
        tables: the source and the content of each table.
        environment: variables for the {NAMES} in addresses; those of the process by default.

    Raises:
        SettingsError: a key or value is wrong, a name is used twice or a variable is not set; the message names the
            camera.
    """
    common = [(origin, {key: part for key, part in table.items() if key != "camera"}) for origin, table in tables]
    settings = load_settings(common)
    entries: list[CameraEntry] = []
    for number, (origin, table) in enumerate(tables):
        for label, written in _camera_tables(origin, table):
            own = {section: getattr(written, section) for section in _OWN_SECTIONS}
            short = {key: getattr(written, key) for key in _SHORT_KEYS}
            own["capture"] = {key: value for key, value in short.items() if value is not None} | own["capture"]
            # A camera's own settings override the file that holds it, and flags override both.
            laid = load_settings([*common[: number + 1], (label, own), *common[number + 1 :]])
            entries.append(_entry(label, written, laid, environment))
    _refuse_same_names(entries)
    return settings, tuple(entries)


def _camera_tables(origin: str, table: Mapping[str, Any]) -> Iterator[tuple[str, CameraTable]]:
    rows = table.get("camera", [])
    if not isinstance(rows, list):
        raise SettingsError(f"{origin}: write [[camera]] with two brackets, once for each camera")
    for number, row in enumerate(rows, start=1):
        name = row.get("name") if isinstance(row, dict) else None
        label = f"{origin}: camera {number}" + (f" ({redact(name)})" if name else "")
        try:
            written = msgspec.convert(row, CameraTable, strict=True)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{label}: {in_words(redact(error))}") from error
        for part in written.mask:
            if (part.box is None) == (part.polygon is None):
                raise SettingsError(f"{label}: each part of mask is either {{box = [...]}} or {{polygon = [...]}}")
        for box in (written.region, *(part.box for part in written.mask)):
            if box is not None and not (box[0] < box[2] and box[1] < box[3]):
                order = "left, top, right, bottom with left < right and top < bottom"
                raise SettingsError(f"{label}: {list(box)} must be {order}")
        yield label, written


def _entry(label: str, written: CameraTable, settings: Settings, environment: Mapping[str, str] | None) -> CameraEntry:
    address = filled(label, written.url, environment)
    mask = tuple(part.polygon or _corners(part.box) for part in written.mask)
    return CameraEntry(written.name or camera_name(address), address, settings, mask, written.region)


def _corners(box: Box | None) -> Polygon:
    left, top, right, bottom = box or (0.0, 0.0, 0.0, 0.0)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _refuse_same_names(entries: Sequence[CameraEntry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise SettingsError(f"two cameras are called '{entry.name}'; give each a name of its own")
        seen.add(entry.name)


def distinct_names(addresses: Sequence[str]) -> list[str]:
    """Return a different camera name for each of `addresses`, made from them."""
    names: list[str] = []
    for address in addresses:
        base = name = camera_name(address)
        count = 1
        while name in names:
            count += 1
            name = joined_name(base, count)
        names.append(name)
    return names


def joined_name(base: str, number: int) -> str:
    """Return the camera name `base` with a number appended, within the length limit of names."""
    return f"{base[: 31 - len(str(number))]}-{number}"
