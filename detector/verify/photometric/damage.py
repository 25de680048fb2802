"""Whether lost packets alone could have made a light that was seen in damaged pictures."""

import numpy as np

from detector.candidate import Candidate

# Damage is where packets are missing: it fills a part of one picture, and creeps from there along with what moves.
# Light is everywhere at once. More than half of the picture has never been seen to light up by damage alone (0.46 at
# most, by HEVC decoded past a hole).
MOST_OF_THE_PICTURE = 0.5
# A rolling shutter shows the upper and the lower part of one stroke in two pictures, and strokes take a moment to grow.
AT_ONCE_SECONDS = 0.1
# Right after a loss bright pictures of a flash may alternate with dark ones: so few pictures do not tell which is the
# scene.
PICTURES_BEFORE = 3


def may_be_damage(candidate: Candidate) -> bool:
    """Whether its pictures are marked as damaged, and little is known of before or not most of it lit up at once.

    A light that begins small and grows over the picture may be damage with lightning in it: its time would be wrong.
    """
    if not candidate.quality:
        return False
    if candidate.context.frames_before < PICTURES_BEFORE:
        return True
    curve = candidate.curve
    since = curve.seconds - candidate.start_seconds
    first = curve.lit_fraction[(since > -1e-6) & (since < AT_ONCE_SECONDS)]
    return float(np.max(first, initial=0.0)) * candidate.context.watched_share < MOST_OF_THE_PICTURE
