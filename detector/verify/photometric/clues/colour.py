"""Clues in the colour of the added light."""

import numpy as np
from numpy.typing import NDArray

from detector.verify.photometric.added_light import MIN_PIXELS, SATURATED
from detector.verify.photometric.clue import clue
from detector.verify.photometric.features import CandidateFeatures

# Levels between the channels; what coding leaves of a grey image's colour is less.
_COLOURLESS = 4.0
# Bluer than this (see `warmth`) is no other colour.
_BLUEST = -0.1
# Of the added light: less may be what codecs make of the edge of a lit cloud.
_GREEN_SHARE = 0.2
# No scene is as green as this (see AddedLight) all over: a meadow by day has 0.37.
_GREEN_SCENE = 0.5


@clue(
    "colour_lost",
    meaning="share of the frame's colour that is gone at the peak",
    doubt="the frame lost its colour",
    against=0.9,
    clear=0.6,
    cost=4.0,
)
def colour_lost(features: CandidateFeatures) -> float | None:
    """Return the share of the frame's colour that is gone at the peak: a camera that goes to night mode turns grey.

    Measured where the frame is not white: a close stroke takes the colour of all that it overexposes.
    """
    if features.colours is None:
        return None
    unsaturated = features.colours[1].max(axis=2) < SATURATED
    if np.count_nonzero(unsaturated) < MIN_PIXELS:
        return None
    before, peak = (_colourfulness(image[unsaturated]) for image in features.colours)
    return None if before < _COLOURLESS else max(0.0, 1.0 - peak / before)


@clue(
    "warmth",
    meaning="red less blue of the added light, over its sum",
    doubt="its light is warm, as that of lamps",
    against=0.5,
    clear=0.1,
    cost=4.0,
)
def warmth(features: CandidateFeatures) -> float | None:
    """Return red less blue of the added light, over its sum: lamps and sparks are warm, lightning is not."""
    added = _added_colour(features)
    return None if added is None else float((added[0] - added[2]) / max(float(added.sum()), 1e-6))


@clue(
    "hue_spread",
    meaning="how much its colour differs from place to place",
    doubt="its light has many colours",
    against=0.3,
    clear=0.2,
    cost=3.0,
)
def colour_spread(features: CandidateFeatures) -> float | None:
    """Return how much the colour of the added light differs from place to place: sparks and stage lights differ.

    In light, not in levels: where it was bright already, the same blue light raises the level of blue by less. White
    to blue counts as one colour: lightning is there, and is bluer where air and cloud between are clearer. The most of
    peak and half decay, when the glare that hides the sparks has gone.
    """
    spreads = []
    for added in features.added_lights:
        hue = np.maximum((added.light[:, 0] - added.light[:, 2]) / added.total, _BLUEST)
        # What adds little shows little of its colour.
        spreads.append(float(np.sqrt(np.cov(hue, aweights=added.total))))
    return max(spreads, default=None)


@clue(
    "greenness",
    meaning="how green the greenest fifth of the added light is",
    doubt="its light is green",
    against=0.16,
    clear=0.08,
    cost=4.0,
)
def greenness(features: CandidateFeatures) -> float | None:
    """Return how green (see AddedLight) the greenest fifth of the added light is at least.

    From red through white to blue, nothing that glows by heat is green, and the lines of hot air are violet and red.
    Green are salts of barium and copper in fireworks, wires that arc, lasers and diodes. The most of peak and half
    decay; None where most of the light is white, or the camera shows all in green, as night vision does.
    """
    found = []
    for added in features.added_lights:
        if added.white_share < 0.5 and added.scene_green < _GREEN_SCENE:
            green = added.green
            greenest = np.argsort(green)[::-1]
            share = np.cumsum(added.total[greenest]) / added.total.sum()
            found.append(float(green[greenest][np.searchsorted(share, _GREEN_SHARE)]))
    return max(found, default=None)


def colourless(features: CandidateFeatures) -> bool:
    """Return whether the scene is grey before the light, as infra-red cameras show it, or its colour is not known."""
    return features.colours is None or _colourfulness(features.colours[0]) < _COLOURLESS


def grey(features: CandidateFeatures) -> bool:
    """Return whether the light shows no colour either: infra-red lamps lit the scene, or the colours are not known."""
    return colourless(features) and (features.colours is None or _colourfulness(features.colours[1]) < _COLOURLESS)


def tint(features: CandidateFeatures) -> float:
    """Return the warmth, 0 where it is not known."""
    return warmth(features) or 0.0


def _colourfulness(image: NDArray[np.float32]) -> float:
    return float(np.ptp(image, axis=-1).mean())


def _added_colour(features: CandidateFeatures) -> NDArray[np.float32] | None:
    if features.colours is None:
        return None
    before, peak = features.colours
    added = peak - before
    weight = np.maximum(added.mean(axis=2), 0) * (peak.max(axis=2) < SATURATED)
    if float(weight.sum()) < 200:
        return None
    colour: NDArray[np.float32] = np.maximum((added * weight[..., None]).sum(axis=(0, 1)) / weight.sum(), 0)
    return colour
