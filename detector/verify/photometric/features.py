"""The features of one candidate, computed when a clue needs them."""

from functools import cached_property

import numpy as np

from detector.candidate import Candidate
from detector.prefilter.blocks import Grid, block_luma
from detector.prefilter.fine_change import FineChange, change, change_between, fine_luma
from detector.prefilter.frame_buffer import spaced_pair
from detector.verify.photometric.added_light import AddedLight, Colours, added_light
from stream import Frame

_COLOUR_SIDE_PIXELS = 160


class CandidateFeatures:
    """The features of a candidate for the clues; each is computed once, on first use.

    Attributes:
        candidate: the candidate itself.
        swarms_before: recent swarms of sparks, as FireworkMemory counts them.
    """

    def __init__(self, candidate: Candidate, swarms_before: float = 0.0) -> None:
        self.candidate = candidate
        self.swarms_before = swarms_before
        self._typical: dict[float, FineChange | None] = {}

    @cached_property
    def at_onset(self) -> FineChange | None:
        """Change from before the flash to its first frame."""
        return self._change(self.candidate.onset)

    @cached_property
    def at_peak(self) -> FineChange | None:
        """Change from before the flash to its brightest frame."""
        return self._change(self.candidate.peak)

    @cached_property
    def at_rest(self) -> FineChange | None:
        """Change from before the flash to the brightest frame after its span; None where nothing outshines it there."""
        return None if self.candidate.rest is None else self._change(self.candidate.rest)

    @cached_property
    def at_half_decay(self) -> FineChange | None:
        """Change from before the flash to when half of its light is gone; None if it went out at once."""
        return None if self.candidate.waning is None else self._change(self.candidate.waning)

    @cached_property
    def after(self) -> FineChange | None:
        """Change from before the flash to after it; None if it never went dark."""
        dark = self.candidate.context.dark_after is not False
        return self._change(self.candidate.after) if dark and self.candidate.after is not None else None

    @cached_property
    def decay_residual(self) -> FineChange | None:
        """Change from after the flash to when half of its light is left; None if it went out at once."""
        after, half = self.candidate.after, self.candidate.waning
        if self.after is None or after is None or half is None:
            return None
        return change(after, half)

    @cached_property
    def stabilised_onset(self) -> tuple[FineChange, float] | None:
        """`at_onset` with the shift of the frame around the light taken back, and the share that shift explains."""
        if self.candidate.onset is self.candidate.peak:
            return self.stabilised_peak
        return None if self.at_onset is None else self.at_onset.stabilised(self.candidate.lit_map)

    @cached_property
    def stabilised_peak(self) -> tuple[FineChange, float] | None:
        """`at_peak` with the shift of the frame around the light taken back, and the share that shift explains."""
        return None if self.at_peak is None else self.at_peak.stabilised(self.candidate.lit_map)

    @cached_property
    def stabilised_rest(self) -> tuple[FineChange, float] | None:
        """`at_rest` with the shift of the frame around the light taken back, and the share that shift explains."""
        return None if self.at_rest is None else self.at_rest.stabilised(self.candidate.lit_map)

    def typical_change(self, now: Frame | None) -> FineChange | None:
        """Return the scene's usual change over the time from before the flash to `now`, or the longest known time."""
        before = self.candidate.before
        if before is None or now is None:
            return None
        pair = spaced_pair(self.candidate.quiet, now.seconds - before.seconds)
        if pair is None:
            return None
        if pair[0].seconds not in self._typical:
            self._typical[pair[0].seconds] = change(*pair)
        return self._typical[pair[0].seconds]

    @cached_property
    def colours(self) -> tuple[Colours, Colours] | None:
        """Small RGB images (rows, columns, 3) of before and peak."""
        return self._colours(self.candidate.peak)

    @cached_property
    def added_lights(self) -> tuple[AddedLight, ...]:
        """Light added to each pixel, at the peak and at half decay, where the images show its colour."""
        pairs = (self.colours, self._colours(self.candidate.waning))
        found = [added_light(*pair) for pair in pairs if pair is not None]
        return tuple(added for added in found if added is not None)

    @cached_property
    def blocks_before(self) -> Grid | None:
        """(rows, columns) block luma right before the flash; None if unknown."""
        return self._blocks(self.candidate.before)

    @cached_property
    def blocks_at_peak(self) -> Grid | None:
        """(rows, columns) block luma of its brightest frame."""
        return self._blocks(self.candidate.peak)

    @cached_property
    def blocks_at_brightest(self) -> Grid | None:
        """(rows, columns) block luma of the frame with the most light, whether in its span or after it."""
        return self._blocks(self.candidate.brightest)

    @cached_property
    def blocks_after(self) -> Grid | None:
        """(rows, columns) block luma after it."""
        return self._blocks(self.candidate.after)

    def _blocks(self, frame: Frame | None) -> Grid | None:
        grid = None if frame is None else block_luma(frame)
        return grid if grid is not None and grid.shape == self.candidate.background.shape else None

    def _colours(self, now: Frame | None) -> tuple[Colours, Colours] | None:
        first = self._colours_before
        if first is None or now is None:
            return None
        second = _colours_of(now)
        return (first, second) if first.shape == second.shape else None

    @cached_property
    def _colours_before(self) -> Colours | None:
        return None if self.candidate.before is None else _colours_of(self.candidate.before)

    def _change(self, frame: Frame) -> FineChange | None:
        before = self.candidate.before
        if before is None or self._fine_before is None or before.luma.shape != frame.luma.shape:
            return None
        return change_between(self._fine_before, fine_luma(frame))

    @cached_property
    def _fine_before(self) -> Grid | None:
        return None if self.candidate.before is None else fine_luma(self.candidate.before)


def _colours_of(frame: Frame) -> Colours:
    return frame.rgb(_COLOUR_SIDE_PIXELS).astype(np.float32)
