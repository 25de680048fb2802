"""Frames of the last second: one whole reference frame, and a history of thin ones."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from detector.prefilter.blocks import Grid
from detector.prefilter.fine_change import FineChange, change_between, fine_luma
from stream import Frame

# In a quarter of a second, objects move as far as during most flashes; four such frames reach about a second back,
# longer than nearly all flashes.
THIN_SECONDS = 0.25
THIN_COUNT = 4
THIN_ROWS = 180


class FrameBuffer:
    """The whole frame that a new one is compared with, and thin copies that show the scene's usual changes.

    Attributes:
        reference: the whole frame of `span_seconds` ago or, right after a change, the previous frame, which had too
            little light for an onset; None after an epoch change. No other whole frame is kept.
    """

    def __init__(self, span_seconds: float) -> None:
        self._span_seconds = span_seconds
        self._thin: deque[Frame] = deque(maxlen=THIN_COUNT)
        self.reference: Frame | None = None
        self._fine_reference: Grid | None = None

    @property
    def history(self) -> tuple[Frame, ...]:
        """Thin copies of the last quiet frames, oldest first: about 180 rows each, 350 KB at 1080p."""
        return tuple(self._thin)

    def change_to(self, now: Frame) -> FineChange | None:
        """Return the fine change from `reference` to `now`; None without a reference."""
        if self.reference is None:
            return None
        if self._fine_reference is None:
            self._fine_reference = fine_luma(self.reference)
        return change_between(self._fine_reference, fine_luma(now))

    def remember(self, frame: Frame, *, quiet: bool) -> None:
        """Keep `frame` if it is due.

        Args:
            frame: the newest frame.
            quiet: whether no candidate is open, so that the frame may enter `history`.
        """
        if self.reference is None or frame.seconds - self.reference.seconds >= self._span_seconds - 1e-6:
            self._keep(frame)
        if quiet and (not self._thin or frame.seconds - self._thin[-1].seconds >= THIN_SECONDS - 1e-6):
            luma = frame.luma[:: max(1, frame.luma.shape[0] // THIN_ROWS)].copy()
            self._thin.append(replace(frame, luma=luma, color=None))

    def resume(self, seconds: float, reference: Frame | None) -> None:
        """Compare frames after `seconds` with `reference`, from before a light that is still on."""
        self._keep(None if reference is None else replace(reference, seconds=seconds))

    def forget(self) -> None:
        """Forget all frames, because they must not be compared with later ones."""
        self._thin.clear()
        self._keep(None)

    def _keep(self, reference: Frame | None) -> None:
        self.reference, self._fine_reference = reference, None


def spaced_pair(frames: Sequence[Frame], seconds: float) -> tuple[Frame, Frame] | None:
    """Return one of `frames` and the last one, at least `seconds` apart or as far as possible; None if there is one."""
    if len(frames) < 2:
        return None
    last = frames[-1]
    far = (frame for frame in reversed(frames[:-1]) if last.seconds - frame.seconds >= seconds - 1e-6)
    return next(far, frames[0]), last
