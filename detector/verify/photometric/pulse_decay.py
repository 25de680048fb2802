"""How fast the pulses of a candidate go out: strokes within a frame or two, fireworks in tenths of a second."""

import numpy as np

from detector.candidate import Candidate
from detector.events import Pulse

# Half of a stroke's light is gone in milliseconds, and of continuing current between its bumps in less than a tenth of
# a second. What burns takes longer: stars of fireworks burn for one to three seconds.
STROKE_SECONDS, BURNING_SECONDS = 0.1, 0.2
# Weaker pulses may be ghosts of a codec, or the flicker of a last glow.
_STRONG = 0.1
UNLIKE = "some of it burned out slowly, some went out at once: they may be two lights, and one of them lightning"


def half_lives(candidate: Candidate) -> list[tuple[Pulse, float]]:
    """Return the strong pulses, each with the seconds for which it kept half of its light from its peak on."""
    curve = candidate.curve
    since = curve.seconds - candidate.start_seconds + 1e-6
    strongest = max((pulse.rise_levels for pulse in candidate.pulses), default=0.0)
    found = []
    for pulse in candidate.pulses:
        first, last = np.searchsorted(since, (pulse.offset_seconds, pulse.offset_seconds + pulse.duration_seconds))
        if pulse.rise_levels < _STRONG * strongest or first == last:
            continue
        peak = first + int(np.argmax(curve.rise[first:last]))
        kept = curve.rise[peak:last] > 0.5 * curve.rise[peak]
        count = len(kept) if kept.all() else int(np.argmin(kept))
        found.append((pulse, float(curve.seconds[peak + count - 1] - curve.seconds[peak])))
    return found


def are_two_lights(candidate: Candidate) -> bool:
    """Return whether it burned out slowly in half of its pulses or more, and went out at once in others.

    The current of one stroke may go on for long, and that of the next not, but both light the same cloud: of two pulses
    the places decide.
    """
    if candidate.frame_interval > STROKE_SECONDS:
        return False
    lives = half_lives(candidate)
    slow = [pulse for pulse, seconds in lives if seconds >= BURNING_SECONDS]
    fast = [pulse for pulse, seconds in lives if seconds < STROKE_SECONDS]
    if not fast or not slow or len(slow) < len(lives) / 2:
        return False
    return len(slow) > 1 or any(_are_apart(slow[0], pulse) for pulse in fast)


def _are_apart(one: Pulse, other: Pulse) -> bool:
    """Return whether the cores of two pulses have nothing in common."""
    if one.box is None or other.box is None:
        return False
    return any(one.box[n + 2] <= other.box[n] or other.box[n + 2] <= one.box[n] for n in (0, 1))
