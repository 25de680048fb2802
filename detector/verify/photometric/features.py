"""One candidate, and what its pictures say once somebody asks."""

from functools import cached_property

import numpy as np

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid, block_luma
from detector.prefilter.fine_change import FineChange, change
from detector.prefilter.frame_buffer import spaced_pair
from detector.verify.photometric.added_light import AddedLight, Colours, added_light
from stream import Frame

_COLOUR_SIDE = 160


class CandidateFeatures:
    """What the clues look at; everything is made once, when first asked for.

    swarms_before: as detector.verify.photometric.fireworks counts them.
    """

    def __init__(self, candidate: Candidate, swarms_before: float = 0.0) -> None:
        self.candidate = candidate
        self.swarms_before = swarms_before
        self._usual: dict[float, FineChange | None] = {}

    @cached_property
    def at_onset(self) -> FineChange | None:
        """From before the flash to its first frame."""
        return self._change(self.candidate.onset)

    @cached_property
    def at_peak(self) -> FineChange | None:
        """From before the flash to its brightest frame."""
        return self._change(self.candidate.peak)

    @cached_property
    def steady_onset(self) -> tuple[FineChange, float] | None:
        """From before to the first frame with the picture moved back around the light; the share that this explains."""
        if self.candidate.onset is self.candidate.peak:
            return self.steady_peak
        return None if self.at_onset is None else self.at_onset.stabilised(self.candidate.lit_map)

    @cached_property
    def steady_peak(self) -> tuple[FineChange, float] | None:
        """The same to the brightest frame."""
        return None if self.at_peak is None else self.at_peak.stabilised(self.candidate.lit_map)

    @cached_property
    def waning(self) -> FineChange | None:
        """From before the flash to when half of its light is gone; None where it went out at once."""
        return None if self.candidate.waning is None else self._change(self.candidate.waning)

    @cached_property
    def afterwards(self) -> FineChange | None:
        """From before the flash to after it; None where it never went dark."""
        dark = self.candidate.context.dark_after is not False
        return self._change(self.candidate.after) if dark and self.candidate.after is not None else None

    @cached_property
    def left_over(self) -> FineChange | None:
        """What half of the light adds to the picture as it is after the flash; None where it went out at once."""
        after, waning = self.candidate.after, self.candidate.waning
        if self.afterwards is None or after is None or waning is None:
            return None
        return change(after, waning)

    def usual(self, now: Frame | None) -> FineChange | None:
        """What the scene changes by itself in the time from before the flash to `now`, or the longest that is known."""
        before = self.candidate.before
        if before is None or now is None:
            return None
        pair = spaced_pair(self.candidate.quiet, now.seconds - before.seconds)
        if pair is None:
            return None
        if pair[0].seconds not in self._usual:
            self._usual[pair[0].seconds] = change(*pair)
        return self._usual[pair[0].seconds]

    @cached_property
    def colours(self) -> tuple[Colours, Colours] | None:
        """Small RGB pictures (rows, columns, 3) of before and peak."""
        return self._colours(self.candidate.peak)

    @cached_property
    def added_lights(self) -> tuple[AddedLight, ...]:
        """What was added to each place, at the peak and when half of the light is gone, where these show its colour."""
        pairs = (self.colours, self._colours(self.candidate.waning))
        found = [added_light(*pair) for pair in pairs if pair is not None]
        return tuple(added for added in found if added is not None)

    @cached_property
    def blocks_before(self) -> Grid | None:
        """(rows, columns) block luma right before the flash; None where that is not known."""
        return self._blocks(self.candidate.before)

    @cached_property
    def blocks_at_peak(self) -> Grid | None:
        """The same of its brightest frame."""
        return self._blocks(self.candidate.peak)

    @cached_property
    def blocks_after(self) -> Grid | None:
        """The same of after it."""
        return self._blocks(self.candidate.after)

    def _blocks(self, frame: Frame | None) -> Grid | None:
        grid = None if frame is None else block_luma(frame)
        return grid if grid is not None and grid.shape == self.candidate.background.shape else None

    def _colours(self, now: Frame | None) -> tuple[Colours, Colours] | None:
        before = self.candidate.before
        if before is None or now is None:
            return None
        pictures = [frame.rgb(_COLOUR_SIDE).astype(np.float32) for frame in (before, now)]
        return (pictures[0], pictures[1]) if pictures[0].shape == pictures[1].shape else None

    def _change(self, frame: Frame) -> FineChange | None:
        before = self.candidate.before
        return None if before is None else change(before, frame)
