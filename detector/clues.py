"""Physical reasons for and against lightning, each measured on one candidate."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detector.closeup import Change, change
from detector.flash import Candidate
from detector.habits import repetition
from stream import Frame

_COLOUR_SIDE = 160
_SATURATED = 245.0
# Lightning is hotter than any lamp, so the light that it adds is bluer than what a camera takes for white; colour is
# noisy where a small light is coded, and insects in white light are found up to this warmth.
_BLUISH = -0.025
# Cars are on the ground, and in most views that is the lowest quarter; cameras that watch the sky often have the
# horizon below it, and far storms just above that.
_LOW, _LOWEST = 0.75, 0.85
# What a scene does by itself is measured over this long; it goes on from before a flash to after it, but not for ever.
_STIR_SECONDS = 0.05
_STIR_MOST = 20.0


class Views:
    """One candidate, and what its pictures say once somebody asks."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate

    @cached_property
    def at_onset(self) -> Change | None:
        """From before the flash to its first frame."""
        return self._change(self.candidate.onset)

    @cached_property
    def at_peak(self) -> Change | None:
        """From before the flash to its brightest frame."""
        return self._change(self.candidate.peak)

    @cached_property
    def afterwards(self) -> Change | None:
        """From before the flash to after it; None where it never went dark."""
        dark = self.candidate.notes.get("dark_after", 1.0) > 0
        return self._change(self.candidate.after) if dark and self.candidate.after is not None else None

    @cached_property
    def colours(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Small RGB pictures (rows, columns, 3) of before and peak."""
        before = self.candidate.before
        if before is None:
            return None
        pictures = [frame.rgb(_COLOUR_SIDE).astype(np.float32) for frame in (before, self.candidate.peak)]
        return (pictures[0], pictures[1]) if pictures[0].shape == pictures[1].shape else None

    def _change(self, frame: Frame) -> Change | None:
        before = self.candidate.before
        return None if before is None else change(before, frame)


def positivity(views: Views) -> float | None:
    """Share of rises in all noticeable changes at the onset: added light darkens nothing, motion does."""
    curve = views.candidate.curve
    return float(curve.positivity[curve.lit].max(initial=0.0)) if len(curve.lit) else None


def fine_positivity(views: Views) -> float | None:
    """The same at five times the resolution around what lit up, over onset and peak together."""
    candidate = views.candidate
    where = candidate.lit_map
    rise = float((candidate.peak_map - candidate.background)[where].mean()) if where.any() else 0.0
    found = [view.gained_and_lost(where, rise) for view in (views.at_onset, views.at_peak) if view is not None]
    gained = sum(pair[0] for pair in found if pair is not None)
    lost = sum(pair[1] for pair in found if pair is not None)
    return gained / (gained + lost) if gained > 0 else None


def fallen_share(views: Views) -> float | None:
    """How far the light fell back after its brightest moment: lightning goes out, a lamp or an exposure step stays."""
    curve, notes = views.candidate.curve, views.candidate.notes
    top = float(curve.rise.max(initial=0.0))
    if top <= 0:
        return None
    # From where it first was half as bright as ever: a new level with noise on it has its highest point anywhere.
    left = curve.rise[int(np.argmax(curve.rise >= 0.5 * top)) :]
    if notes.get("cut_off", 0.0) > 0 and len(left) < 3:
        return None
    return 1.0 - float(left.min()) / top


def scene_changed(views: Views) -> float | None:
    """How much of the change is still there when the light is out, beyond a common gain: a cut or another camera mode.

    A dip of the exposure after a strike is a common gain and does not count, nor does what the scene does by itself.
    """
    peak, after = views.at_peak, views.afterwards
    if peak is None or after is None:
        return None
    where = views.candidate.lit_map
    elapsed = _elapsed(views.candidate)
    stir = min(elapsed / _STIR_SECONDS, _STIR_MOST) * views.candidate.notes.get("stir_levels", 0.0)
    rise = float(np.abs(peak.difference[peak.spread(where)]).mean())
    return max(0.0, after.beyond_gain(where) - stir) / max(rise, 0.5)


def suddenness(views: Views) -> float | None:
    """Largest rise within 50 ms (or one frame) over the brightest moment: strokes jump, headlights and dawn grow."""
    curve = views.candidate.curve
    rise, seconds = curve.rise, curve.seconds
    top = float(rise.max(initial=0.0))
    if top <= 0:
        return None
    best = float(rise[0])
    for i in range(1, len(rise)):
        first = min(i - 1, int(np.searchsorted(seconds, seconds[i] - 0.05 - 1e-6)))
        best = max(best, float(rise[i] - rise[first:i].min()))
    return best / top


def gain_likeness(views: Views) -> float | None:
    """How well a mere change of gain explains the rise: exposure steps and beating mains light are gain.

    A cloud lit from within is not: it is bright where it was dark.
    """
    return None if views.at_peak is None else views.at_peak.gain_likeness()


def smoothness(views: Views) -> float | None:
    """Share of the rise left after smoothing: a sky lights up widely, lamps, sparks and insects are small and sharp.

    Asked of small lights only: a channel is sharp too, but the cloud about it glows.
    """
    if views.at_peak is None or views.candidate.lit_fraction > 0.06:
        return None
    return views.at_peak.smoothness(views.candidate.lit_map)


def specks(views: Views) -> float | None:
    """How many separate points shine by themselves, at the onset or the peak: a firework is a swarm of burning sparks.

    A stroke is one line with its branches, and cloud and land shine only by its light, smoothly.
    """
    counts = [float(view.specks()) for view in (views.at_onset, views.at_peak) if view is not None]
    return max(counts, default=None)


def overlap(views: Views) -> float | None:
    """Share of the light's core that stays from frame to frame: a cloud stays where it is, insects and beams move on.

    Asked only where it is lit for three frames and more on end, no more than 0.12 s apart: of one stroke a rolling
    shutter shows the upper and the lower part in two frames, and later frames show other strokes.
    """
    curve = views.candidate.curve
    pairs = curve.lit[1:] & curve.lit[:-1] & (np.diff(curve.seconds) <= 0.12)
    inside = np.zeros_like(pairs)
    inside[1:] |= pairs[1:] & pairs[:-1]
    inside[:-1] |= pairs[1:] & pairs[:-1]
    if views.candidate.lit_fraction > 0.12 or not inside.any():
        return None
    return float(np.median(curve.overlap[1:][inside]))


def travel(views: Views) -> float | None:
    """How steadily the light travels in one direction, 0..1: insects, cars and aircraft do, strokes jump about.

    Over the longest run of lit frames (three or more): the share of the centre's movement that a straight, even motion
    explains, less where it moves by less than a tenth of the picture. Asked of small lights only: the centre of a
    large one moves as its parts go out one after the other.
    """
    curve = views.candidate.curve
    if views.candidate.lit_fraction > 0.15:
        return None
    edges = np.flatnonzero(np.diff(np.concatenate(([False], curve.lit, [False])).astype(np.int8)))
    runs = sorted(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0])
    if not runs or runs[-1][1] - runs[-1][0] < 3:
        return None
    run = slice(*runs[-1])
    place = np.stack([curve.x[run], curve.y[run]]).astype(np.float64)
    place -= place.mean(axis=1, keepdims=True)
    when = curve.seconds[run] - curve.seconds[run].mean()
    speed = place @ when / max(float(when @ when), 1e-9)
    moved = float((place * place).sum())
    even = float(speed @ speed * (when @ when)) / moved if moved > 0 else 0.0
    distance = float(np.hypot(*speed)) * float(when[-1] - when[0])
    return even * min(1.0, distance / 0.1)


def steadiness(views: Views) -> float | None:
    """Share of lit frames within 7 % of the middle one: a lamp shines evenly, strokes flicker and decay.

    Not asked of fewer than three frames, nor where the picture is saturated (white is white).
    """
    candidate = views.candidate
    inner = candidate.curve.rise[candidate.curve.lit]
    if len(inner) < 3 or float(candidate.peak_map.max()) >= _SATURATED:
        return None
    middle = float(np.median(inner))
    return float(np.mean(np.abs(inner - middle) <= 0.07 * middle))


def regularity(views: Views) -> float | None:
    """How well the light curve repeats itself, up to 1: machines and mains keep time, strokes do not."""
    curve = views.candidate.curve
    lit = np.flatnonzero(curve.lit)
    return repetition(curve.rise[lit[0] : lit[-1] + 1]) if len(lit) else None


def went_dark(views: Views) -> float | None:
    """1 when the light went out, 0 when it was given up still lit; unknown where the source ended first."""
    notes = views.candidate.notes
    if notes.get("cut_off", 0.0) > 0:
        return None
    # What is left of a tenth is drifting clouds rather than light.
    return 1.0 if (fallen_share(views) or 0.0) >= 0.9 else notes.get("dark_after")


def blinks(views: Views) -> float | None:
    """How many earlier lights had this place, strength and rhythm: lightning does not keep time."""
    return views.candidate.notes.get("blinks")


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


def height(views: Views) -> float | None:
    """Where the light's centre is, 0 = top, 1 = bottom: lightning is in the sky, lamps and cars are on the ground.

    Not asked of large lights: of a flash a rolling shutter may show the lower part alone.
    """
    return views.candidate.centroid[1] if views.candidate.lit_fraction < 0.35 else None


def size(views: Views) -> float | None:
    """Share of the picture that lights up: a flash lights cloud and land; what is small is mostly something near."""
    return views.candidate.lit_fraction


def reach(views: Views) -> float | None:
    """Share of the picture that rises by a tenth of the brightest place or more: lightning is never alone.

    Its cloud, the cloud beside it and the land share its light, more faintly. An insect in the camera's own lamps, a
    drop or a strobe shines by itself, however bright it is, and nothing about it glows. Not asked of bluish light above
    the ground: that may be a far storm, which is small too, while few lamps are bluer than the scene.
    """
    change = views.at_peak
    tint = warmth(views)
    far_storm = tint is not None and tint < _BLUISH and views.candidate.centroid[1] <= _LOWEST
    return None if change is None or far_storm else change.reach()


def lamplight(views: Views) -> float | None:
    """Warmth of a light near the lower edge: headlights are no bluer than the scene, a storm behind a low horizon is.

    A grey picture (0) leaves it open, and so counts by half.
    """
    place = height(views)
    return warmth(views) if place is not None and place > _LOW else None


def _elapsed(candidate: Candidate) -> float:
    """Seconds between the pictures of before and after."""
    if candidate.before is None or candidate.after is None:
        return 0.0
    return candidate.after.seconds - candidate.before.seconds


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
