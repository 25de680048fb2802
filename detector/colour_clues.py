"""Physical reasons for and against lightning that lie in colour."""

import numpy as np
from numpy.typing import NDArray

from detector.views import Views

_SATURATED = 245.0


def colour_lost(views: Views) -> float | None:
    """Share of the picture's colour that is gone at the peak: a camera that goes to night mode turns grey."""
    if views.colours is None:
        return None
    before, peak = (float(np.ptp(picture, axis=2).mean()) for picture in views.colours)
    return None if before < 4.0 else max(0.0, 1.0 - peak / before)


def warmth(views: Views) -> float | None:
    """Red less blue of the added light, over its sum: lamps and sparks are warm, lightning is white to violet."""
    added = _added_colour(views)
    return None if added is None else float((added[0] - added[2]) / max(float(added.sum()), 1e-6))


def hue_spread(views: Views) -> float | None:
    """How much the colour of the added light differs from place to place: sparks and stage lights are many-coloured."""
    if views.colours is None:
        return None
    before, peak = views.colours
    added = peak - before
    lit = (added.mean(axis=2) > 8) & (peak.max(axis=2) < _SATURATED)
    if np.count_nonzero(lit) < 20:
        return None
    light = added[lit]
    return float(np.std((light[:, 0] - light[:, 2]) / np.maximum(light.sum(axis=1), 24.0)))


def tint(views: Views) -> float:
    """The warmth, 0 where it is not known."""
    return warmth(views) or 0.0


def _added_colour(views: Views) -> NDArray[np.float32] | None:
    if views.colours is None:
        return None
    before, peak = views.colours
    added = peak - before
    weight = np.maximum(added.mean(axis=2), 0) * (peak.max(axis=2) < _SATURATED)
    if float(weight.sum()) < 200:
        return None
    colour: NDArray[np.float32] = np.maximum((added * weight[..., None]).sum(axis=(0, 1)) / weight.sum(), 0)
    return colour
