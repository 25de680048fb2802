"""Breaks in a frame's scan: levels that are wrong from one coded block on, without a complaint of the decoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 4  # pixel rows read on each side of the border between two rows of blocks
_MIN_STEP = 1.5  # levels; a smaller step cannot look like light
_MAX_STEP = 30.0  # levels at which a border's weight in the search ends: garbage must not outweigh the others
_MIN_RATIO = 1.6  # of the step to the spread of all borders; one in 10,000 intact frames reaches it by chance
_AGREEMENT = 0.8  # share of the borders on the path of a break
_AGREEMENT_ALONE = 0.9  # the same if the path runs along one side only
_CLEAR_RATIO = 2.5
_AGREEMENT_FAINT = 0.95  # below that ratio of step to spread
_STRONG = 3.5  # spreads
_VERY_STRONG = 10.0  # the same; garbage where the break begins may then hide a fifth of the path
_SHARP = 0.75  # share of a step that lies between the two pixel rows at the border
_TOLERANCE = 0.35  # share of the step by which a border may deviate
_NOISE_SHARE = 0.1  # weight of a new frame in the running spread of borders
_RESTLESS = 4.0  # spreads beyond which a border counts as changed
_MIN_OTHER = 2.5  # levels that such a change has at least
_GARBAGE = 10.0  # the same of blocks where the decoder lost its way
_CONTRAST = 25.0  # levels between dark and bright blocks that tell light from damage
_QUIET = 0.1  # share of the borders in a row that may have changed without a tear
_TORN = 0.6  # share of the borders behind a tear that have changed
_STRAY = 1.5  # spreads by which a border on the path may always deviate
_FEW = 3  # least rows of blocks below a tear; half the columns of the smallest frame
_PATH = 8  # least borders of a path; a shorter break changes too little to matter
_SIDE = 5  # least borders of a side that counts alone: on fewer, garbage may hide where a break begins

_CODED_BLOCKS = {"yuvj420p": (16, 16), "yuv420p": (16, 16), "yuvj422p": (8, 16), "yuv422p": (8, 16)}
"""(rows, columns) of pixels that are coded together, by pixel format."""
_ONE_BLOCK = (8, 8)
_SCANNED = frozenset({"mjpeg", "mjpegb", "amv", "mpeg1video", "mpeg2video"})
"""Codecs that code each block's level as the difference from the previous block, so that an error propagates."""

Borders = NDArray[np.float32]


class ScanBreaks:
    """Find frames of one stream whose levels step at one coded block and stay wrong from there to the end of the scan.

    In JPEG and MPEG-2 the mean of a block is coded as its difference from the previous block. A flipped bit in one
    leaves no error for the decoder to detect, but shifts all blocks after it, row by row, to the end of the frame or to
    the next restart. The edge of that area follows the borders of the blocks and lies one row lower on the left than on
    the right of the block where it began, or surrounds the rest of one row. No light does that: a rolling shutter
    cuts along a straight row, and other light does not follow block borders. But coarsely coded light does, at a
    horizon for example: so what was decoded before the break must be as it was. Luma and each plane of colour are
    coded one after the other: where the decoder finds its way again, a plane alone may stay wrong.
    """

    def __init__(self, codec: str) -> None:
        """Watch frames of `codec`, named as in FFmpeg."""
        self.possible = codec in _SCANNED
        self._reference = _NOTHING  # of the last frame that is not known to be damaged
        self._previous = _NOTHING
        self._marked = False
        self._noise = 0.0

    def found(
        self, luma: NDArray[Any], pixels: str, *, damaged: bool, colours: Sequence[NDArray[np.uint8]] = ()
    ) -> bool:
        """Return whether the scan of a frame breaks.

        Args:
            luma: (height, width) uint8.
            pixels: FFmpeg's name of the pixel format.
            damaged: whether the frame is known to be damaged already, so that the next is not compared with it.
            colours: the planes of colour, each (rows, columns), of formats that `chroma_planes` knows.
        """
        if not self.possible or luma.dtype != np.uint8:
            return False
        now = _Seen(_borders(luma, *_CODED_BLOCKS.get(pixels, _ONE_BLOCK)), colours)
        broken = self._is_broken(now, self._reference)
        if broken and self._marked and not self._is_broken(now, self._previous):
            # Two frames differ from the reference in the same way: so the reference was damaged.
            broken = False
        self._previous, self._marked = now, broken or damaged
        if not self._marked:
            change, self._reference = _change(now.borders, self._reference.borders), now
            if change is not None:
                self._noise += _NOISE_SHARE * (_spread(change) - self._noise) if self._noise else _spread(change)
        return broken

    def _is_broken(self, now: "_Seen", before: "_Seen") -> bool:
        change = _change(now.borders, before.borders)
        if change is None or before.borders is None:
            return False
        own = _spread(change)
        noise = max(own, self._noise)
        return (
            _breaks(change, noise)
            or _tears(change, min(own, self._noise or own))
            or _begins_at_one_block(change, noise)
            or _is_raised(change, before.borders)
            # Where the decoder lost its way, luma shows garbage for a few blocks at least, and is otherwise as before:
            # light, which changes luma everywhere, moves coarsely coded colours by whole blocks, too.
            or (
                float(np.abs(change[0]).max()) > max(_GARBAGE, _RESTLESS * noise)
                and float(np.median(np.abs(change[2]))) < _MIN_STEP
                and _colour_breaks(now, before)
            )
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a frame: the steps of its luma, and its planes of colour."""

    borders: Borders | None
    colours: Sequence[NDArray[np.uint8]]


_NOTHING = _Seen(None, ())


def _colour_breaks(now: _Seen, before: _Seen) -> bool:
    """Return whether a plane of colour steps from one block in the middle of a row on."""
    for plane, other in zip(now.colours, before.colours, strict=False):
        change = _change(_borders(plane, *_ONE_BLOCK), _borders(other, *_ONE_BLOCK))
        if change is not None and _breaks(change, _spread(change), within_a_row=True):
            return True
    return False


def _borders(luma: NDArray[Any], high: int, wide: int) -> Borders | None:
    """Return the level steps across the lower borders of the coded blocks, (3, rows - 1, columns).

    The first plane is from the means of some pixel rows on each side, the second from the two adjacent rows; the third
    is is the mean of the rows below the border itself. None if there are too few blocks.
    """
    rows, columns = (luma.shape[0] - _ROWS) // high, luma.shape[1] // wide
    if rows < 1 or columns < 2 * _FEW:
        return None
    below = np.zeros((rows, columns * wide), np.int16)
    step = np.zeros_like(below)
    touching = step
    for offset in range(_ROWS):
        below += luma[high + offset :: high, : columns * wide][:rows]
        step -= luma[high - 1 - offset :: high, : columns * wide][:rows]
        if not offset:
            touching = below + step
    sums = np.stack([below + step, touching, below]).reshape(3, rows, columns, wide).sum(axis=3, dtype=np.int32)
    counts = np.array([_ROWS * wide, wide, _ROWS * wide], np.float32)[:, None, None]
    means: Borders = sums.astype(np.float32) / counts
    return means


def _change(borders: Borders | None, reference: Borders | None) -> Borders | None:
    """Return the steps that are new; None if the frames cannot be compared."""
    if borders is None or reference is None or borders.shape != reference.shape:
        return None
    return borders - reference


def _spread(change: Borders) -> float:
    """Return the spread of most steps in levels, as a standard deviation."""
    return 1.48 * float(np.median(np.abs(change[0]))) + 0.05


def _is_raised(change: Borders, reference: Borders) -> bool:
    """Return whether all levels rose by the same number: an early block was damaged, and all others follow it.

    Light raises bright places more than dark ones; only in a frame without contrast the two look alike, and then the
    blocks before the damaged one, in the first row, tell.

    Args:
        change: (3, rows - 1, columns) changes of what `_borders` returns.
        reference: the same of the reference itself.
    """
    low, middle, high = np.percentile(change[2], (5, 50, 95))
    if middle <= _MIN_OTHER or high - low >= _TOLERANCE * middle:
        return False
    dark, bright = np.percentile(reference[2], (10, 90))
    return bool(bright - dark > _CONTRAST) or _spares_first_blocks(change[0], float(middle))


def _spares_first_blocks(steps: Borders, rise: float) -> bool:
    """Return whether some first blocks of the first row did not rise, and all others did."""
    stepped = np.abs(steps - rise) < _TOLERANCE * rise
    spared = int(np.argmin(stepped[0]))
    return spared >= _FEW - 1 and not stepped[0, spared + 1 :].any() and float(stepped[1:].mean()) < _QUIET / 2


def _tears(change: Borders, noise: float) -> bool:
    """Return whether borders are unchanged up to one block and nearly all changed after it: blocks were lost or added.

    The blocks that follow are then shown in the wrong place.
    """
    restless = np.abs(change[0]) > max(_MIN_OTHER, _RESTLESS * noise)
    lines = np.flatnonzero(restless.mean(axis=1) > _QUIET)
    if not lines.size or len(restless) - lines[0] < _FEW:
        return False
    first = int(lines[0])
    begin = int(np.argmax(restless[first]))
    behind = restless[first + 1 :]
    return bool(
        (not first or restless[:first].mean() <= _QUIET / 2)
        and restless[first, begin:].mean() >= _AGREEMENT
        and (not begin or behind[0, :begin].mean() >= _AGREEMENT)
        and behind.mean() >= _TORN
        and _is_as_before(change, first + 1, begin)
    )


def _begins_at_one_block(change: Borders, noise: float) -> bool:
    """Return whether all is as before up to one block in the middle of a row, and the next border of each other steps.

    The steps may differ: a break into white, or along a skyline, changes dark and bright blocks unlike.
    """
    restless = np.abs(change[0]) > max(_MIN_OTHER, _RESTLESS * noise)
    lines = np.flatnonzero(restless.mean(axis=1) > _QUIET)
    if not lines.size:
        return False
    first = int(lines[0])
    begin = int(np.argmax(restless[first]))
    if not _FEW <= begin <= restless.shape[1] - _FEW:
        return False
    # In the last row there is no border below.
    parts = (change[:2, first, begin:], *change[:2, first + 1 : first + 2, :begin].swapaxes(0, 1))
    on = np.concatenate(parts, axis=1)
    sharp = float(np.median(np.abs(on[1]) / np.maximum(np.abs(on[0]), _MIN_STEP)))
    return bool(
        (not first or restless[:first].mean() <= _QUIET / 2)
        and restless[first, begin:].mean() >= _AGREEMENT_ALONE
        and (first + 1 == len(restless) or restless[first + 1, :begin].mean() >= _AGREEMENT_ALONE)
        and sharp >= _SHARP
        and _is_as_before(change, first + 1, begin)
    )


def _breaks(change: Borders, noise: float, *, within_a_row: bool = False) -> bool:
    """Return whether new steps lie along the path of a break.

    Args:
        change: (3, rows - 1, columns) change of the result of `_borders`.
        noise: usual spread of the steps in levels.
        within_a_row: whether the break must begin in the middle of a row, which no shutter imitates.
    """
    columns = change.shape[2]
    padded = np.pad(change[:2], ((0, 0), (1, 1), (0, 0)))
    bounded = np.clip(padded[0], -_MAX_STEP, _MAX_STEP)
    # Sums over the borders left of each column, and from the column on, (rows + 1, columns).
    left = np.pad(np.cumsum(bounded, axis=1)[:, :-1], ((0, 0), (1, 0)))
    right = bounded.sum(axis=1, keepdims=True) - left
    there = np.ones((len(left), 1), np.float32)
    there[0] = there[-1] = 0
    before = np.arange(columns)
    after = columns - before
    to_end = np.abs(right[:-1] + left[1:]) / np.sqrt(np.maximum(1, there[:-1] * after + there[1:] * before))
    to_side = np.abs(right[:-1] - right[1:]) / np.sqrt((there[:-1] + there[1:]) * after)
    # In colour, the rest of one row may be an object at the edge of the frame.
    for strength in (to_end,) if within_a_row else (to_end, to_side):
        row, column = divmod(int(np.argmax(strength)), columns)
        if within_a_row and not _FEW <= column <= columns - _FEW:
            continue
        upper, lower = padded[:, row], padded[:, row + 1]
        if strength is to_end:
            on, off = (upper[:, column:], lower[:, :column]), (upper[:, :column], lower[:, column:])
        else:
            on, off = (upper[:, column:], -lower[:, column:]), (upper[:, :column], lower[:, :column])
        path, beside = ([part for part in parts if part.any()] for parts in (on, off))
        if _is_break(path, beside, noise) and _is_as_before(change, row, column):
            return True
    return False


def _is_as_before(change: Borders, row: int, column: int) -> bool:
    """Return whether the levels of all that was decoded before the block at (row, column) are what they were.

    Lightning lights the sky, above an edge that coarse coding lays along the blocks.
    """
    levels = np.abs(change[2])  # from the second row of blocks on
    before = np.concatenate((levels[: max(0, row - 1)].ravel(), levels[row - 1, :column] if row else ()))
    return before.size >= _PATH and float(np.median(before)) < _MIN_STEP


def _is_break(on: list[Borders], off: list[Borders], noise: float) -> bool:
    """Return whether steps have the form of a break.

    Args:
        on: (2, borders) steps along its path, for each side of the row of blocks where it begins.
        off: the same for the other borders of this row.
        noise: usual spread of the steps in levels.
    """
    if not on:
        return False
    path, touching = np.concatenate(on, axis=1)[:2]
    step = float(np.median(path))
    if abs(step) < max(_MIN_STEP, _MIN_RATIO * noise) or path.size < _PATH:
        return False
    stray = max(_TOLERANCE * abs(step), _STRAY * noise)
    beyond = (path - step) * np.sign(step)
    alike = float(np.mean(np.abs(beyond) <= stray))
    # A strong break may end in black or white, where its steps differ.
    agreement = _AGREEMENT if abs(step) > _VERY_STRONG * noise else _AGREEMENT_ALONE
    strong = abs(step) > _STRONG * noise and float(np.mean(beyond >= -stray)) >= agreement
    if abs(step) < _CLEAR_RATIO * noise and alike < _AGREEMENT_FAINT:
        return False
    return bool(
        (strong or alike >= (_AGREEMENT if len(on) > 1 else _AGREEMENT_ALONE))
        # The whole step lies between two rows of pixels: an edge one row beside the border is something else.
        and _SHARP <= float(np.median(touching)) / step <= 1 / _SHARP
        and all(abs(float(np.median(part[0])) - step) <= stray for part in on if part.shape[1] >= _SIDE)
        and all(abs(float(np.median(part[0]))) <= stray for part in off if part.shape[1] >= _SIDE)
    )
