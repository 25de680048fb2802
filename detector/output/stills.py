"""The stills of a candidate as JPEG files, with time, place and flash in their EXIF data."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

import numpy as np
from PIL import ExifTags, Image

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.events import Verdict
from detector.settings import SiteSettings
from stream import Frame, load_opencv

StillKind = Literal["still", "brightest", "thumbnail"]

THUMBNAIL_PIXELS = 256
_QUALITY, _THUMBNAIL_QUALITY = 92, 80
_START, _EXIF_MARK, _EXIF_HEAD = b"\xff\xd8", b"\xff\xe1", b"Exif\0\0"  # markers of JPEG


@dataclass(frozen=True, slots=True)
class StillFacts:
    """The facts about a flash in a still's EXIF data.

    Attributes:
        flash_id: id of the flash.
        camera: name of the camera.
        rise_levels: highest rise of a block, levels.
        utc: UTC of the frame in seconds since 1970; None if unknown.
    """

    flash_id: str
    camera: str
    rise_levels: float
    utc: float | None


def stills_of(candidate: Candidate) -> dict[StillKind, bytes]:
    """Return the JPEGs of a candidate: the frame to show, the brightest frame if that is another, a thumbnail."""
    shown = candidate.clear or candidate.peak
    made: dict[StillKind, bytes] = {"still": encode_still(shown)}
    if shown is not candidate.peak:
        made["brightest"] = encode_still(candidate.peak)
    return made | {"thumbnail": encode_still(shown, THUMBNAIL_PIXELS, _THUMBNAIL_QUALITY)}


def encode_still(frame: Frame, max_side: int | None = None, quality: int = _QUALITY) -> bytes:
    """Return `frame`, upright, as the bytes of a JPEG file.

    Args:
        frame: the frame.
        max_side: scale down so that no side exceeds this many pixels; full size if omitted.
        quality: JPEG quality, 1..100.
    """
    return encode_image(frame.rgb(max_side), quality, frame.camera)


def encode_image(rgb: np.ndarray, quality: int, who: str) -> bytes:
    """Return an RGB image as the bytes of a JPEG file; `who` names it in errors."""
    cv2 = load_opencv()
    image = np.ascontiguousarray(rgb[..., ::-1])
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OutputError(f"{who}: OpenCV could not encode a {image.shape[1]}x{image.shape[0]} still")
    return bytes(data)


def with_exif(jpeg: bytes, facts: StillFacts, verdict: Verdict | None, site: SiteSettings, zone: tzinfo) -> bytes:
    """Return a JPEG with EXIF data: its time to the millisecond with the offset of `zone`, content, and place."""
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
    """Return a JPEG without the EXIF data at its beginning, if there are any."""
    if jpeg[2:4] != _EXIF_MARK or jpeg[6:12] != _EXIF_HEAD:
        return jpeg
    return jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]


def tile(images: list[np.ndarray], columns: int) -> np.ndarray:
    """Return images of one size side by side, `columns` in a row; the rest of the last row is black."""
    high, wide = images[0].shape[:2]
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * high, min(columns, len(images)) * wide, 3), np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        sheet[row * high : (row + 1) * high, column * wide : (column + 1) * wide] = image
    return sheet


def read_exif(jpeg: bytes) -> Mapping[int, object]:
    """Return the EXIF data of a JPEG, with those of time and place in one table."""
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
    """Return degrees, minutes and seconds to a ten-thousandth of a second, some millimetres."""
    ticks = round(abs(angle) * 36_000_000)
    degrees, rest = divmod(ticks, 36_000_000)
    minutes, seconds = divmod(rest, 600_000)
    return float(degrees), float(minutes), seconds / 10_000


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
