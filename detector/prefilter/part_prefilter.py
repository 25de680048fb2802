"""The prefilter of a part of a recording."""

import math

from detector.candidate import Candidate
from detector.prefilter.background import BACKGROUND_SAMPLES, CLUTTER_SECONDS, SPAN_SECONDS
from detector.prefilter.frame_buffer import THIN_SECONDS
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.level_memory import SAMPLE_SECONDS
from detector.prefilter.prefilter import Prefilter
from detector.settings import PrefilterSettings
from stream import Frame

_ALIGN_SECONDS = 10.0  # at most left out, of what is read before a part; 210 frames at 25 a second


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
        self._step_seconds = settings.step_seconds
        self._begin: float | None = None  # time of the first frame, while frames are left out
        self._aligned = False

    def push(self, frame: Frame) -> list[Candidate]:
        """Return the candidates of the part that open or close with `frame`."""
        self._inside = self._start <= frame.seconds < self._end
        self._aligned = self._aligned or self._inside or self._is_aligned(frame)
        return self._own(super().push(frame)) if self._aligned else []

    def flush(self) -> list[Candidate]:
        """Close the open candidate at the end of what is read."""
        return self._own(super().flush())

    @property
    def change(self) -> FrameChange | None:
        """The change of the last frame; None if there was no background, or the frame is outside the part."""
        return super().change if self._inside else None

    def _own(self, found: list[Candidate]) -> list[Candidate]:
        return [one for one in found if self._start <= one.start_seconds < self._end]

    def _is_aligned(self, frame: Frame) -> bool:
        """Return whether a prefilter that begins here samples the same frames as one of the whole, at a steady rate."""
        self._begin = frame.seconds if self._begin is None else self._begin
        intervals = (
            self._step_seconds,
            SPAN_SECONDS / BACKGROUND_SAMPLES,
            CLUTTER_SECONDS,
            THIN_SECONDS,
            SAMPLE_SECONDS,
        )
        period = math.lcm(*(math.ceil((seconds - 1e-3) / frame.duration) for seconds in intervals))
        number = round((frame.seconds - self._first_seconds) / frame.duration)
        return number % period == 0 or frame.seconds - self._begin >= _ALIGN_SECONDS
