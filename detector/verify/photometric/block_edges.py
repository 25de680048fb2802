"""Edges along the coded blocks that a frame did not have before: damage of which no decoder complained."""

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.prefilter.quantile import quantile
from stream import Frame, load_opencv

cv2 = load_opencv()

_GRID = 16  # pixels; the blocks of all codecs are fractions or multiples of it
_CONTROL = 5  # rows beside the grid, where no codec has a border
_SEGMENT = 16  # pixels of an edge that are judged together
_REACH = 3  # rows on each side of an edge
_MIN_STEP = 4.0  # levels
_NOISE = 5.0  # times the middle step elsewhere, as the noise of a camera makes them: by chance one in a thousand
_SHARPNESS = 3.0  # times the steps two rows above and below
_OWN_SHARE = 0.5  # of the change beside the edge: coarsely coded light steps too, but by less than it adds
_MIN_SHARE = 0.012  # of segments that are sharp; damage 0.025 to 0.13, real flashes at 0.15 Mbit/s up to 0.005
_CONTROL_WEIGHT = 1.5
_FULLEST = 2  # rows that do not count: a bar above and below the scene ends on the grid, too
_MIN_LINES = 6  # of the grid in a frame that can be judged
_MOST_LINES = 96  # are judged


def broke_apart(candidate: Candidate) -> bool:
    """Return whether a frame of a candidate differs from the one before it along its coded blocks.

    Arithmetic coding (VP8, HEVC, AVC with CABAC) decodes any bits: from a damaged byte on, blocks hold wrong levels or
    wrong places, without a complaint, and each ends sharply at its border. Light knows no blocks: what it adds is
    smooth across their borders, or sharp as often elsewhere. Frames that are decoded without the filter of block edges
    show them anyway, and do not tell.
    """
    return not candidate.onset.unfiltered and block_edges(candidate) > _MIN_SHARE


def block_edges(candidate: Candidate) -> float:
    """Return the share of sharp edges along the blocks in the onset or the peak of a candidate, the larger."""
    before = candidate.before
    if before is None:
        return 0.0
    return max(block_edge_share(frame, before) for frame in (candidate.onset, candidate.peak))


def block_edge_share(frame: Frame, reference: Frame) -> float:
    """Return the share of segments along the coded blocks at which the change is sharp, less that beside them."""
    now, then = frame.luma, reference.luma
    if now.shape != then.shape:
        return 0.0
    lines = (len(now) - _CONTROL - _REACH) // _GRID
    segments = now.shape[1] // _SEGMENT
    if lines < _MIN_LINES or segments < _MIN_LINES:
        return 0.0
    every = -(-lines // _MOST_LINES)
    levels = _SEGMENT * (frame.white - frame.black) / 219
    change: dict[int, NDArray[np.float64]] = {}
    for offset in range(-_REACH, _CONTROL + _REACH):
        rows = slice(_GRID + offset, None, _GRID * every)
        part = now[rows, : segments * _SEGMENT].astype(np.float32) - then[rows, : segments * _SEGMENT]
        sums = cv2.reduce(part.reshape(-1, _SEGMENT), 1, cv2.REDUCE_SUM).reshape(len(part), segments)
        change[offset] = sums[: (lines - 1) // every + 1].astype(np.float64) / levels
    least = max(_MIN_STEP, _NOISE * quantile(np.abs(change[_CONTROL] - change[_CONTROL - 1]).ravel()))
    return max(0.0, _sharp(change, 0, least) - _CONTROL_WEIGHT * _sharp(change, _CONTROL, least))


def _sharp(change: dict[int, NDArray[np.float64]], offset: int, least: float) -> float:
    """Return the share of segments with a step of `least` between the rows at `offset` - 1 and `offset` of a line."""
    step = np.abs(change[offset] - change[offset - 1])
    above = np.abs(change[offset - 2] - change[offset - 3])
    below = np.abs(change[offset + 2] - change[offset + 1])
    sharp = (step > least) & (step > _SHARPNESS * above) & (step > _SHARPNESS * below)
    over = np.abs(change[offset - 1] + change[offset - 2] + change[offset - 3]) / 3
    under = np.abs(change[offset] + change[offset + 1] + change[offset + 2]) / 3
    sharp &= step > _OWN_SHARE * np.maximum(over, under)
    return float(np.sort(sharp.mean(axis=1))[:-_FULLEST].mean())
