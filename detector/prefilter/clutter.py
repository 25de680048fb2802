"""Lights that shone alone or roamed lately: insects, drops and headlights, which seldom come singly."""

from collections import deque

import numpy as np

from detector.candidate import Candidate
from stream import load_opencv

cv2 = load_opencv()

# More than a rolling shutter can part: it shows one stroke in two frames at most.
ROAMS = 2.0
# A tenth of the light of its brightest place reaches less of the picture than this: nothing about it glows. An insect
# before the lens, its streak included, covers some hundredths; a stroke lights its cloud, which is larger.
ALONE = 0.09
# Insects stay about a lamp, and traffic about a road, for longer than this.
REMEMBERED_SECONDS = 60.0


class ClutterMemory:
    """Counts the lights of one camera that shone alone or roamed lately."""

    def __init__(self) -> None:
        self._starts: deque[float] = deque()

    def forget(self) -> None:
        """The camera may look elsewhere now."""
        self._starts.clear()

    def add(self, candidate: Candidate) -> int:
        """Remember a light that is over; how many of the last minute before it shone alone or roamed."""
        while self._starts and candidate.start_seconds - self._starts[0] > REMEMBERED_SECONDS:
            self._starts.popleft()
        before = len(self._starts)
        if candidate.roaming > ROAMS or _reach(candidate) < ALONE:
            self._starts.append(candidate.start_seconds)
        return before


def _reach(candidate: Candidate) -> float:
    """Share of the blocks whose rise is a tenth of the highest or more."""
    rise = cv2.blur(candidate.peak_map - candidate.background, (3, 3))
    return float(np.mean(rise > np.float32(0.1) * rise.max()))
