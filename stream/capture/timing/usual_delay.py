"""The usual delay of frames on their way: a longer delay may mean that a clock is wrong."""

import math
from collections import deque

_BUCKET_SECONDS = 0.5
_RECENT_SECONDS = 5.0  # left out, so that a delay is not compared with itself; reports come as often
_FRAMES = 4
_MEMORY_SECONDS = 60.0


class UsualDelay:
    """The longest delay of frames in the last minute without the last five seconds.

    On a quiet network frames are delayed by milliseconds, so a camera that begins to deliver fewer frames than it
    stamps is noticed at once; on a network with jitter the same delay means nothing.
    """

    def __init__(self) -> None:
        self._longest: deque[tuple[float, float]] = deque()
        self._last: deque[tuple[float, float]] = deque(maxlen=_FRAMES)

    def clear(self) -> None:
        """Forget all delays, because the clock that measured them was set."""
        self._longest.clear()
        self._last.clear()

    def excess(self, came: float, delay: float) -> float:
        """Note a frame that arrived at `came`, in monotonic seconds, after `delay` seconds.

        The excess is 0 unless the last frames were all delayed as much, and do not catch up: after a stall of the
        network or of a busy host each frame comes less late than the one before.

        Returns:
            seconds by which the delay exceeds the usual one.
        """
        if not self._longest or came - self._longest[-1][0] >= _BUCKET_SECONDS:
            self._longest.append((came, delay))
        elif delay > self._longest[-1][1]:
            self._longest[-1] = self._longest[-1][0], delay
        while self._longest[0][0] < came - _MEMORY_SECONDS:
            self._longest.popleft()
        usual = max((most for when, most in self._longest if when < came - _RECENT_SECONDS), default=math.inf)
        self._last.append((delay, delay - usual))
        catching_up = delay < self._last[0][0]
        if len(self._last) < _FRAMES or catching_up:
            return 0.0
        return max(0.0, min(unusual for _, unusual in self._last))
