"""The few pictures of a moment ago that a new one is compared with."""

from collections import deque

from stream import Frame


class RecentPictures:
    """The few frames of the last `span_seconds` that a new one is compared with; never more than four."""

    def __init__(self, span_seconds: float) -> None:
        self._span_seconds = span_seconds
        self._frames: deque[Frame] = deque()

    def before(self, seconds: float) -> Frame | None:
        """The newest frame that is at least `span_seconds` older than `seconds`, else the oldest one kept."""
        found = self._frames[0] if self._frames else None
        for frame in self._frames:
            if frame.seconds <= seconds - self._span_seconds + 1e-6:
                found = frame
        return found

    def remember(self, frame: Frame) -> None:
        """Keep `frame` if it is not too close to the one kept last: at 240 fps every one would be too many."""
        if self._frames and frame.seconds - self._frames[-1].seconds < self._span_seconds / 3 - 1e-6:
            return
        self._frames.append(frame)
        while len(self._frames) > 1 and self._frames[1].seconds <= frame.seconds - self._span_seconds + 1e-6:
            self._frames.popleft()

    def forget(self) -> None:
        """What was seen must not be compared with what comes."""
        self._frames.clear()
