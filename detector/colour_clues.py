"""Physical reasons for and against lightning that lie in colour."""

from collections.abc import Iterator
from dataclasses import dataclass

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
# Of the added light: less may be what codecs make of the edge of a lit cloud.
_GREEN_SHARE = 0.2


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
    white to blue is all one: lightning is there, and is bluer where air and cloud between are clearer. At the peak or
    when the glare that hides the sparks wanes.
    """
    spreads = []
    for added in _added_lights(views):
        hue = np.maximum((added.light[:, 0] - added.light[:, 2]) / added.total, _BLUEST)
        # What adds little shows little of its colour.
        spreads.append(float(np.sqrt(np.cov(hue, aweights=added.total))))
    return max(spreads, default=None)


def greenness(views: Views) -> float | None:
    """Green less the mean of red and blue, over their sum, that a fifth of the added light exceeds.

    From red through white to blue, nothing that glows by heat is green, and the lines of hot air are violet and red.
    Green are salts of barium and copper in fireworks, wires that arc, lasers and diodes. Less what the place showed of
    it before: leaves are green in any light. Nor more than the place shows of it now: what turns white was violet
    before, or has lost its violet to overexposure. Not asked where most of the light is white all over.
    """
    found = []
    for added in _added_lights(views):
        if added.white_share < 0.5:
            green = np.minimum(_green(added.light), _green(added.before + added.light))
            green -= np.maximum(_green(added.before), 0)
            brightest = np.argsort(green)[::-1]
            share = np.cumsum(added.total[brightest]) / added.total.sum()
            found.append(float(green[brightest][np.searchsorted(share, _GREEN_SHARE)]))
    return max(found, default=None)


@dataclass(frozen=True, slots=True)
class AddedLight:
    """What the places show that lit up and are not white: (places, 3) light, 1 = white.

    before: of the scene. light: what was added. total: (places,) its sum. white_share: how many others are white.
    """

    before: NDArray[np.float32]
    light: NDArray[np.float32]
    total: NDArray[np.float32]
    white_share: float


def _added_lights(views: Views) -> Iterator[AddedLight]:
    """At the peak, and when half of that is gone; less where too little is lit."""
    for colours in (views.colours, views.waning_colours):
        if colours is None:
            continue
        before, now = colours
        lit = (now - before).mean(axis=2) > 8
        open_ = lit & (now.max(axis=2) < _SATURATED)
        count = np.count_nonzero(open_)
        if count >= _FEWEST:
            ground = _linear(before[open_])
            light = np.maximum(_linear(now[open_]) - ground, 0)
            total = np.maximum(light.sum(axis=1), 1e-4)
            yield AddedLight(ground, light, total, 1.0 - count / np.count_nonzero(lit))


def _green(light: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.maximum(light.sum(axis=-1), np.float32(1e-4))
    green: NDArray[np.float32] = (1.5 * light[..., 1] - 0.5 * light.sum(axis=-1)) / total
    return green


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
