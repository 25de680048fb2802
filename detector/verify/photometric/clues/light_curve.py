"""Clues in the light curve: how the light comes, goes, repeats and moves."""

import numpy as np
from numpy.typing import NDArray

from detector.candidate import LightCurve
from detector.prefilter.quantile import quantile
from detector.prefilter.recurrence import autocorrelation_peak
from detector.verify.photometric.added_light import SATURATED
from detector.verify.photometric.clue import clue
from detector.verify.photometric.edges import LEAST_FALL, largest_fall
from detector.verify.photometric.features import CandidateFeatures
from detector.verify.photometric.pulse_decay import BURNING_SECONDS, STROKE_SECONDS, half_lives

# A frame with at least this share of the brightest one shows the light itself, not its last glow.
_BRIGHT = 0.3
# What fell by so much was seen to go; less tells nothing where the recording ended meanwhile.
_FELL = 0.8
# Frames further apart than the first show strokes of their own; no shutter takes as long as the second to roll.
_NEXT_SECONDS, _ROLLING_SECONDS = 0.21, 0.12
# A single stroke may well keep its current; that two in a row do is rare.
_MIN_BURSTS = 2
# The current of a stroke seldom goes on for so long.
_CURRENT_SECONDS = 1.0


@clue(
    "fallen_share",
    meaning="how far the light fell back after its brightest moment",
    doubt="the light stayed",
    against=0.5,
    clear=0.8,
    cost=6.0,
    favour=0.5,
)
def decay_fraction(features: CandidateFeatures) -> float | None:
    """Return how far the light fell back after its peak, 0..1: lightning goes out, lamps and exposure steps stay.

    None if the recording ended first, unless the light had fallen back already.
    """
    curve, context = features.candidate.curve, features.candidate.context
    top = float(curve.rise.max(initial=0.0))
    if top <= 0:
        return None
    # From the first half of its peak on: a new level with noise has its highest point anywhere.
    tail = curve.rise[int(np.argmax(curve.rise >= 0.5 * top)) :]
    if context.cut_off and len(tail) < 3:
        return None
    by_curve = 1.0 - float(tail.min()) / top
    residual = _residual_light(features)
    fallen = by_curve if residual is None else max(by_curve, 1.0 - max(0.0, residual))
    return None if context.cut_off and fallen < _FELL else fallen


@clue(
    "went_dark",
    meaning="1: it was seen to go out, 0: it was still lit when it was given up",
    doubt="it was not seen to go out",
    against=0.0,
    clear=1.0,
    cost=1.5,
)
def returned_to_dark(features: CandidateFeatures) -> float | None:
    """Return 1 if the light went out, 0 if it was still lit at its limit or had only come on when the source ended.

    None if the source ended while it was falling.
    """
    context = features.candidate.context
    if context.cut_off:
        # What has only come on may stay on: that it rose is half of the proof.
        return 0.0 if largest_fall(features.candidate) < LEAST_FALL else None
    # The last tenth is drifting clouds rather than light.
    if (decay_fraction(features) or 0.0) >= 0.9:
        return 1.0
    return None if context.dark_after is None else float(context.dark_after)


@clue(
    "suddenness",
    meaning="largest rise within 50 ms (or a frame), of the brightest moment",
    doubt="it grew slowly",
    against=0.3,
    clear=0.55,
    cost=4.0,
)
def suddenness(features: CandidateFeatures) -> float | None:
    """Return the largest rise within 50 ms (or one frame) over the peak: strokes jump, headlights and dawn grow."""
    curve = features.candidate.curve
    rise, seconds = curve.rise, curve.seconds
    top = float(rise.max(initial=0.0))
    if top <= 0:
        return None
    best = float(rise[0])
    for i in range(1, len(rise)):
        first = min(i - 1, int(np.searchsorted(seconds, seconds[i] - 0.05 - 1e-6)))
        best = max(best, float(rise[i] - rise[first:i].min()))
    return best / top


@clue(
    "overlap",
    meaning="share of the light's core that stays from frame to frame",
    doubt="it moved on from frame to frame",
    against=0.4,
    clear=0.7,
    cost=3.0,
)
def frame_overlap(features: CandidateFeatures) -> float | None:
    """Return the share of the light's core that stays from frame to frame: clouds stay, insects and beams move on.

    It is measured on bright frames only, since the core of a last glow is noise, and on three or more: a rolling
    shutter shows the upper and the lower part of one stroke in two. If frames are longer than any shutter rolls, two
    are enough.
    """
    curve = features.candidate.curve
    bright = _bright_frames(curve)
    intervals = np.diff(curve.seconds)
    pairs = bright[1:] & bright[:-1] & (intervals <= _NEXT_SECONDS)
    enough = np.count_nonzero(pairs) >= 2 or bool((intervals[pairs] > _ROLLING_SECONDS).any())
    return quantile(curve.overlap[1:][pairs]) if enough else None


@clue(
    "travel",
    meaning="how steadily it travels in one direction",
    doubt="it travelled steadily",
    against=0.8,
    clear=0.4,
    cost=4.0,
)
def linear_motion(features: CandidateFeatures) -> float | None:
    """Return how steadily the light travels in one direction, 0..1: insects, cars and aircraft do, strokes jump about.

    Over the longest run of bright frames (three or more): the share of the centre's movement that a straight, even
    motion explains, reduced where it moves by less than a tenth of the frame. None for large lights, whose centre
    moves as their parts go out one after the other.
    """
    curve = features.candidate.curve
    if features.candidate.lit_fraction > 0.15:
        return None
    edges = np.flatnonzero(np.diff(np.concatenate(([False], _bright_frames(curve), [False])).astype(np.int8)))
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


@clue(
    "roaming",
    meaning="blocks lit at any time over those of its largest frame",
    doubt="it shone in one place after the other",
    against=3.0,
    clear=2.0,
    cost=4.0,
)
def spatial_spread(features: CandidateFeatures) -> float | None:
    """Return the blocks lit at any time over those of the largest frame: what moves lights many places in turn.

    A flash lights the same cloud and land in each pulse; a rolling shutter divides the lit area of a stroke in two.
    """
    return features.candidate.roaming


@clue(
    "steadiness",
    meaning="share of lit frames within 7 % of the middle one",
    doubt="it shone evenly, as lamps do",
    against=0.9,
    clear=0.6,
    cost=4.0,
)
def plateau_flatness(features: CandidateFeatures) -> float | None:
    """Return the share of lit frames within 7 % of the median: a lamp shines evenly, strokes flicker and decay.

    None for fewer than three frames, or where the frame is saturated (white is white). Reduced for fewer than five
    frames: three may agree by chance, five hardly.
    """
    candidate = features.candidate
    lit = candidate.curve.rise[candidate.curve.lit]
    if len(lit) < 3 or float(candidate.peak_map.max()) >= SATURATED:
        return None
    middle = quantile(lit)
    return float(np.mean(np.abs(lit - middle) <= 0.07 * middle)) * min(1.0, (len(lit) - 1) / 4)


@clue(
    "regularity",
    meaning="how well the light curve repeats itself",
    doubt="it kept time, as machines do",
    against=0.85,
    clear=0.6,
    cost=5.0,
)
def autocorrelation(features: CandidateFeatures) -> float | None:
    """Return how well the light curve repeats, up to 1: machines and mains are periodic, strokes are not."""
    return autocorrelation_peak(features.candidate.curve.rise_while_lit)


# Of three flashes of a storm one in ten is periodic by chance, of five hardly any.
@clue(
    "blinks",
    meaning="earlier lights with this place, strength and rhythm",
    doubt="it blinked, as lamps do",
    against=4.0,
    clear=2.0,
    cost=6.0,
)
def periodic_repeats(features: CandidateFeatures) -> float | None:
    """Return how many earlier lights had this place, strength and rhythm: lightning is not periodic."""
    return features.candidate.context.periodic_repeats


@clue(
    "burning",
    meaning="shortest time for which one of several pulses kept half of its light, seconds",
    doubt="each of its bursts burned out slowly, as fireworks do",
    against=BURNING_SECONDS,
    clear=STROKE_SECONDS,
    cost=4.0,
)
def shortest_half_life(features: CandidateFeatures) -> float | None:
    """Return the shortest time for which one of several strong pulses kept half of its light, in seconds.

    Current may go on after one stroke, hardly after all of a flash; the stars of each rocket burn for a second or more.
    None for a single pulse, and where frames are too far apart to tell.
    """
    lives = half_lives(features.candidate)
    if len(lives) < _MIN_BURSTS or features.candidate.frame_interval > STROKE_SECONDS:
        return None
    return min(seconds for _, seconds in lives)


@clue(
    "sustained",
    meaning="share of its time for which it kept a third of its brightest light, if that was a second or more",
    doubt="it burned on, as an arc does",
    against=0.8,
    clear=0.6,
    cost=4.0,
)
def sustained_share(features: CandidateFeatures) -> float | None:
    """Return the share of its time for which it kept `_BRIGHT` of its brightest light.

    Strokes are short beside the pauses between them, and current that continues weakens; a welder's arc flickers as
    wildly, but burns as long as the hand holds it. None for less than a second, for which lightning may shine, too,
    and where frames are too far apart to show the pauses.
    """
    candidate, curve = features.candidate, features.candidate.curve
    shown = np.diff(curve.seconds, append=curve.seconds[-1:] + candidate.onset.duration)
    bright = float(shown[_bright_frames(curve)].sum())
    lasted = candidate.end_seconds - candidate.start_seconds
    told = bright >= _CURRENT_SECONDS and candidate.frame_interval <= STROKE_SECONDS
    return bright / lasted if told else None


def _bright_frames(curve: LightCurve) -> NDArray[np.bool_]:
    """Return which frames show the light itself, not its last glow."""
    bright: NDArray[np.bool_] = curve.lit & (curve.rise >= _BRIGHT * curve.rise.max(initial=0.0))
    return bright


def _residual_light(features: CandidateFeatures) -> float | None:
    """Return the share of the peak's pattern that the frame after it still shows; below 0 where it is darker there.

    What drifts meanwhile (clouds, exposure) makes some blocks brighter and others darker, in a pattern of its own.
    """
    peak, after = features.blocks_at_brightest, features.blocks_after
    if peak is None or after is None:
        return None
    where, background = features.candidate.lit_map, features.candidate.background
    light, rest = (peak - background)[where], (after - background)[where]
    power = float(light @ light)
    return float(light @ rest) / power if power > 0 else None
