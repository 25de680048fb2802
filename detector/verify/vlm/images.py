"""The images of a candidate that a model is shown, and candidates downscaled to wait for one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.settings import PictureName
from stream import Frame, load_opencv

RgbImage = NDArray[np.uint8]
"""(height, width, 3) uint8 RGB, upright."""

_CROP_MARGIN = 0.5  # of the lit region's own size, on each side: the model should see what surrounds the light
_CROP_MIN_SHARE = 0.25  # of the image's side
_MAX_GAIN = 16.0  # a fainter rise than 16 levels is not blown up to full white: it would be noise


def downscaled(candidate: Candidate, side_pixels: int) -> Candidate:
    """Return the candidate with frames of at most `side_pixels`, free of the decoder's memory, for a model."""
    made: dict[int, Frame] = {}

    def scaled(frame: Frame) -> Frame:
        if id(frame) not in made:
            made[id(frame)] = _detached(frame, side_pixels)
        return made[id(frame)]

    return replace(
        candidate,
        onset=scaled(candidate.onset),
        peak=scaled(candidate.peak),
        before=None if candidate.before is None else scaled(candidate.before),
        after=None if candidate.after is None else scaled(candidate.after),
        clear=None,
        waning=None,
        quiet=(),
    )


def images_of(
    candidate: Candidate, names: Sequence[PictureName], *, crop: bool, side_pixels: int
) -> dict[PictureName, RgbImage]:
    """Return the named images that this candidate has, in order: all of one size, no side above `side_pixels`.

    Those that a source's edge cut off are left out, and so is the difference where there is nothing to compare with.
    The peak is always there.
    """
    frames: dict[PictureName, Frame | None] = {
        "before": candidate.before,
        "onset": candidate.onset,
        "peak": candidate.peak,
        "after": candidate.after,
    }
    peak = candidate.peak.rgb(side_pixels)
    found: dict[PictureName, RgbImage] = {"peak": peak}
    for name in ("before", "onset", "after"):
        frame = frames[name]
        if frame is not None:
            image = frame.rgb(side_pixels)
            if image.shape == peak.shape:  # another size after a reconnect is another view
                found[name] = image
    if "before" in found:
        found["difference"] = amplified_difference(found["before"], peak)
    chosen = {name: found[name] for name in names if name in found} or {"peak": peak}
    return {name: _cropped(image, candidate.box) for name, image in chosen.items()} if crop else chosen


def amplified_difference(before: RgbImage, peak: RgbImage) -> RgbImage:
    """Return the light added between two images of one size, amplified until its brightest half percent is white."""
    cv2 = load_opencv()
    rise = cv2.subtract(peak, before)  # saturates at 0: only what became brighter
    top = float(np.percentile(rise.max(axis=2), 99.5))
    gain = min(255.0 / max(top, 1.0), _MAX_GAIN)
    return np.asarray(cv2.convertScaleAbs(rise, alpha=gain), dtype=np.uint8)


def _detached(frame: Frame, side_pixels: int) -> Frame:
    image = np.ascontiguousarray(frame.rgb(side_pixels))
    step = max(1, -(-max(frame.luma.shape) // side_pixels))

    def color(max_side: int | None) -> RgbImage:
        return image if max_side is None else _scaled(image, max_side)

    return replace(frame, luma=frame.luma[::step, ::step].copy(), color=color)


def _scaled(image: RgbImage, max_side: int) -> RgbImage:
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1.0:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cv2 = load_opencv()
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cropped(image: RgbImage, box: tuple[float, float, float, float]) -> RgbImage:
    height, width = image.shape[:2]
    left, right = _span(box[0], box[2], width)
    top, bottom = _span(box[1], box[3], height)
    return np.ascontiguousarray(image[top:bottom, left:right])


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """Return the pixels of one axis to keep for the lit share `low` to `high` of it."""
    size = min(1.0, max((high - low) * (1 + 2 * _CROP_MARGIN), _CROP_MIN_SHARE))
    start = min(max((low + high - size) / 2, 0.0), 1.0 - size)
    first = int(start * length)
    return first, min(length, max(first + 1, round((start + size) * length)))
