"""Which blocks belong to which of two lights: the light of one stroke rises everywhere in the same frame."""

from collections.abc import Sequence

import numpy as np

from detector.prefilter.blocks import Mask
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.lit_region import CORE_SHARE, LitRegion
from detector.prefilter.quantile import quantile
from detector.prefilter.recurrence import PeriodicLights
from detector.prefilter.tracker import CandidateTracker
from stream import load_opencv

cv2 = load_opencv()

# Lamps, insects and far headlights light less of the frame than this; a stroke lights its cloud.
COMPACT_SHARE = 0.08
# A stroke that begins weak is brightest where it began: beside a light the frame rises by less than this share of
# what the brightest of the stroke does.
BESIDE_SHARE = 0.6
# The light that comes is so many times larger than a compact one that shines already.
LARGER = 4.0
# A compact light outshines what the flash gave its blocks by this factor.
OUTSHINES = 1.5
# The rest of a flash neither rises nor falls with a light that is another one: by less than this share of it.
SIMULTANEOUS_SHARE = 0.1
# What moves has lit so many times the blocks that it lights at once.
MOVED = 1.5
# A rolling shutter shows one stroke in two frames, above and below.
ROLLING_FRAMES = 1.5
# Two cells are two while neither lights more than this share of where the other one shines.
REACHED_SHARE = 0.05
# Strokes begin weak: half a percent of the flash, and two frames later its brightest.
BEGIN_SECONDS, BEGIN_FRAMES = 0.1, 2.5
# The strokes of a flash follow each other within this time: a weak one is known by the strong one after it.
STROKE_SECONDS = 0.4
# Blocks: noise and blur carry a light that far beyond the blocks that are lit.
EDGE_BLOCKS, APART_BLOCKS = 1, 3
# Blocks that an insect crosses in a frame, and the furthest that it is looked for where a flash outshone it.
STRIDE_BLOCKS, MOST_REACH = 4, 12


def grown(mask: Mask, blocks: int) -> Mask:
    """Return `mask` and all within so many blocks of it."""
    side = 2 * blocks + 1
    wide: Mask = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return wide


def is_compact(blocks: int, watched: Mask) -> bool:
    """Return whether a light of so many blocks at a time is as small as lamps and insects are."""
    return bool(blocks <= COMPACT_SHARE * np.count_nonzero(watched))


def part_of_another(
    tracker: CandidateTracker, change: FrameChange, seconds: float, lamps: PeriodicLights
) -> Mask | None:
    """Return the (rows, columns) blocks of a light that rises beside that of `tracker`; None where it is the same one.

    Args:
        tracker: the candidate that is open.
        change: the change of the newest frame.
        seconds: its time.
        lamps: the lamps that are known.
    """
    if change.calm or change.sudden_blocks < change.least_blocks:
        return None
    compact = is_compact(change.sudden_blocks, change.scene.watched)
    return (_small_part if compact else _large_part)(tracker, change, seconds, lamps)


def leave_to_smaller(lights: Sequence[CandidateTracker]) -> None:
    """Leave the blocks of the smaller one of two lights to it: it shines there, whatever the other one adds."""
    small, large = sorted(lights, key=lambda one: one.region.most_lit)
    large.region.leave(small.region.last_lit)


def is_decided(lights: Sequence[CandidateTracker], seconds: float) -> bool:
    """Return whether it can be told by `seconds` that the second light is none that began weak beside the first."""
    first, second = lights
    larger = first.region.most_lit < second.region.most_lit
    return larger or second.known_lamp or seconds - second.start_seconds >= STROKE_SECONDS


def stays_apart(lights: Sequence[CandidateTracker], watched: Mask) -> bool:
    """Return whether two lights that rose apart have neither met nor risen together since."""
    first, second = (one.region for one in lights)
    if lights[1].known_lamp or (first.most_lit < second.most_lit and _is_small(lights[0], watched)):
        return True
    together = lights[0].risen_seconds >= lights[1].start_seconds
    if is_compact(second.most_lit, watched):
        # A small stroke beside a large one cannot be told from a lamp by less.
        return not together and lights[1].is_no_stroke
    if any(one.size >= MOVED * one.most_lit for one in (first, second)):
        return False  # it went on to a third place: one light that roams
    old, new = core_of(first), core_of(second)
    return not (together or _reaches(first.mask, new) or _reaches(second.mask, old))


def _small_part(tracker: CandidateTracker, change: FrameChange, seconds: float, lamps: PeriodicLights) -> Mask | None:
    """Return the blocks of a compact light that rises beside another one; None where it is the same one."""
    if is_compact(tracker.region.most_lit, change.scene.watched):
        return None  # what moves goes on being one light
    if lamps.knows(seconds, change.sudden, change.step):
        return grown(change.sudden, EDGE_BLOCKS)
    return None if _rolls(tracker, seconds) else _compact_beside_large(tracker.region, change)


def _large_part(tracker: CandidateTracker, change: FrameChange, seconds: float, lamps: PeriodicLights) -> Mask | None:
    """Return the blocks of a large light that rises beside another one; None where it is the same one."""
    region = tracker.region
    known = lamps.knows(seconds, region.mask, region.peak_rise)
    if is_compact(region.most_lit, change.scene.watched):
        # A small light may be the weak beginning of what comes now.
        lamp = known or tracker.is_lamp
        return _large_beside_small(tracker, change, lamp=lamp) if lamp or _shines_already(tracker, seconds) else None
    # A flash may begin with a wide and even light: a wide lamp is known by its blinks alone.
    wide_lamp = (known or tracker.blinked) and change.sudden_blocks >= LARGER * region.most_lit
    beside = _large_beside_small(tracker, change, lamp=True) if wide_lamp else None
    # What burns on while another light comes is one show with it: fireworks.
    if beside is not None or _rolls(tracker, seconds) or tracker.light > 0:
        return beside
    return _apart(region, change)


def _is_small(light: CandidateTracker, watched: Mask) -> bool:
    """Return whether a light beside a larger one is a compact one, or a lamp of any size."""
    return light.known_lamp or is_compact(light.region.most_lit, watched)


def _rolls(tracker: CandidateTracker, seconds: float) -> bool:
    """Return whether a rise may be the other part of a stroke that a rolling shutter shows in two frames."""
    return seconds - tracker.risen_seconds < ROLLING_FRAMES * tracker.frame_seconds


def _shines_already(tracker: CandidateTracker, seconds: float) -> bool:
    """Return whether a small light has shone for longer than strokes begin, or was none while it shone."""
    if tracker.light == 0:
        return tracker.is_no_stroke
    return seconds - tracker.start_seconds >= max(BEGIN_SECONDS, BEGIN_FRAMES * tracker.frame_seconds) - 1e-6


def shares(
    lights: Sequence[CandidateTracker], change: FrameChange, seconds: float
) -> list[tuple[CandidateTracker, FrameChange]]:
    """Return which of two lights what rises in a frame belongs to: each that takes it in, with its own change.

    A compact light takes in nothing while the other one, larger, shines: what its blocks show then is not its own.
    """
    small, large = sorted(lights, key=lambda one: one.region.most_lit)
    watched = change.scene.watched
    if not _is_small(small, watched):
        of_small = _of_cell(small.region, large.region, change)
        return [(small, change.within(of_small)), (large, change.within(~of_small))]
    near = grown(small.region.last_lit, _reach(small, seconds))
    if change.sudden_blocks and is_compact(change.sudden_blocks, watched) and (change.sudden & near).any():
        # What moves takes new blocks; a flash that lit them before leaves them.
        near = near | grown(change.sudden, EDGE_BLOCKS)
    found = [(large, change.within(~near))]
    return found if large.light > small.light else [(small, change.within(near)), *found]


def _of_cell(small: LitRegion, large: LitRegion, change: FrameChange) -> Mask:
    """Return the blocks that the smaller of two cells shows: of a rise in one of them alone, all that came with it."""
    ours, theirs = core_of(small), core_of(large)
    if change.sudden_blocks:
        in_ours = int(np.count_nonzero(change.sudden & ours))
        in_theirs = int(np.count_nonzero(change.sudden & theirs))
        if in_ours and not in_theirs:
            return (change.sudden | small.mask) & ~theirs
        if in_theirs and not in_ours:
            return ours & ~change.sudden
    return small.mask & ~large.mask | ours


def core_of(region: LitRegion) -> Mask:
    """Return the blocks of a light that it raised most at any time."""
    core: Mask = region.mask & (region.peak_rise > np.float32(CORE_SHARE) * region.peak_rise.max())
    return core


def _reach(small: CandidateTracker, seconds: float) -> int:
    """Return how many blocks from where it was last seen a compact light may be, at a time."""
    missed = (seconds - small.last_seconds) / small.frame_seconds - 1
    moves = small.region.size >= MOVED * small.region.most_lit
    return min(MOST_REACH, APART_BLOCKS + round(STRIDE_BLOCKS * max(0.0, missed))) if moves else APART_BLOCKS


def _large_beside_small(tracker: CandidateTracker, change: FrameChange, *, lamp: bool) -> Mask | None:
    region = tracker.region
    near = grown(region.last_lit, 2 * EDGE_BLOCKS)
    new = change.sudden & ~near
    if np.count_nonzero(new) < LARGER * np.count_nonzero(near):
        return None
    tracker.known_lamp = lamp
    # A lamp, and what has moved since it came, is no beginning of a stroke.
    if not lamp and region.size < MOVED * region.most_lit:
        brightest = quantile(change.step[new], 0.95)
        if float(change.step[near].mean()) >= BESIDE_SHARE * brightest:
            return None
    return ~grown(region.last_lit, EDGE_BLOCKS)


def _compact_beside_large(region: LitRegion, change: FrameChange) -> Mask | None:
    near = grown(change.sudden, EDGE_BLOCKS)
    core = _core_of_rise(change)
    if float(change.rise[core].mean()) < OUTSHINES * float(region.peak_rise[core].mean()):
        return None
    return near if _stays(region.mask & ~near, change) else None


def _apart(region: LitRegion, change: FrameChange) -> Mask | None:
    # The faint edges of two cells may touch; where one shines, the other must not reach.
    old = core_of(region)
    if _reaches(change.sudden, old) or _reaches(region.mask, _core_of_rise(change)):
        return None
    return ~grown(old, EDGE_BLOCKS) if _stays(region.mask & ~change.sudden, change) else None


def _core_of_rise(change: FrameChange) -> Mask:
    rise = np.where(change.sudden, change.rise, np.float32(0))
    core: Mask = rise > np.float32(CORE_SHARE) * rise.max()
    return core


def _reaches(light: Mask, core: Mask) -> bool:
    """Return whether a light shines where the core of another one is."""
    return bool(np.count_nonzero(light & core) > REACHED_SHARE * np.count_nonzero(core))


def _stays(mask: Mask, change: FrameChange) -> bool:
    """Return whether the blocks of `mask` neither rise with what is sudden elsewhere nor lose it."""
    gained = float(change.step[change.sudden].sum())
    return abs(float(change.step[mask].sum())) < SIMULTANEOUS_SHARE * gained
