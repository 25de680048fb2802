"""Second stage: decide whether a change is the onset of a flash, by blocks first and then by fine detail."""

import numpy as np

from detector.prefilter import fine_change
from detector.prefilter.frame_buffer import FrameBuffer, spaced_pair
from detector.prefilter.frame_change import FrameChange
from detector.settings import PrefilterSettings
from stream import Frame

# Lightning is sudden in all its blocks. If light grows slowly, a few of its blocks jump by chance.
MIN_SIMULTANEOUS_SHARE = 0.5
# Motion often brightens a twentieth of the frame at once, rarely a tenth: between these areas the required positivity
# falls by this much.
_MOTION_AREAS, _LESS_PURE = (0.05, 0.1), 0.1


class OnsetDetector:
    """Decide whether a frame's change is the onset of a flash."""

    def __init__(self, settings: PrefilterSettings, frames: FrameBuffer) -> None:
        self._settings = settings
        self._frames = frames
        self._before: FrameChange | None = None

    def remember(self, change: FrameChange | None) -> None:
        """Keep the change of this frame for the next one; None if frames must not be compared."""
        self._before = change

    def is_onset(self, change: FrameChange) -> bool:
        """Return whether enough blocks rose, suddenly and together, and few fell."""
        return (
            not change.calm
            and change.sudden_blocks >= change.least_blocks
            and change.positivity >= self._settings.min_positivity
            and change.suddenness(self._before) >= MIN_SIMULTANEOUS_SHARE
        )

    def is_added_light(self, frame: Frame, change: FrameChange) -> bool:
        """Return whether nearly all change around the risen blocks in `frame` is rise, five times finer than blocks.

        Used only for an onset; motion of scene and camera is compensated, with the most expensive test last.
        """
        closer = self._frames.change_to(frame)
        rise = float(change.step[change.sudden].mean())
        balance = None if closer is None else closer.change_balance(change.sudden, rise)
        if closer is None or balance is None:
            return True
        area = change.sudden_blocks / max(1.0, float(np.count_nonzero(change.scene.watched)))
        least = self._settings.min_fine_positivity - float(np.interp(area, _MOTION_AREAS, (0.0, _LESS_PURE)))
        if balance.positivity() >= least:
            return True
        pair = spaced_pair(self._frames.history, self._settings.step_seconds)
        usual = None if pair is None else fine_change.change(*pair)
        if usual is not None and balance.beyond(usual.change_balance(change.sudden, rise)).positivity() >= least:
            return True
        # A moving camera or turning sky darkens as much as it brightens, until the shift is undone.
        left = closer.stabilised(change.sudden)[0].change_balance(change.sudden, rise)
        return left is not None and left.positivity() >= least
