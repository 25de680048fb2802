"""Detail of the scene that is gone in a lit frame, though nothing is saturated: damage, not light."""

from dataclasses import replace

import numpy as np

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid, mean_luma
from stream import Frame

_SIDE = 4  # pixels that are averaged
_EDGE = 12.0  # levels between neighbours: more than noise
_CLIPPED = 30.0  # levels beyond which an edge counts no more
_BRIGHT = 195.0  # levels above black; light may wash out what is brighter
_FEWEST = 100  # edges that tell anything
_LEAST_KEPT = 0.2  # damaged key frames keep -0.02 to 0.11 of the detail, real flashes 0.33 and more


def loses_detail(candidate: Candidate) -> bool:
    """Return whether hardly any edge of the scene is left in the onset of a candidate.

    Light is added to what is there: edges stay, or grow with it. In a damaged key frame other blocks stand in their
    place, or plain grey.
    """
    before = candidate.before
    return before is not None and detail_kept(candidate.onset, before) < _LEAST_KEPT


def detail_kept(frame: Frame, reference: Frame) -> float:
    """Return the share of the edges in `reference` that `frame` shows, too; 1 where there are too few to tell."""
    now, then = _small(frame), _small(reference)
    if now.shape != then.shape:
        return 1.0
    shown = known = 0.0
    count = 0
    for axis in (0, 1):
        step, edge = np.diff(now, axis=axis), np.diff(then, axis=axis)
        ends = (now[1:], now[:-1]) if axis == 0 else (now[:, 1:], now[:, :-1])
        told = (np.abs(edge) > _EDGE) & (np.maximum(*ends) < _BRIGHT)
        count += int(np.count_nonzero(told))
        shown += float(np.sum(np.clip(step[told] * np.sign(edge[told]), -_CLIPPED, _CLIPPED)))
        known += float(np.sum(np.minimum(np.abs(edge[told]), _CLIPPED)))
    return shown / known if count >= _FEWEST else 1.0


def _small(frame: Frame) -> Grid:
    """Return levels above black, (rows, columns), of squares of pixels."""
    rows, columns = (side // _SIDE for side in frame.luma.shape)
    whole = replace(frame, luma=frame.luma[: rows * _SIDE, : columns * _SIDE])
    return mean_luma(whole, *sorted((rows, columns)), pixels=_SIDE * _SIDE) * np.float32(219 / 255)
