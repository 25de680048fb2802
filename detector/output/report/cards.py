"""One flash in the template: its card, its small curve, its image."""

import base64
import io
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from PIL import Image

from detector.output.files import make_folder, write_whole
from detector.output.report.media_files import MediaFile, small_image
from detector.output.report.model import Report, ReportFlash, spark_curve
from detector.output.report.source import RunResults
from detector.output.report.words import in_recording, percent, time_of_day

ASSET_FOLDER = "report-assets"
"""The folder beside the page with its styles, scripts and small images."""
_INLINE_PIXELS = 960
_SPARK = (240, 26)  # units of a card's small curve


@dataclass(frozen=True, slots=True)
class Spark:
    """A card's small curve: an SVG path, and where the flash is in it."""

    path: str
    x: str
    width: str


@dataclass(frozen=True)
class Card:
    """A flash for the template.

    Attributes:
        image: the address of a small image.
        also: the same flash, seen by other cameras.
        base: path from the page to the run's folder: "" or a path that ends in a slash.
    """

    one: ReportFlash
    zone: tzinfo
    image: str | None
    spark: Spark | None
    also: tuple[ReportFlash, ...]
    base: str

    id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.one.flash.id)

    def time(self, digits: int = 0) -> str:
        """Return the start in local time or, if that is unknown, in the recording."""
        utc = self.one.utc
        return (
            in_recording(self.one.flash.start_seconds, digits) if utc is None else time_of_day(utc, self.zone, digits)
        )

    @property
    def other(self) -> str:
        """The start in UTC."""
        return "" if self.one.utc is None else f"{time_of_day(self.one.utc)} UTC"

    @property
    def sure(self) -> str | None:
        """The probability in words."""
        return None if self.one.probability is None else percent(self.one.probability)

    @property
    def file(self) -> str:
        """The recording's name."""
        return PurePath(self.one.flash.file or "").name

    @property
    def clip(self) -> str | None:
        """The clip's address."""
        return address_of(self.one.clip, self.base)

    @property
    def still(self) -> str | None:
        """The still's address."""
        return address_of(self.one.still, self.base)

    @property
    def missing(self) -> str:
        """Why there is no image."""
        return "Still removed" if self.one.still.removed else "No still was kept"

    @cached_property
    def rise(self) -> int:
        """The largest rise in whole levels."""
        return round(self.one.flash.peak_rise_levels)

    def __getattr__(self, name: str) -> Any:  # the card shows other values of the flash unchanged
        return (
            getattr(self.one, name)
            if hasattr(type(self.one), name) or name in _OF_ONE
            else getattr(self.one.flash, name)
        )


_OF_ONE = frozenset(ReportFlash.__dataclass_fields__)


def address_of(file: MediaFile, base: str) -> str | None:
    """Return the address of a file in the run's folder, whose path from the page is `base`; None if there is none."""
    return None if file.path is None else quote(base + file.path)


class CardImages:
    """The images of cards: the run's thumbnails, or small copies of the stills, beside the page or in it."""

    def __init__(self, results: RunResults, base: str, assets: Path | None) -> None:
        self.base = base
        self._folder = results.folder
        self._assets = assets

    def address(self, one: ReportFlash) -> str | None:
        """Return the address of a small image of a flash; None if there is none."""
        source = one.thumbnail.path or one.still.path
        if source is None:
            return None
        if self._assets is None:
            return self._inline(self._folder / source)
        if one.thumbnail.path is not None:
            return quote(self.base + one.thumbnail.path)
        small = self._assets / "stills" / f"{one.flash.id.replace(':', '')}.jpg"
        still = self._folder / source
        try:
            if not small.exists() or small.stat().st_mtime < still.stat().st_mtime:
                image = small_image(still)
                if image is None:
                    return None
                make_folder(small.parent)
                write_whole(small, [_jpeg(image)])
        except OSError:
            return quote(self.base + source)  # no room for a copy, so the still itself is used
        return quote(f"{ASSET_FOLDER}/stills/{small.name}")

    def _inline(self, path: Path) -> str | None:
        image = small_image(path, _INLINE_PIXELS)
        return None if image is None else "data:image/jpeg;base64," + base64.b64encode(_jpeg(image)).decode()


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82, optimize=True)
    return file.getvalue()


def spark_of(one: ReportFlash, report: Report) -> Spark | None:
    """Return the small curve of a flash; None if no curve was recorded."""
    curve = spark_curve(one, report.timeline)
    if curve is None or len(curve.seconds) < 2:
        return None
    wide, high = _SPARK
    begin, end = float(curve.seconds[0]), float(curve.seconds[-1])
    low, top = float(curve.rise.min()), max(float(curve.rise.max()), float(curve.rise.min()) + 8.0)
    xs = (curve.seconds - begin) / max(1e-6, end - begin) * wide
    ys = high - 1 - (curve.rise - low) / (top - low) * (high - 2)
    points = [f"{x:.0f} {y:.1f}" for x, y in zip(xs, ys, strict=True)]
    left, right = ((t - begin) / max(1e-6, end - begin) * wide for t in (0.0, one.duration))
    return Spark("M" + "L".join(points), f"{max(0.0, left):.1f}", f"{max(2.0, min(right, wide) - max(0.0, left)):.1f}")
