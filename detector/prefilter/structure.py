"""Structure of the added light of a frame: a channel is thin and bright, a lit cloud is neither."""

import numpy as np

from detector.prefilter.blocks import Grid
from detector.prefilter.fine_change import fine_luma
from stream import Frame, load_opencv

cv2 = load_opencv()

# On a grid of 320 by 180, a channel with its glow is one or two pixels wide, the edge of a cloud far more.
_CHANNEL_SIDE = 5
# A channel from cloud to ground over a third of the height covers about this share.
_CHANNEL_SHARE = 0.004
_SATURATED_LEVELS = 250.0


def structure_of(frame: Frame, before: Grid | None) -> float:
    """Return how far the thin bright lines of the added light stand out, in levels; less for a washed-out frame.

    Lightning only adds light; motion makes as many dark lines as bright ones, which cancel.

    Args:
        frame: a lit frame.
        before: `fine_luma` of a frame without the light; None if there is none.
    """
    now = fine_luma(frame)
    if before is None or before.shape != now.shape:
        lines = _lines(now)
    else:
        added = cv2.subtract(now, before)
        bright, dark = _lines(added), _lines(-added)
        lines = bright * (bright - dark) / max(bright + dark, 1.0)
    unsaturated = 1.0 - float(np.count_nonzero(now >= _SATURATED_LEVELS)) / now.size
    return unsaturated * max(0.0, lines)


def _lines(added: Grid) -> float:
    """Return how far the thin bright lines of the positive part of `added` stand out, levels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_CHANNEL_SIDE, _CHANNEL_SIDE))
    lines = cv2.morphologyEx(np.maximum(added, np.float32(0)), cv2.MORPH_TOPHAT, kernel).ravel()
    best = max(1, int(lines.size * _CHANNEL_SHARE))
    # Few stand out that far, and the fewer there are to sort, the faster it is.
    high = lines[lines > 3 * cv2.mean(lines)[0]]
    lines = high if high.size >= best else lines
    return float(np.partition(lines, lines.size - best)[-best:].mean())
