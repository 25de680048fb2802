"""Clues in changes of the scene: motion, gain, cuts, fades, and whether it is the same afterwards."""

import numpy as np

from detector.prefilter.change_balance import NO_CHANGE
from detector.verify.photometric.added_light import SATURATED
from detector.verify.photometric.clue import clue
from detector.verify.photometric.features import CandidateFeatures

# Two frames that are not quite aligned differ by half rises, half falls, hardly ever by so many rises; light only adds.
_MISALIGNED, _LIGHT = 0.85, 0.95
# A scene that keeps this share of its detail is not moving.
_STAYS = 0.6
# The core of a light: blocks that rise by this share of the brightest one or more.
_CORE = 0.3
# Mains light that beats with the frame rate varies by less than this.
_MAINS_DEPTH = 0.5


@clue(
    "positivity",
    meaning="share of rises in all noticeable changes at the onset",
    doubt="much else got darker",
    against=0.88,
    clear=0.95,
    cost=2.0,
    favour=0.5,
)
def positivity(features: CandidateFeatures) -> float | None:
    """Return the share of rises in all noticeable changes at the onset: light darkens nothing, motion does."""
    curve = features.candidate.curve
    return float(curve.positivity[curve.lit].max(initial=0.0)) if len(curve.lit) else None


@clue(
    "fine_positivity",
    meaning="the same five times finer around the light, at onset and peak",
    doubt="something moved beside it",
    against=0.8,
    clear=0.93,
    cost=5.0,
    favour=0.5,
)
def fine_positivity(features: CandidateFeatures) -> float | None:
    """Return the positivity at five times the resolution around the lit blocks, over onset and peak together.

    Two things do not count against the light: the typical change of the scene in the same time, and a shift of the
    whole frame. What goes on after its span, and outshines it there, is looked at too.
    """
    candidate = features.candidate
    where, rise = candidate.lit_map, _mean_rise(features)
    total = typical = stabilised = NO_CHANGE
    for change, shifted_back, now in (
        (features.at_onset, features.stabilised_onset, candidate.onset),
        (features.at_peak, features.stabilised_peak, candidate.peak),
        (features.at_rest, features.stabilised_rest, candidate.rest),
    ):
        balance = (None if change is None else change.change_balance(where, rise)) or NO_CHANGE
        residual = (None if shifted_back is None else shifted_back[0].change_balance(where, rise)) or NO_CHANGE
        total, stabilised = total + balance, stabilised + residual.without_residual(balance)
        quiet = features.typical_change(now)
        typical += (None if quiet is None else quiet.change_balance(where, rise)) or NO_CHANGE
    return max(total.beyond(typical).positivity(), stabilised.positivity()) if total.gained > 0 else None


@clue(
    "scene_changed",
    meaning="how much of the change is left when the light is out, a common gain allowed for",
    doubt="the scene was another one afterwards",
    against=0.7,
    clear=0.3,
    cost=4.0,
)
def scene_changed(features: CandidateFeatures) -> float | None:
    """Return how much of the change is left when the light is out, beyond a common gain: a cut or a camera mode.

    A dip of the exposure after a strike is a common gain and does not count, nor does the scene's typical change.
    """
    peak, after = features.at_peak, features.after
    if peak is None or after is None:
        return None
    where = features.candidate.lit_map
    quiet = features.typical_change(features.candidate.after)
    typical = 0.0 if quiet is None else quiet.residual_after_gain(where)
    rise = float(np.abs(peak.difference[peak.dilated(where)]).mean())
    return max(0.0, after.residual_after_gain(where) - typical) / max(rise, 0.5)


@clue(
    "detail_kept",
    meaning="how much of the scene's fine detail is there again afterwards",
    doubt="it shows another place afterwards",
    against=0.15,
    clear=0.4,
    cost=5.0,
)
def detail_kept(features: CandidateFeatures) -> float | None:
    """Return how much of the fine detail is there again when the light is out, of what the scene keeps by itself.

    After a cut the detail is that of another place, however dark both are. None where the scene moves by itself, or
    where it is not known for about as long as the light lasted.
    """
    candidate, after = features.candidate, features.after
    quiet = features.typical_change(candidate.after)
    if after is None or quiet is None or candidate.before is None or candidate.after is None:
        return None
    known_seconds = candidate.quiet[-1].seconds - candidate.quiet[0].seconds
    if candidate.after.seconds - candidate.before.seconds > 2.0 * known_seconds:
        return None
    kept, by_itself = after.detail_kept(turned=True), quiet.detail_kept()
    return None if kept is None or by_itself is None or by_itself < _STAYS else kept / by_itself


@clue(
    "unevenness",
    meaning="how unevenly it comes or goes over the frame, as shares of the way to white",
    doubt="all of it faded to white, as editors do",
    against=0.03,
    clear=0.06,
    cost=5.0,
)
def fade_residual(features: CandidateFeatures) -> float | None:
    """Return how far the rise at the onset, or the decay where all is white at once, is from an even fade to white.

    An editor's fade takes every place the same share of its way to white: land, sky and black borders. Light finds
    some things near and others far.
    """
    rising = None if features.at_onset is None else features.at_onset.unevenness()
    if rising is not None or features.decay_residual is None:
        return rising
    return features.decay_residual.unevenness()


@clue(
    "gain_likeness",
    meaning="how well a mere change of gain explains the rise",
    doubt="all brightened alike, as by exposure",
    against=0.75,
    clear=0.55,
    cost=5.0,
)
def gain_likeness(features: CandidateFeatures) -> float | None:
    """Return how well a change of gain explains the rise: exposure steps and beating mains light are gain.

    A cloud lit from within is not: it becomes bright where it was dark.
    """
    return None if features.at_peak is None else features.at_peak.gain_likeness()


@clue(
    "gain_elsewhere",
    meaning="how much of the gain the unlit rest of the frame shows too",
    doubt="the rest brightened too, as by mains light",
    against=0.6,
    clear=0.4,
    cost=4.0,
)
def gain_elsewhere(features: CandidateFeatures) -> float | None:
    """Return how much of the light the gain of the unlit rest of the frame explains, 0..1 and more.

    Where mains light beats, every place brightens in proportion to its level, most of them too little to be called
    lit; what a flash does not reach stays as it was. None where too little is unlit, or brightens by more than mains
    light does.
    """
    candidate, peak = features.candidate, features.blocks_at_peak
    if peak is None:
        return None
    before, rise = np.maximum(candidate.background, 0), peak - candidate.background
    core = candidate.lit_map & (rise >= _CORE * np.max(rise, where=candidate.lit_map, initial=0.0))
    rest = ~candidate.lit_map & (peak < SATURATED)
    power = float((before[rest] ** 2).sum())
    if np.count_nonzero(rest) < 0.3 * rest.size or power <= 0:
        return None
    gain = float((rise[rest] * before[rest]).sum()) / power
    return gain * float(before[core].sum()) / max(float(rise[core].sum()), 1e-6) if gain < _MAINS_DEPTH else None


@clue(
    "filter_swing",
    meaning="how much darker right before, or brighter afterwards, the frame was: the less of both",
    doubt="an infra-red filter swung",
    against=0.2,
    clear=0.1,
    cost=6.0,
)
def filter_swing(features: CandidateFeatures) -> float | None:
    """Return how much darker the frame was right before, or brighter it stays after, whichever is less, 0..1.

    A camera that swings its infra-red filter is dark for a moment, overexposed, and then stays brighter than it was. A
    flash needs no dark moment before it, and what a strike does to the exposure makes the frame darker, not brighter.
    """
    before, after = features.blocks_before, features.blocks_after
    background = float(features.candidate.background.mean())
    if before is None or after is None or background < 4.0:
        return None
    return max(0.0, min(1.0 - float(before.mean()) / background, float(after.mean()) / background - 1.0))


@clue(
    "shift_likeness",
    meaning="how much of the change a shift of the frame explains",
    doubt="the frame moved",
    against=0.55,
    clear=0.45,
    cost=5.0,
)
def shift_likeness(features: CandidateFeatures) -> float | None:
    """Return how much of the change a small shift of the frame explains: wind or a hand that moves the camera.

    Reduced where what the shift leaves is light: purely brighter, and more than the residual of alignment.
    """
    if features.stabilised_peak is None or features.at_peak is None:
        return None
    shifted_back, explained = features.stabilised_peak
    residual, balance = (
        change.change_balance(features.candidate.lit_map, _mean_rise(features)) or NO_CHANGE
        for change in (shifted_back, features.at_peak)
    )
    residual = residual.without_residual(balance)
    light = (residual.positivity() - _MISALIGNED) / (_LIGHT - _MISALIGNED)
    return explained * (1.0 - min(1.0, max(0.0, light)))


@clue(
    "seen_before",
    meaning="how much of the rise one moment of the last half minute showed already",
    doubt="the place had this level before: something uncovered it",
    against=0.75,
    clear=0.55,
    cost=5.0,
)
def seen_before(features: CandidateFeatures) -> float | None:
    """Return how much of the rise one moment of the last half minute showed already, 0..1.

    A bird that leaves, a blank frame that ends and an exposure that recovers show again what was there; lightning
    shows what was not. Clouds that drifted away from a level cover nothing: the level must have gone within two
    seconds. None where less than three seconds are known.
    """
    return features.candidate.context.seen_before


def _mean_rise(features: CandidateFeatures) -> float:
    """Return the mean rise of the lit blocks, levels."""
    candidate = features.candidate
    where = candidate.lit_map
    return float((candidate.peak_map - candidate.background)[where].mean()) if where.any() else 0.0
