"""Physical reasons for and against lightning that lie in colour."""

import numpy as np
from numpy.typing import NDArray

from detector.views import Views

_SATURATED = 245.0
# Levels between the channels; what coding leaves of a grey picture's colour is less.
_COLOURLESS = 4.0
# Fewer pixels of a small picture show noise rather than a colour.
_FEWEST = 20
# Bluer than this (see `warmth`) is no other colour.
_BLUEST = -0.1


def colour_lost(views: Views) -> float | None:
    """Share of the picture's colour that is gone at the peak: a camera that goes to night mode turns grey.

    Asked of what is not white all over: a close stroke takes the colour of all that it overexposes.
    """
    if views.colours is None:
        return None
    open_ = views.colours[1].max(axis=2) < _SATURATED
    if np.count_nonzero(open_) < _FEWEST:
        return None
    before, peak = (_colourfulness(picture[open_]) for picture in views.colours)
    return None if before < _COLOURLESS else max(0.0, 1.0 - peak / before)


def warmth(views: Views) -> float | None:
    """Red less blue of the added light, over its sum: lamps and sparks are warm, lightning is white to violet."""
    added = _added_colour(views)
    return None if added is None else float((added[0] - added[2]) / max(float(added.sum()), 1e-6))


def hue_spread(views: Views) -> float | None:
    """How much the colour of the added light differs from place to place: sparks and stage lights are many-coloured.

    In light, not in levels: where it was bright already, the same blue light raises the level of blue by less. From
    white to blue is all one: lightning is there, and is bluer where air and cloud between are clearer.
    """
    if views.colours is None:
        return None
    before, peak = views.colours
    lit = ((peak - before).mean(axis=2) > 8) & (peak.max(axis=2) < _SATURATED)
    if np.count_nonzero(lit) < _FEWEST:
        return None
    light = np.maximum(_linear(peak[lit]) - _linear(before[lit]), 0)
    total = np.maximum(light.sum(axis=1), 1e-4)
    hue = np.maximum((light[:, 0] - light[:, 2]) / total, _BLUEST)
    # What adds little shows little of its colour.
    return float(np.sqrt(np.cov(hue, aweights=total)))


def _linear(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light, 1 = white, from levels 0..255 by the usual power law of displays."""
    linear: NDArray[np.float32] = (levels / np.float32(255)) ** np.float32(2.2)
    return linear


def colourless(views: Views) -> bool:
    """Whether the scene is grey before the light, as infra-red cameras show it, or its colour is not known."""
    return views.colours is None or _colourfulness(views.colours[0]) < _COLOURLESS


def tint(views: Views) -> float:
    """The warmth, 0 where it is not known."""
    return warmth(views) or 0.0


def _colourfulness(picture: NDArray[np.float32]) -> float:
    return float(np.ptp(picture, axis=-1).mean())


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
