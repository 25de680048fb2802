"""Whether lost or wrong data alone could have made a light."""

import numpy as np

from detector.candidate import Candidate
from detector.verify.photometric.block_edges import broke_apart
from detector.verify.photometric.lost_detail import loses_detail

# Damage fills a part of one frame and spreads from there with motion; light is everywhere at once. Damage alone never
# lit more than 0.46 of the frame (HEVC decoded past a gap).
MIN_SIMULTANEOUS_SHARE = 0.5
# A rolling shutter shows the upper and the lower part of one stroke in two frames, and strokes take time to grow.
SIMULTANEOUS_SECONDS = 0.1
# Right after a loss, bright frames of a flash may alternate with dark ones: fewer do not show which is the scene.
MIN_FRAMES_BEFORE = 3


def may_be_damage(candidate: Candidate) -> bool:
    """Return whether a candidate may be damage itself: its frames look so, or are known to be damaged.

    Of the latter, where too few frames before it are known, or where less than half of the frame lit up at once. A
    light that begins small and grows over the frame may be damage with lightning in it: its time would be wrong.
    """
    if not candidate.quality:
        return _looks_damaged(candidate)
    if candidate.context.frames_before < MIN_FRAMES_BEFORE:
        return True
    curve = candidate.curve
    since_onset = curve.seconds - candidate.start_seconds
    first = curve.lit_fraction[(since_onset > -1e-6) & (since_onset < SIMULTANEOUS_SECONDS)]
    simultaneous = float(np.max(first, initial=0.0)) * candidate.context.watched_share
    return simultaneous < MIN_SIMULTANEOUS_SHARE or _looks_damaged(candidate)


def _looks_damaged(candidate: Candidate) -> bool:
    """Return whether its frames show damage of which no decoder complained."""
    return broke_apart(candidate) or loses_detail(candidate)
