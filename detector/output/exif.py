"""EXIF in stills: when, where and of what they were taken."""

import io
from collections.abc import Mapping
from datetime import datetime, tzinfo

from PIL import ExifTags, Image

from detector.events import Verdict
from detector.output.stills import StillFacts
from detector.settings import SiteSettings

_START, _EXIF_MARK, _EXIF_HEAD = b"\xff\xd8", b"\xff\xe1", b"Exif\0\0"  # of JPEG


def with_exif(jpeg: bytes, facts: StillFacts, verdict: Verdict | None, site: SiteSettings, zone: tzinfo) -> bytes:
    """Return a JPEG with EXIF: its time to the millisecond with the offset of `zone`, what it shows, and where."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = _ascii(_description(facts, verdict))
    exif[ExifTags.Base.Software] = "lightning-detector"
    exif[ExifTags.Base.Model] = _ascii(facts.camera)
    if facts.utc is not None:
        exif.get_ifd(ExifTags.IFD.Exif).update(_times(facts.utc, zone))
    if site.latitude is not None and site.longitude is not None:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(_place(site.latitude, site.longitude))
    body = exif.tobytes()
    if not body.startswith(_EXIF_HEAD):
        body = _EXIF_HEAD + body
    return _START + _EXIF_MARK + (len(body) + 2).to_bytes(2, "big") + body + without_exif(jpeg)[len(_START) :]


def without_exif(jpeg: bytes) -> bytes:
    """Return a JPEG without the EXIF that stands at its beginning, if any does."""
    if jpeg[2:4] != _EXIF_MARK or jpeg[6:12] != _EXIF_HEAD:
        return jpeg
    return jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]


def read_exif(jpeg: bytes) -> Mapping[int, object]:
    """Return the EXIF of a JPEG, its time and place laid into one table."""
    with Image.open(io.BytesIO(jpeg)) as image:
        exif = image.getexif()
        return dict(exif) | exif.get_ifd(ExifTags.IFD.Exif) | exif.get_ifd(ExifTags.IFD.GPSInfo)


def _description(facts: StillFacts, verdict: Verdict | None) -> str:
    words: str = "detected" if verdict is None else verdict.state
    if verdict is not None and verdict.probability is not None:
        words += f" {verdict.probability:.0%} by {verdict.verifier}"
    return f"{facts.flash_id}, camera {facts.camera}, rise {facts.rise_levels:.0f} levels, {words}"


def _times(utc: float, zone: tzinfo) -> dict[int, str]:
    local = datetime.fromtimestamp(utc, zone)
    text, offset = local.strftime("%Y:%m:%d %H:%M:%S"), local.strftime("%z")
    sub, offset = f"{local.microsecond // 1000:03d}", f"{offset[:3]}:{offset[3:5]}"
    base = ExifTags.Base
    return {
        base.DateTimeOriginal: text,
        base.SubsecTimeOriginal: sub,
        base.OffsetTimeOriginal: offset,
        base.DateTimeDigitized: text,
        base.SubsecTimeDigitized: sub,
        base.OffsetTimeDigitized: offset,
    }


def _place(latitude: float, longitude: float) -> dict[int, object]:
    gps = ExifTags.GPS
    return {
        gps.GPSVersionID: b"\2\3\0\0",
        gps.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        gps.GPSLatitude: _degrees(latitude),
        gps.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        gps.GPSLongitude: _degrees(longitude),
    }


def _degrees(angle: float) -> tuple[float, float, float]:
    """Return degrees, minutes and seconds to a ten-thousandth, some millimetres."""
    ticks = round(abs(angle) * 36_000_000)
    degrees, rest = divmod(ticks, 36_000_000)
    minutes, seconds = divmod(rest, 600_000)
    return float(degrees), float(minutes), seconds / 10_000


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
