"""The stills of a candidate as JPEG files."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detector.candidate import Candidate
from detector.errors import OutputError
from stream import Frame, load_opencv

StillKind = Literal["still", "brightest", "thumbnail"]

THUMBNAIL_PIXELS = 256
_QUALITY, _THUMBNAIL_QUALITY = 92, 80


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


def tile(images: list[np.ndarray], columns: int) -> np.ndarray:
    """Return images of one size side by side, `columns` in a row; the rest of the last row is black."""
    high, wide = images[0].shape[:2]
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * high, min(columns, len(images)) * wide, 3), np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        sheet[row * high : (row + 1) * high, column * wide : (column + 1) * wide] = image
    return sheet
