"""Which blocks belong to which of two lights: the light of one stroke rises everywhere in the same frame."""

from collections.abc import Sequence
from dataclasses import dataclass

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
# Beside a light of so many times more blocks, one is small.
LARGER = 4.0
# Beside what swells, which no stroke does, a light need not be `LARGER` by as much.
LARGER_THAN_SWELLING = 2.0
# A compact light outshines what the flash gave its blocks by this factor.
OUTSHINES = 1.5
# The rest of a flash neither rises nor falls with a light that is another one: by less than this share of it.
SIMULTANEOUS_SHARE = 0.1
# Many blocks rise together where their sum gains more than so many standard deviations of its noise.
BEYOND_NOISE = 3.0
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


@dataclass(frozen=True, slots=True)
class Part:
    """What rises beside an open candidate.

    Attributes:
        blocks: (rows, columns) those of the new light.
        certain: whether it is known already that it is another light; else what comes tells.
        elsewhere: whether it rose in another place than a smaller light that had outshone it there.
        cell: whether it is as large as the other one: a second cell of a storm.
    """

    blocks: Mask
    certain: bool = False
    elsewhere: bool = False
    cell: bool = False


@dataclass(slots=True)
class Parting:
    """One open candidate told as two lights, until it is known whether they are two.

    Attributes:
        first: the one that opened.
        second: the one that rose beside it.
        part: what was known of the second when it rose.
    """

    first: CandidateTracker
    second: CandidateTracker
    part: Part

    def verdict(self, seconds: float, *, final: bool) -> bool | None:
        """Return whether they are two lights; None while it cannot be told.

        Args:
            seconds: time of the newest frame.
            final: whether nothing more will be known.
        """
        if self.part.certain:
            return True
        return self._are_cells(seconds, final=final) if self.part.cell else self._is_no_stroke(seconds, final=final)

    def _is_no_stroke(self, seconds: float, *, final: bool) -> bool | None:
        """Return whether the smaller light is no stroke: by less, one beside a large light is not told apart."""
        small, large = sorted((self.first, self.second), key=_extent)
        compact = is_compact(small.region.most_lit, small.baseline.watched)
        if small.known_lamp or small.blinked or small.swelled or (compact and small.is_no_stroke):
            return True
        if not (final or (large.has_ended(seconds) and small.light == 0)):
            return None
        return self.part.elsewhere and compact

    def _are_cells(self, seconds: float, *, final: bool) -> bool | None:
        """Return whether two lights of about the same size have neither met nor risen together."""
        first, second = self.first.region, self.second.region
        smaller = second.most_lit <= first.most_lit
        # It may be one that began weak beside the first.
        if smaller and not final and seconds - self.second.start_seconds < STROKE_SECONDS:
            return None
        if any(one.size >= MOVED * one.most_lit for one in (first, second)):
            return False  # it went on to a third place: one light that roams
        together = self.first.risen_seconds >= self.second.start_seconds
        return not (together or _reaches(first.mask, core_of(second)) or _reaches(second.mask, core_of(first)))


def part_of_another(
    tracker: CandidateTracker, change: FrameChange, seconds: float, lamps: PeriodicLights
) -> Part | None:
    """Return what rises beside `tracker` as another light; None where it is the same one.

    Args:
        tracker: the candidate that is open.
        change: the change of the newest frame.
        seconds: its time.
        lamps: the lamps that are known.
    """
    blocks, watched = change.sudden_blocks, change.scene.watched
    if change.calm or blocks < change.least_blocks:
        return None
    region, compact = tracker.region, is_compact(blocks, watched)
    larger = LARGER_THAN_SWELLING if tracker.swelled else LARGER
    if not compact and blocks >= larger * region.most_lit:
        known = lamps.knows(seconds, region.mask, region.peak_rise)
        part = _large_beside_small(tracker, change, seconds, known=known)
        if part is not None:
            return part
    if is_compact(region.most_lit, watched):
        return None  # what moves goes on being one light
    if compact and lamps.knows(seconds, change.sudden, change.step):
        return Part(grown(change.sudden, EDGE_BLOCKS), certain=True)
    if compact and LARGER * blocks <= region.most_lit:
        return None if _rolls(tracker, seconds) else _small_beside_large(region, change)
    # What burns on while another light comes is one show with it: fireworks.
    return None if _rolls(tracker, seconds) or tracker.light > 0 else _apart(region, change)


def leave_to_smaller(lights: Sequence[CandidateTracker]) -> None:
    """Leave the blocks of the smaller one of two lights to it: it shines there, whatever the other one adds."""
    small, large = sorted(lights, key=_extent)
    large.region.leave(small.region.mask)


def is_small(small: CandidateTracker, large: CandidateTracker) -> bool:
    """Return whether a light beside a larger one is small: compact, a lamp of any size, or headlights."""
    most, other = small.region.most_lit, large.region.most_lit
    compact = is_compact(most, small.baseline.watched) or LARGER * most <= other
    return compact or small.known_lamp or small.swelled


def _extent(light: CandidateTracker) -> int:
    return light.region.most_lit


def _rolls(tracker: CandidateTracker, seconds: float) -> bool:
    """Return whether a rise may be the other part of a stroke that a rolling shutter shows in two frames."""
    return seconds - tracker.risen_seconds < ROLLING_FRAMES * tracker.frame_seconds


def _shines_already(tracker: CandidateTracker) -> bool:
    """Return whether a small light shines on when a larger one comes, or was no stroke while it shone."""
    return tracker.is_no_stroke or tracker.swelled or tracker.light > 0


def _begins(tracker: CandidateTracker, seconds: float) -> bool:
    """Return whether it is so new that it may be the weak beginning of what comes now."""
    return seconds - tracker.start_seconds < max(BEGIN_SECONDS, BEGIN_FRAMES * tracker.frame_seconds) - 1e-6


def shares(
    lights: Sequence[CandidateTracker], change: FrameChange, seconds: float
) -> list[tuple[CandidateTracker, FrameChange]]:
    """Return which of two lights what rises in a frame belongs to: each that takes it in, with its own change.

    A compact light takes in nothing while the other one, larger, shines: what its blocks show then is not its own.
    """
    small, large = sorted(lights, key=_extent)
    watched = change.scene.watched
    if not is_small(small, large):
        of_small = _of_cell(small.region, large.region, change)
        return [(small, change.within(of_small)), (large, change.within(~of_small))]
    near = grown(small.region.mask, _reach(small, seconds))
    blocks = change.sudden_blocks
    compact = is_compact(blocks, watched)
    outshone = large.light > small.light or (not compact and blocks >= LARGER * small.region.most_lit)
    if blocks and (compact or LARGER * blocks <= large.region.most_lit):
        # What moves takes new blocks; a flash that lit them before leaves them.
        around = grown(change.sudden, EDGE_BLOCKS)
        if (change.sudden & near).any() or not _rises_too(large.region.mask & ~around, change):
            near = near | around
    found = [(large, change.within(~near))]
    return found if outshone else [(small, change.within(near)), *found]


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
    """Return how many blocks from where it was seen a compact light may be, at a time."""
    missed = (seconds - small.last_seconds) / small.frame_seconds - 1
    moves = small.region.size >= MOVED * small.region.most_lit
    return min(MOST_REACH, APART_BLOCKS + round(STRIDE_BLOCKS * max(0.0, missed))) if moves else APART_BLOCKS


def _large_beside_small(tracker: CandidateTracker, change: FrameChange, seconds: float, *, known: bool) -> Part | None:
    """Return a large light that rises beside a small one; None where too little of it lies elsewhere."""
    region = tracker.region
    near = grown(region.mask, 2 * EDGE_BLOCKS)
    new = change.sudden & ~near
    if not new.any():
        return None
    blocks = ~grown(region.mask, EDGE_BLOCKS)
    compact = is_compact(region.most_lit, change.scene.watched)
    tracker.known_lamp |= known
    # A flash may begin with a wide and even light: a wide lamp is known by its blinks alone.
    if tracker.known_lamp or tracker.blinked or (compact and tracker.shone_evenly):
        return Part(blocks, certain=True)
    if _begins(tracker, seconds):
        return None
    # What has moved since it came is no beginning of a stroke.
    moved = region.size >= MOVED * region.most_lit
    begins = float(change.step[near].mean()) >= BESIDE_SHARE * quantile(change.step[new], 0.95)
    clear = compact and bool(np.count_nonzero(new) >= LARGER * np.count_nonzero(near))
    certain = clear and _shines_already(tracker) and (moved or not begins)
    if _rolls(tracker, seconds) and not certain:
        return None
    core = core_of(region)
    outshone = float(region.peak_rise[core].mean()) >= OUTSHINES * float(change.rise[core].mean())
    return Part(blocks, certain=certain, elsewhere=clear and outshone and not begins)


def _small_beside_large(region: LitRegion, change: FrameChange) -> Part | None:
    """Return a small light that rises while none of the large one does."""
    near = grown(change.sudden, EDGE_BLOCKS)
    core = _core_of_rise(change)
    if float(change.rise[core].mean()) < OUTSHINES * float(region.peak_rise[core].mean()):
        return None
    return None if _rises_too(region.mask & ~near, change) else Part(near)


def _rises_too(mask: Mask, change: FrameChange) -> bool:
    """Return whether the blocks of `mask` rise with what is sudden elsewhere, as the light of one stroke does."""
    gained = float(change.step[change.sudden].sum())
    by_noise = BEYOND_NOISE * float(np.sqrt(2 * np.square(change.scene.noise[mask]).sum()))
    return float(change.step[mask].sum()) >= max(SIMULTANEOUS_SHARE * gained, by_noise)


def _apart(region: LitRegion, change: FrameChange) -> Part | None:
    # The faint edges of two cells may touch; where one shines, the other must not reach.
    old = core_of(region)
    if _reaches(change.sudden, old) or _reaches(region.mask, _core_of_rise(change)):
        return None
    return Part(~grown(old, EDGE_BLOCKS), cell=True) if _stays(region.mask & ~change.sudden, change) else None


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
