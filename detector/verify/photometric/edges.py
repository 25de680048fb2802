"""Candidates that cannot be confirmed: the end was not seen, too few frames show the light, or it is two lights."""

import numpy as np

from detector.candidate import SLOW_SECONDS, Candidate
from detector.verify.photometric.pulse_decay import UNLIKE, are_two_lights

# Light that has not yet fallen by a fifth may be a lamp that was just switched on.
LEAST_FALL = 0.2
SLOW = "its frames are too far apart to show how it came and went"
CUT_OFF = "the recording ended before it went out"


def why_unsure(candidate: Candidate) -> str | None:
    """Return why `candidate` must stay `unverified`, however similar to lightning; None if it may be confirmed."""
    if candidate.frame_interval >= SLOW_SECONDS:
        return SLOW
    if are_two_lights(candidate):
        return UNLIKE
    return CUT_OFF if candidate.context.cut_off and largest_fall(candidate) < LEAST_FALL else None


def largest_fall(candidate: Candidate) -> float:
    """Return the largest fall of its light after a peak, 0..1, even if it rose again: lamps do not flicker."""
    rise = candidate.curve.rise
    top = np.maximum.accumulate(rise) if len(rise) else rise
    fallen = np.divide(top - rise, top, out=np.zeros_like(top), where=top > 0)
    return float(fallen.max(initial=0.0))
