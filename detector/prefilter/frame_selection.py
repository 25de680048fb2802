"""The frames of a flash that verifiers and people look at, whichever end its light turns out to have."""

import copy
from dataclasses import dataclass
from typing import Any

from detector.prefilter.fine_change import fine_luma
from detector.prefilter.structure import structure_of
from stream import Frame

# The glare that hides what burns in it is gone, and what burns is still there, when so much of the light is left.
WANED_SHARE = 0.5
# The frame "after" is taken this long into the dark: the last glow is gone, and clouds have hardly moved.
AFTER_SECONDS = 0.15
# A frame shows clearly more than the brightest one where its lines stand out so much more, and by so many levels.
CLEARER_FACTOR = 1.25
CLEARER_LEVELS = 4.0
# Strokes jump: few frames of a flash outshine all before them by as much. Of light that grows, these many are kept.
MOST_PEAKS, JUMP = 4, 1.25


@dataclass(slots=True)
class _Peak:
    """A lit frame that outshone all before it.

    Attributes:
        frame: the frame itself.
        light: its light, levels times blocks.
        structure: as `structure_of` gives it.
        waning: the first lit frame after it with half its light or less, or None.
    """

    frame: Frame
    light: float
    structure: float
    waning: Frame | None = None


@dataclass(frozen=True, slots=True)
class SpanFrames:
    """The frames of one span of light; fields as in `Candidate`."""

    peak: Frame
    waning: Frame | None
    clear: Frame | None
    after: Frame | None
    rest: Frame | None
    structure: float


class FrameSelection:
    """Keeps frames of an open candidate, so that any earlier end of its light still finds its own.

    Attributes:
        onset: the first frame of the flash.
        reference: a frame from right before it, or None.
        history: thin frames of the last second before it.
    """

    def __init__(self, onset: Frame, reference: Frame | None, history: tuple[Frame, ...]) -> None:
        self.onset = onset
        self.reference = reference
        self.history = history
        self._peaks: list[_Peak] = []
        self._clear: list[tuple[Frame, float]] = []
        self._after: Frame | None = None
        self._last = onset
        self._newest: tuple[Frame, float] | None = None
        self._dark = None if reference is None else fine_luma(reference)

    def update(self, frame: Frame, light: float, dark_from: float | None, over_from: float | None = None) -> None:
        """Take in one frame.

        Args:
            frame: the frame.
            light: its light, levels times blocks.
            dark_from: seconds since when it is dark; None where it is lit.
            over_from: as `dark_from`, but lights too weak to belong to the flash count as dark.
        """
        self._last = frame
        over_from = dark_from if over_from is None else over_from
        if over_from is None:
            self._after = None
        elif self._after is None or (dark_from is not None and frame.seconds - over_from <= AFTER_SECONDS):
            self._after = frame
        if dark_from is not None:
            return
        structure = self._structure(frame)
        if not self._clear or structure > self._clear[-1][1]:
            self._clear.append((frame, structure))
            _thin_out(self._clear, [one[1] for one in self._clear])
        if not self._peaks or light > self._peaks[-1].light:
            self._peaks.append(_Peak(frame, light, structure))
            _thin_out(self._peaks, [one.light for one in self._peaks])
        elif self._peaks[-1].waning is None and light <= WANED_SHARE * self._peaks[-1].light:
            self._peaks[-1].waning = frame

    def _structure(self, frame: Frame) -> float:
        """Return `structure_of` a frame, made once for this selection and its copies."""
        if self._newest is None or self._newest[0] is not frame:
            self._newest = frame, structure_of(frame, self._dark)
        return self._newest[1]

    def copy(self) -> "FrameSelection":
        """Return a selection that goes on by itself; the frames are the same."""
        made = copy.copy(self)
        made._peaks, made._clear = [copy.copy(one) for one in self._peaks], list(self._clear)  # noqa: SLF001
        return made

    def until(self, last_seconds: float) -> SpanFrames:
        """Return the frames of the light that was last seen at `last_seconds`: what came later is none of its own."""
        peaks = [one for one in self._peaks if one.frame.seconds <= last_seconds]
        best = peaks[-1] if peaks else _Peak(self.onset, 0.0, 0.0)
        clear = [one for one in self._clear if one[0].seconds <= last_seconds]
        enough = max(CLEARER_FACTOR * best.structure, best.structure + CLEARER_LEVELS)
        clearest = clear[-1] if clear and clear[-1][1] >= enough else None
        return SpanFrames(
            peak=best.frame,
            # It may lie after the span: what burns on when the glare is gone.
            waning=best.waning,
            clear=None if clearest is None else clearest[0],
            # While it is lit, the last one stands for what comes after.
            after=self._after or (self._last if self._last is not best.frame else None),
            rest=self._peaks[-1].frame if peaks and len(peaks) < len(self._peaks) else None,
            structure=best.structure if clearest is None else clearest[1],
        )


def _thin_out(kept: list[Any], rising: list[float]) -> None:
    """Leave out one of `kept`, whose values are `rising`: noise on the last one, or, of too many, the least jump."""
    if len(kept) > 2 and rising[-1] <= JUMP * rising[-3]:
        del kept[-2]
    elif len(kept) > MOST_PEAKS:
        del kept[min(range(len(kept) - 1), key=lambda n: rising[n + 1] / max(rising[n], 1e-9))]
