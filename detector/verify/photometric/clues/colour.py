"""Clues in the colour of the added light."""

import numpy as np
from numpy.typing import NDArray

from detector.verify.photometric.added_light import MIN_PIXELS, SATURATED
from detector.verify.photometric.clue import clue
from detector.verify.photometric.features import CandidateFeatures

# Levels between the channels; coding leaves a grey image less colour than this.
_COLOURLESS = 4.0
# Light bluer than this (see `warmth`) counts as equally blue.
_BLUEST = -0.1
# Share of the added light: less may be a coding error at the edge of a lit cloud.
_GREEN_SHARE = 0.2
# No whole scene is as green as this (see AddedLight): a meadow by day has 0.37.
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
    """Return the share of the frame's colour that is gone at the peak: a camera that switches to night mode turns grey.

    It is measured where the frame is not white: a close flash removes the colour of all that it overexposes.
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
    """Return red minus blue of the added light, over its sum: lamps and sparks are warm, lightning is not."""
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
    """Return how much the colour of the added light varies over the frame: that of sparks and stage lights varies.

    It is measured in light, not in levels: in bright places the same blue light raises the level of blue by less. White
    to blue counts as one colour, that of lightning, which is bluer through clearer air. The value is the larger one of
    peak and half decay, when the glare that hides sparks is gone.
    """
    spreads = []
    for added in features.added_lights:
        hue = np.maximum((added.light[:, 0] - added.light[:, 2]) / added.total, _BLUEST)
        # Pixels with little added light show little of its colour.
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
    """Return the least greenness (see AddedLight) of the greenest fifth of the added light.

    Thermal light is red, white or blue, never green, and the lines of hot air are violet and red. Green are salts of
    barium and copper in fireworks, arcing wires, lasers and LEDs. The value is the larger one of peak and half decay;
    None if most of the light is white, or the whole image is green, as in night vision.
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
    """Return whether the scene is grey before the light, as infra-red cameras show it, or its colour is unknown."""
    return features.colours is None or _colourfulness(features.colours[0]) < _COLOURLESS


def grey(features: CandidateFeatures) -> bool:
    """Return whether the light has no colour either: infra-red lamps lit the scene, or the colours are unknown."""
    return colourless(features) and (features.colours is None or _colourfulness(features.colours[1]) < _COLOURLESS)


def tint(features: CandidateFeatures) -> float:
    """Return the warmth, 0 if unknown."""
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
