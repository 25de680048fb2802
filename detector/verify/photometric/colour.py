"""Physical reasons for and against lightning that lie in colour."""

import numpy as np
from numpy.typing import NDArray

from detector.verify.photometric.added_light import FEWEST_PIXELS, SATURATED
from detector.verify.photometric.features import CandidateFeatures

# Levels between the channels; what coding leaves of a grey picture's colour is less.
_COLOURLESS = 4.0
# Bluer than this (see `warmth`) is no other colour.
_BLUEST = -0.1
# Of the added light: less may be what codecs make of the edge of a lit cloud.
_GREEN_SHARE = 0.2
# No scene is as green as this (see AddedLight) all over: a meadow by day has 0.37.
_GREEN_SCENE = 0.5


def colour_lost(views: CandidateFeatures) -> float | None:
    """Share of the picture's colour that is gone at the peak: a camera that goes to night mode turns grey.

    Asked of what is not white all over: a close stroke takes the colour of all that it overexposes.
    """
    if views.colours is None:
        return None
    open_ = views.colours[1].max(axis=2) < SATURATED
    if np.count_nonzero(open_) < FEWEST_PIXELS:
        return None
    before, peak = (_colourfulness(picture[open_]) for picture in views.colours)
    return None if before < _COLOURLESS else max(0.0, 1.0 - peak / before)


def warmth(views: CandidateFeatures) -> float | None:
    """Red less blue of the added light, over its sum: lamps and sparks are warm, lightning is white to violet."""
    added = _added_colour(views)
    return None if added is None else float((added[0] - added[2]) / max(float(added.sum()), 1e-6))


def hue_spread(views: CandidateFeatures) -> float | None:
    """How much the colour of the added light differs from place to place: sparks and stage lights are many-coloured.

    In light, not in levels: where it was bright already, the same blue light raises the level of blue by less. From
    white to blue is all one: lightning is there, and is bluer where air and cloud between are clearer. At the peak or
    when the glare that hides the sparks wanes.
    """
    spreads = []
    for added in views.added_lights:
        hue = np.maximum((added.light[:, 0] - added.light[:, 2]) / added.total, _BLUEST)
        # What adds little shows little of its colour.
        spreads.append(float(np.sqrt(np.cov(hue, aweights=added.total))))
    return max(spreads, default=None)


def greenness(views: CandidateFeatures) -> float | None:
    """How green (see AddedLight) the greenest fifth of the added light is at least.

    From red through white to blue, nothing that glows by heat is green, and the lines of hot air are violet and red.
    Green are salts of barium and copper in fireworks, wires that arc, lasers and diodes. At the peak or when it wanes;
    not asked where most of the light is white all over, nor of a camera that shows all in green, as night vision does.
    """
    found = []
    for added in views.added_lights:
        if added.white_share < 0.5 and added.scene_green < _GREEN_SCENE:
            green = added.green
            greenest = np.argsort(green)[::-1]
            share = np.cumsum(added.total[greenest]) / added.total.sum()
            found.append(float(green[greenest][np.searchsorted(share, _GREEN_SHARE)]))
    return max(found, default=None)


def colourless(views: CandidateFeatures) -> bool:
    """Whether the scene is grey before the light, as infra-red cameras show it, or its colour is not known."""
    return views.colours is None or _colourfulness(views.colours[0]) < _COLOURLESS


def grey(views: CandidateFeatures) -> bool:
    """Whether the light shows no colour either: infra-red lamps lit the scene, or the colours are not known."""
    return colourless(views) and (views.colours is None or _colourfulness(views.colours[1]) < _COLOURLESS)


def tint(views: CandidateFeatures) -> float:
    """The warmth, 0 where it is not known."""
    return warmth(views) or 0.0


def _colourfulness(picture: NDArray[np.float32]) -> float:
    return float(np.ptp(picture, axis=-1).mean())


def _added_colour(views: CandidateFeatures) -> NDArray[np.float32] | None:
    if views.colours is None:
        return None
    before, peak = views.colours
    added = peak - before
    weight = np.maximum(added.mean(axis=2), 0) * (peak.max(axis=2) < SATURATED)
    if float(weight.sum()) < 200:
        return None
    colour: NDArray[np.float32] = np.maximum((added * weight[..., None]).sum(axis=(0, 1)) / weight.sum(), 0)
    return colour
