"""The closer look at an onset: is what changed light, seen five times finer than blocks?"""

import numpy as np

from detector.prefilter.fine_change import change
from detector.prefilter.frame_buffer import FrameBuffer, apart
from detector.prefilter.frame_change import FrameChange
from stream import Frame

# Motion brightens a twentieth of the picture at once, hardly ever a tenth: between these a light comes to need less
# purity, by so much in the end.
_MOTION_AREAS, _LESS_PURE = (0.05, 0.1), 0.1


def is_added_light(
    pictures: FrameBuffer, frame: Frame, look: FrameChange, *, purity: float, span_seconds: float
) -> bool:
    """Whether hardly anything got darker around what rose in `frame`, motion of scene and camera allowed for.

    Asked only when the blocks see an onset, and of a picture that moves only when all else says no: it takes longest.

    purity: share of rises in all changes that a small light needs; span_seconds: over which light is sudden.
    """
    closer = pictures.change_to(frame)
    rise = float(look.step[look.sudden].mean())
    stir = None if closer is None else closer.change_balance(look.sudden, rise)
    if closer is None or stir is None:
        return True
    area = look.sudden_blocks / max(1.0, float(np.count_nonzero(look.scene.watched)))
    least = purity - float(np.interp(area, _MOTION_AREAS, (0.0, _LESS_PURE)))
    if stir.positivity() >= least:
        return True
    pair = apart(pictures.quiet, span_seconds)
    usual = None if pair is None else change(*pair)
    if usual is not None and stir.beyond(usual.change_balance(look.sudden, rise)).positivity() >= least:
        return True
    # A camera that moves, or a sky that turns, darkens as much as it brightens, until the picture is moved back.
    left = closer.stabilised(look.sudden)[0].change_balance(look.sudden, rise)
    return left is not None and left.positivity() >= least
