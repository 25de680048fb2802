"""The images of a candidate for a model, and downscaled candidates that wait for one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.settings import PictureName
from detector.verify.vlm.closeup import closeup_frame, core_box, crop_span
from stream import Frame, load_opencv

RgbImage = NDArray[np.uint8]
"""(height, width, 3) uint8 RGB, upright."""

Remark = Literal["before_lifted", "before_black", "after_lit", "after_dark", "peak_white"]
"""Remarks about the images that the question should contain."""

DIFFERENCE_PERCENTILE = 99.5  # of the pixels' rises becomes white: a few hot pixels must not decide the gain
MAX_GAIN = 16.0  # a rise below 16 levels is not amplified to full white: it would be noise

_NEARLY_BLACK = 24.0  # levels: a frame with 99 percent of its pixels below shows nothing
_LIFTED_TO = 96.0  # level of that percentile after brightening
_MAX_LIFT = 12.0
_FLAT = 10.0  # levels between its darkest and lightest parts: brightening would show coding blocks only
_SAME_LEVELS = 2.5  # mean difference of two images with the same content; coding noise makes 0.5 to 2
_SAME_ANYWHERE = 24  # the same for nearly every pixel
_FEW = 0.005  # share of all values of an image
_STILL_LIT = 0.2  # of the peak's own rise, around its strongest light, ...
_STILL_LIT_LEVELS = 2.0  # ... and at least this many levels
_SAME_SHAPE = 0.95  # correlation from which a difference shows the same as the peak, ...
_SAME_SHAPE_GAIN = 2.0  # ... unless it is brighter by this factor and so shows more
_THUMBNAIL_STEP = 8
_SUM = np.ones((1, 3), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """The light added between two images of one size, computed on use, on the model's device if there is one.

    Attributes:
        before: without the light.
        peak: with the light.
    """

    before: RgbImage
    peak: RgbImage


VlmImage = RgbImage | Difference
"""An image for a model."""


@dataclass(frozen=True, slots=True, eq=False)
class CandidateImages:
    """The images of a candidate for a model.

    Attributes:
        images: by name, in the order shown.
        remarks: remarks about them for the question.
    """

    images: dict[PictureName, VlmImage]
    remarks: tuple[Remark, ...] = ()


def as_array(image: VlmImage) -> RgbImage:
    """Return the image itself, computed if necessary."""
    return amplified_difference(image.before, image.peak) if isinstance(image, Difference) else image


def downscaled(candidate: Candidate, side_pixels: int) -> Candidate:
    """Return the candidate with frames of at most `side_pixels`, free of the decoder's memory, for a model.

    A close-up of a small lit region is cut before: a distant bolt is a few pixels wide and would be lost.
    """
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
        clear=None if candidate.clear is None else scaled(candidate.clear),
        closeup=candidate.closeup or closeup_frame(candidate, _shown_peak(candidate), side_pixels),
        waning=None,
        quiet=(),
    )


def images_of(candidate: Candidate, names: Sequence[PictureName], *, crop: bool, side_pixels: int) -> CandidateImages:
    """Return the named images that this candidate has, in order, no side above `side_pixels`.

    Left out are images missing at the edge of a source, those that repeat another, and a black frame before; the
    remarks say so. The peak is always included: the brightest frame of the flash that is not completely white.
    """
    peak_frame = _shown_peak(candidate)
    peak = peak_frame.rgb(side_pixels)
    found, remarks = _moments(candidate, peak, side_pixels, with_difference="difference" in names)
    if peak_frame is candidate.clear and peak_frame is not candidate.peak and _is_within(candidate, candidate.peak):
        remarks["peak_white"] = "peak"
    if "closeup" in names and (close := candidate.closeup or closeup_frame(candidate, peak_frame, side_pixels)):
        found["closeup"] = close.rgb(side_pixels)
    if "composite" in names and candidate.before is not None:
        before, after = (_of_size(frame, peak, side_pixels) for frame in (candidate.before, candidate.after))
        if before is not None:
            found["composite"] = composite(before, peak, before if after is None else after)
    chosen = {name: found[name] for name in names if name in found} or {"peak": peak}
    if crop:
        chosen = {name: _cropped(image, candidate.box) for name, image in chosen.items() if name != "closeup"}
    said = tuple(remark for remark, about in remarks.items() if about in names or about == "peak")
    return CandidateImages(chosen, said)


def _moments(
    candidate: Candidate, peak: RgbImage, side_pixels: int, *, with_difference: bool
) -> tuple[dict[PictureName, VlmImage], dict[Remark, PictureName]]:
    """Return the frames and the difference to show, and the remarks about them."""
    found: dict[PictureName, VlmImage] = {"peak": peak}
    remarks: dict[Remark, PictureName] = {}
    before, onset, after = (
        _of_size(frame, peak, side_pixels) for frame in (candidate.before, candidate.onset, candidate.after)
    )
    if onset is not None and not same(onset, peak):
        found["onset"] = onset
    if before is not None:
        lifted, remark = _lifted(before)
        if lifted is not None:
            found["before"] = lifted
        if remark is not None:
            remarks[remark] = "before"
        if with_difference and not _difference_repeats(before, peak):
            found["difference"] = Difference(before, peak)
    if after is not None:
        found["after"] = after
        if before is not None and _still_lit(candidate, before, peak, after):
            remarks["after_lit"] = "after"
        elif before is not None and same(before, after):
            del found["after"]
            remarks["after_dark"] = "after"
    return found, remarks


def amplified_difference(before: RgbImage, peak: RgbImage) -> RgbImage:
    """Return the light added between two images of one size, amplified until its brightest half percent is white."""
    cv2 = load_opencv()
    rise = cv2.subtract(peak, before)  # saturates at 0: only rises
    top = _percentile(np.maximum(np.maximum(rise[..., 0], rise[..., 1]), rise[..., 2]), DIFFERENCE_PERCENTILE)
    gain = min(255.0 / max(top, 1.0), MAX_GAIN)
    return np.asarray(cv2.convertScaleAbs(rise, alpha=gain), dtype=np.uint8)


def composite(before: RgbImage, peak: RgbImage, after: RgbImage) -> RgbImage:
    """Return three moments in one image: red is the luma before, green that of the peak, blue that after."""
    cv2 = load_opencv()
    return np.ascontiguousarray(
        np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, peak, after)], axis=-1)
    )


def same(one: RgbImage, other: RgbImage, step: int = _THUMBNAIL_STEP) -> bool:
    """Return whether two images of one size show the same, except for coding noise."""
    if one is other:
        return True
    distance = load_opencv().absdiff(_thumbnail(one, step), _thumbnail(other, step))
    differing = int(np.count_nonzero(distance > _SAME_ANYWHERE))
    return float(distance.mean()) <= _SAME_LEVELS and differing <= _FEW * distance.size


def _shown_peak(candidate: Candidate) -> Frame:
    """Return the frame to show as the brightest: from within the flash, and not completely white if possible."""
    for frame in (candidate.clear, candidate.peak):
        if frame is not None and _is_within(candidate, frame):
            return frame
    return candidate.onset


def _is_within(candidate: Candidate, frame: Frame) -> bool:
    """Return whether a frame belongs to the flash itself, and not to a steady light that came with it."""
    return candidate.start_seconds - frame.duration / 2 <= frame.seconds < candidate.end_seconds


def _of_size(frame: Frame | None, like: RgbImage, side_pixels: int) -> RgbImage | None:
    """Return the frame's image; None if its size differs from `like`, as another view after a reconnect."""
    image = None if frame is None else frame.rgb(side_pixels)
    return image if image is not None and image.shape == like.shape else None


def _lifted(image: RgbImage) -> tuple[RgbImage | None, Remark | None]:
    """Return a dark image brightened, and the remark about it; no image if it shows nothing."""
    levels = _thumbnail(image).ravel()
    few, most = int(0.05 * (levels.size - 1)), int(0.99 * (levels.size - 1))
    sorted_there = np.partition(levels, (few, most))
    bottom, top = float(sorted_there[few]), float(sorted_there[most])
    if top >= _NEARLY_BLACK:
        return image, None
    if top - bottom < _FLAT:
        return None, "before_black"
    gain = min(_LIFTED_TO / top, _MAX_LIFT)
    return np.asarray(load_opencv().convertScaleAbs(image, alpha=gain), dtype=np.uint8), "before_lifted"


def _difference_repeats(before: RgbImage, peak: RgbImage) -> bool:
    """Return whether the difference would show the same as the peak, as for a light in a dark scene."""
    small_before, small_peak = _thumbnail(before), _thumbnail(peak)
    shown = amplified_difference(small_before, small_peak)
    one, other = (load_opencv().transform(image.astype(np.float32), _SUM).ravel() for image in (small_peak, shown))
    mean, mean_shown = float(one.mean()), float(other.mean())
    one, other = one - mean, other - mean_shown
    spread = float(np.sqrt(float(one @ one) * float(other @ other)))
    if mean_shown / max(mean, 1.0) > _SAME_SHAPE_GAIN or spread == 0:
        return False
    return float(one @ other) / spread >= _SAME_SHAPE


def _percentile(values: NDArray[np.uint8], percent: float) -> float:
    """Return numpy's percentile of a few thousand or many levels, without its general and slower way."""
    flat = values.ravel()
    place = (flat.size - 1) * percent / 100
    low = int(place)
    high = min(low + 1, flat.size - 1)
    parted = np.partition(flat, (low, high))
    return float(parted[low]) + (place - low) * (float(parted[high]) - float(parted[low]))


def _still_lit(candidate: Candidate, before: RgbImage, peak: RgbImage, after: RgbImage) -> bool:
    """Return whether light remains where the candidate's was strongest."""
    left, top, right, bottom = core_box(candidate)
    rows, columns = _span(top, bottom, peak.shape[0]), _span(left, right, peak.shape[1])
    lit = np.s_[rows[0] : rows[1] : 2, columns[0] : columns[1] : 2]
    level_before, level_peak, level_after = (float(image[lit].mean()) for image in (before, peak, after))
    return level_after - level_before > max(_STILL_LIT * (level_peak - level_before), _STILL_LIT_LEVELS)


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    first = min(int(low * length), length - 1)
    return first, max(first + 1, round(high * length))


def _thumbnail(image: RgbImage, step: int = _THUMBNAIL_STEP) -> RgbImage:
    return np.ascontiguousarray(image[::step, ::step])


def _detached(frame: Frame, side_pixels: int) -> Frame:
    image = np.ascontiguousarray(frame.rgb(side_pixels))
    luma = np.asarray(load_opencv().cvtColor(image, load_opencv().COLOR_RGB2GRAY), dtype=np.uint8)

    def color(max_side: int | None) -> RgbImage:
        return image if max_side is None else _scaled(image, max_side)

    return replace(frame, luma=luma, black=0, white=255, color=color)


def _scaled(image: RgbImage, max_side: int) -> RgbImage:
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1.0:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cv2 = load_opencv()
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cropped(image: VlmImage, box: tuple[float, float, float, float]) -> VlmImage:
    if isinstance(image, Difference):
        return Difference(_cut(image.before, box), _cut(image.peak, box))
    return _cut(image, box)


def _cut(image: RgbImage, box: tuple[float, float, float, float]) -> RgbImage:
    height, width = image.shape[:2]
    left, right = crop_span(box[0], box[2], width)
    top, bottom = crop_span(box[1], box[3], height)
    return np.ascontiguousarray(image[top:bottom, left:right])
