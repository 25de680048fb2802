"""What the scene looked like lately: one whole picture of a moment ago, and a few thin ones of the last second."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from detector.prefilter.blocks import Grid
from detector.prefilter.fine_change import FineChange, change_between, fine_luma
from stream import Frame

# Over a quarter of a second and more, what moves by itself has moved as far as it does during most flashes; four such
# pictures reach about a second back, to whose end hardly any flash lasts.
THIN_SECONDS = 0.25
THIN_COUNT = 4
THIN_ROWS = 180


class FrameBuffer:
    """The whole frame that a new one is compared with, and thin copies that tell what the scene does by itself.

    One whole frame is held, however large it is: that of `span_seconds` ago or, right after a change, of one frame ago,
    which showed too little light for an onset. Thin copies have at most some 180 rows, some 350 KB at 1080p.
    """

    def __init__(self, span_seconds: float) -> None:
        self._span_seconds = span_seconds
        self._thin: deque[Frame] = deque(maxlen=THIN_COUNT)
        self.before: Frame | None = None
        self._fine_before: Grid | None = None

    @property
    def quiet(self) -> tuple[Frame, ...]:
        """Thin copies of the last quiet frames, oldest first."""
        return tuple(self._thin)

    def change_to(self, now: Frame) -> FineChange | None:
        """What differs from `before` to `now`, seen closely; None without a picture of before."""
        if self.before is None:
            return None
        if self._fine_before is None:
            self._fine_before = fine_luma(self.before)
        return change_between(self._fine_before, fine_luma(now))

    def remember(self, frame: Frame, *, quiet: bool) -> None:
        """Keep `frame` if it is due; quiet: no light is on."""
        if self.before is None or frame.seconds - self.before.seconds >= self._span_seconds - 1e-6:
            self._keep(frame)
        if quiet and (not self._thin or frame.seconds - self._thin[-1].seconds >= THIN_SECONDS - 1e-6):
            luma = frame.luma[:: max(1, frame.luma.shape[0] // THIN_ROWS)].copy()
            self._thin.append(replace(frame, luma=luma, color=None))

    def resume(self, seconds: float, before: Frame | None) -> None:
        """Compare what comes after `seconds` with a picture of before the light that is still on."""
        self._keep(None if before is None else replace(before, seconds=seconds))

    def forget(self) -> None:
        """What was seen must not be compared with what comes."""
        self._thin.clear()
        self._keep(None)

    def _keep(self, before: Frame | None) -> None:
        self.before, self._fine_before = before, None


def apart(frames: Sequence[Frame], seconds: float) -> tuple[Frame, Frame] | None:
    """Two of `frames`, the second the last one, whose distance is at least `seconds` or the longest there is."""
    if len(frames) < 2:
        return None
    last = frames[-1]
    far = (frame for frame in reversed(frames[:-1]) if last.seconds - frame.seconds >= seconds - 1e-6)
    return next(far, frames[0]), last
