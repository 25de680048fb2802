"""The part of a frame around a small light, in the frame's own resolution."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from stream import Frame, load_opencv

Box = tuple[float, float, float, float]

_CORE_SHARE = 0.5  # of the strongest block's rise
_SMALL_SHARE = 0.3  # of either side of the frame; a larger light is visible in the whole frame
_CLOSEUP_MARGIN = 2.0  # side of the close-up over that of the light: the surroundings tell a lamp from a bolt
_CLOSEUP_MIN_SHARE = 0.12  # of the frame's side; smaller cuts show only coding blur
_CLOSEUP_SIDE = 448  # least pixels of its larger side, so that the model's scaling keeps details

_CROP_MARGIN = 0.5  # of the lit region's size, on each side: the model should see the surroundings
_CROP_MIN_SHARE = 0.25  # of the image's side


def closeup_frame(candidate: Candidate, peak: Frame, side_pixels: int) -> Frame | None:
    """Return the strongest light of `peak` in grey, in full resolution; None if it is not small.

    It keeps the frame's proportions, so that it fits into one batch with the whole frames. It is cut from the luma,
    which exists in full size: colours would have to be computed for the whole frame first.

    Args:
        candidate: the candidate with the light.
        peak: the frame to cut from.
        side_pixels: the most pixels of a side.
    """
    left, top, right, bottom = core_box(candidate)
    extent = max(right - left, bottom - top)
    if extent > _SMALL_SHARE:
        return None
    share = max(extent * _CLOSEUP_MARGIN, _CLOSEUP_MIN_SHARE)
    height, width = peak.luma.shape
    rows, columns = _around((top + bottom) / 2, share, height), _around((left + right) / 2, share, width)
    levels = peak.luma[rows[0] : rows[1], columns[0] : columns[1]].astype(np.float32)
    grey = np.clip((levels - peak.black) * (255.0 / (peak.white - peak.black)), 0, 255).astype(np.uint8)
    image = np.repeat(_sized(grey, side_pixels)[:, :, None], 3, axis=2)
    # The colours must not keep the decoder's frame alive.
    return replace(peak, luma=np.ascontiguousarray(image[..., 0]), color=lambda _max_side: image)


def core_box(candidate: Candidate) -> Box:
    """Return the box of the blocks around the strongest light that rose at least half as much, in shares.

    The candidate's own box contains all blocks that were ever lit: a faint one far away extends it to the whole frame.
    """
    # Smoothed, so that a moving edge, which is as strong but one block wide, is not taken for the light.
    rise = load_opencv().blur(candidate.peak_map - candidate.background, (3, 3))
    strongest = float(rise.max(initial=0.0))
    if strongest <= 0:
        return candidate.box
    bright = (rise >= _CORE_SHARE * strongest).astype(np.uint8)
    _, parts = load_opencv().connectedComponents(bright, connectivity=8)
    rows, columns = np.nonzero(parts == parts.ravel()[int(rise.argmax())])
    height, width = rise.shape
    left, right = columns.min() / width, (columns.max() + 1) / width
    return float(left), float(rows.min() / height), float(right), float((rows.max() + 1) / height)


def crop_span(low: float, high: float, length: int) -> tuple[int, int]:
    """Return the pixels of one axis to keep for the lit share `low` to `high` of it."""
    size = min(1.0, max((high - low) * (1 + 2 * _CROP_MARGIN), _CROP_MIN_SHARE))
    return _around((low + high) / 2, size, length)


def _around(centre: float, share: float, length: int) -> tuple[int, int]:
    start = min(max(centre - share / 2, 0.0), 1.0 - share)
    first = int(start * length)
    return first, min(length, max(first + 1, round((start + share) * length)))


def _sized(grey: NDArray[np.uint8], side_pixels: int) -> NDArray[np.uint8]:
    """Return the cut-out, scaled so that its larger side is between _CLOSEUP_SIDE and `side_pixels`."""
    height, width = grey.shape
    longest = max(height, width)
    wanted = min(max(longest, _CLOSEUP_SIDE), side_pixels)
    if wanted == longest:
        return np.ascontiguousarray(grey)
    size = (max(1, round(width * wanted / longest)), max(1, round(height * wanted / longest)))
    cv2 = load_opencv()
    how = cv2.INTER_CUBIC if wanted > longest else cv2.INTER_AREA
    return np.asarray(cv2.resize(grey, size, interpolation=how), dtype=np.uint8)
