"""Second stage: whether a change is the onset of a flash, by blocks first and then by fine detail."""

import numpy as np

from detector.prefilter import fine_change
from detector.prefilter.frame_buffer import FrameBuffer, spaced_pair
from detector.prefilter.frame_change import FrameChange
from detector.settings import PrefilterSettings
from stream import Frame

# Lightning is sudden wherever it is seen. Where light grows slowly, chance alone makes a few of its blocks jump.
MIN_SIMULTANEOUS_SHARE = 0.5
# Motion brightens a twentieth of the frame at once, hardly ever a tenth: between these areas the purity that a light
# needs falls by so much.
_MOTION_AREAS, _LESS_PURE = (0.05, 0.1), 0.1


class OnsetDetector:
    """Decides whether a frame's change is the onset of a flash."""

    def __init__(self, settings: PrefilterSettings, frames: FrameBuffer) -> None:
        self._settings = settings
        self._frames = frames
        self._before: FrameChange | None = None

    def remember(self, change: FrameChange | None) -> None:
        """Keep the change of this frame for the next one; None where frames must not be compared."""
        self._before = change

    def is_onset(self, change: FrameChange) -> bool:
        """Return whether enough blocks rose, suddenly and together, and hardly any fell."""
        return (
            not change.calm
            and change.sudden_blocks >= change.least_blocks
            and change.positivity >= self._settings.min_positivity
            and change.suddenness(self._before) >= MIN_SIMULTANEOUS_SHARE
        )

    def is_added_light(self, frame: Frame, change: FrameChange) -> bool:
        """Return whether hardly anything got darker around what rose in `frame`, five times finer than blocks.

        Asked only about an onset; motion of scene and camera is allowed for, the costliest test last.
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
        # A camera that moves, or a sky that turns, darkens as much as it brightens, until the frame is shifted back.
        left = closer.stabilised(change.sudden)[0].change_balance(change.sudden, rise)
        return left is not None and left.positivity() >= least
