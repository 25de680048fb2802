"""Whether lost packets alone could have made a light seen in damaged frames."""

import numpy as np

from detector.candidate import Candidate

# Damage fills a part of one frame and creeps from there along with what moves; light is everywhere at once. Damage
# alone has never been seen to light more than 0.46 of the frame (HEVC decoded past a hole).
MIN_SIMULTANEOUS_SHARE = 0.5
# A rolling shutter shows the upper and the lower part of one stroke in two frames, and strokes take time to grow.
SIMULTANEOUS_SECONDS = 0.1
# Right after a loss, bright frames of a flash may alternate with dark ones: fewer do not show which is the scene.
MIN_FRAMES_BEFORE = 3


def may_be_damage(candidate: Candidate) -> bool:
    """Return whether a candidate in damaged frames may be the damage itself.

    True where too few frames before it are known, or where less than half of the frame lit up at once. A light that
    begins small and grows over the frame may be damage with lightning in it: its time would be wrong.
    """
    if not candidate.quality:
        return False
    if candidate.context.frames_before < MIN_FRAMES_BEFORE:
        return True
    curve = candidate.curve
    since_onset = curve.seconds - candidate.start_seconds
    first = curve.lit_fraction[(since_onset > -1e-6) & (since_onset < SIMULTANEOUS_SECONDS)]
    return float(np.max(first, initial=0.0)) * candidate.context.watched_share < MIN_SIMULTANEOUS_SHARE
