"""The prefilter of a part of a recording."""

from detector.candidate import Candidate
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.prefilter import Prefilter
from detector.settings import PrefilterSettings
from stream import Frame

ALIGNED_FRAMES = 60
"""Prefilters sample every so many frames, six at most: begun after a multiple of these, both sample the same frames."""


class PartPrefilter(Prefilter):
    """A prefilter whose candidates are those that begin in its part; it learns from the frames around it, too."""

    def __init__(
        self,
        camera: str,
        settings: PrefilterSettings,
        span: tuple[float, float],
        first_seconds: float = 0.0,
        *,
        seed: str | None = None,
    ) -> None:
        """Start without frames.

        Args:
            camera: see `Prefilter`.
            settings: see `Prefilter`.
            span: (start, end) of the part: a candidate that begins at `start` or later, before `end`, is passed on.
            first_seconds: time of the first frame of the recording, which need not be pushed.
            seed: see `Prefilter`.
        """
        super().__init__(camera, settings, seed=seed)
        self._start, self._end = span
        self._first_seconds = first_seconds
        self._inside = False
        self._left_out: int | None = 0  # None: it has begun

    def push(self, frame: Frame) -> list[Candidate]:
        """Return the candidates of the part that open or close with `frame`."""
        self._inside = self._start <= frame.seconds < self._end
        if self._left_out is not None:
            number = round((frame.seconds - self._first_seconds) / frame.duration)
            # At a varying rate, frames have no numbers that could be met.
            if not self._inside and number % ALIGNED_FRAMES and self._left_out < ALIGNED_FRAMES:
                self._left_out += 1
                return []
            self._left_out = None
        return self._own(super().push(frame))

    def flush(self) -> list[Candidate]:
        """Close the open candidate at the end of what is read."""
        return self._own(super().flush())

    @property
    def change(self) -> FrameChange | None:
        """The change of the last frame; None if there was no background, or the frame is outside the part."""
        return super().change if self._inside else None

    def _own(self, found: list[Candidate]) -> list[Candidate]:
        return [one for one in found if self._start <= one.start_seconds < self._end]
