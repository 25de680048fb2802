"""Light that is on in a recording's first frame: recognised only after it has gone out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detector.candidate import Candidate
from detector.prefilter.background import BackgroundEstimate, MedianBackground, Thresholds
from detector.prefilter.blocks import Grid, WatchedArea
from detector.prefilter.frame_buffer import THIN_ROWS
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.frame_selection import FrameSelection
from detector.prefilter.lit_region import Baseline
from detector.prefilter.tracker import CandidateTracker, candidate_id
from detector.settings import PrefilterSettings
from stream import Frame

# Light that remains after twice the longest pause within a flash is the scene.
_WINDOW_GAPS = 2.0
# The scene is estimated from these last frames; fewer do not give its noise.
_SCENE_SHARE, _SCENE_FRAMES = 0.4, 4
# A light without a visible onset must be large and clear, and go out in a step: exposure settles gradually.
_CAUTION = 2.0
_CLUTTER_FACTOR = 4.0  # more blocks than rain and traffic light in any frame of the scene
_FALLEN_SHARE = 0.5
_FALL_SECONDS = 0.09  # one more frame may show a last glow


class FirstLight:
    """Watch the beginning of one source, since a recorder may start a file in the middle of a flash."""

    def __init__(self, settings: PrefilterSettings, area: WatchedArea, seed: str | None = None) -> None:
        self._settings = settings
        self._seed = seed
        self._area = area
        self._frames: list[tuple[Frame, Grid]] = []
        self._done = False

    def push(self, frame: Frame, grid: Grid, *, quiet: bool) -> bool:
        """Take the next frame.

        Args:
            frame: the frame.
            grid: (rows, columns) block luma of the frame.
            quiet: whether no candidate is open; an onset that is seen needs no second look.

        Returns:
            whether it is time to ask for `candidate`.
        """
        if self._done:
            return False
        first = self._frames[0][0] if self._frames else frame
        changed = frame.epoch != first.epoch or bool(frame.quality) or grid.shape != self._area.blocks.shape
        if changed or not quiet:
            self._done, self._frames = True, []
            return False
        self._frames.append((frame if frame is first else _thin(frame), grid))
        return frame.seconds - first.seconds >= _WINDOW_GAPS * self._settings.gap_seconds

    def candidate(self) -> Candidate | None:
        """Return the light of the first frame as a closed candidate, if it was a flash; call it once."""
        frames, self._frames, self._done = self._frames, [], True
        scene = round(_SCENE_SHARE * len(frames))
        if scene < _SCENE_FRAMES:
            return None
        grids = [grid for _, grid in frames]
        change = self._change(grids[0], grids[-scene:])
        if change.sudden_blocks < change.least_blocks or change.positivity < self._settings.min_positivity:
            return None
        usual = max(int(np.count_nonzero(self._change(grid, grids[-scene:]).above)) for grid in grids[-scene:])
        if change.sudden_blocks < _CLUTTER_FACTOR * usual:
            return None
        if not self._fell_in_a_step(frames, change):
            return None
        return self._tracked(frames, change)

    def _change(self, grid: Grid, scene: Sequence[Grid], earlier: Grid | None = None) -> FrameChange:
        level: Grid = np.median(np.stack(scene), axis=0).astype(np.float32)
        # The median deviation: rain that hits a block once is not noise.
        noise: Grid = 1.5 * np.median(np.abs(np.stack(scene) - level), axis=0).astype(np.float32)
        settings = self._settings
        known = BackgroundEstimate(MedianBackground((level,)), level, level, noise, np.zeros_like(noise))
        thresholds = Thresholds(
            known,
            recovery_level=None,
            periodic_level=None,
            watched=self._area.blocks,
            least_rise=settings.min_rise_levels * _CAUTION,
            noise_factor=settings.noise_factor * _CAUTION,
            swing_factor=settings.swing_factor,
        )
        least = self._area.blocks_in(settings.min_lit_fraction * _CAUTION)
        return FrameChange(grid, level if earlier is None else earlier, thresholds, least_blocks=least)

    @staticmethod
    def _fell_in_a_step(frames: Sequence[tuple[Frame, Grid]], change: FrameChange) -> bool:
        lit, level = change.sudden, change.scene.level
        light = [float((grid - level)[lit].mean()) for _, grid in frames]
        seconds = [frame.seconds for frame, _ in frames]
        for start in range(len(frames)):
            for end in range(start + 1, len(frames)):
                if end > start + 1 and seconds[end] - seconds[start] > _FALL_SECONDS:
                    break
                if light[start] - light[end] >= _FALLEN_SHARE * max(light):
                    return True
        return False

    def _tracked(self, frames: Sequence[tuple[Frame, Grid]], first: FrameChange) -> Candidate | None:
        settings, scene = self._settings, first.scene
        tracker = CandidateTracker(
            candidate_id(frames[0][0].camera, frames[0][0], self._seed),
            FrameSelection(frames[0][0], None, ()),
            Baseline(
                level=scene.level,
                threshold=scene.threshold,
                watched=self._area.blocks,
                min_blocks=self._area.blocks_in(settings.min_lit_fraction),
            ),
            gap_seconds=settings.gap_seconds,
            max_seconds=settings.max_candidate_seconds,
            frames_before=0,
        )
        earlier: Grid | None = None
        for frame, grid in frames:
            if earlier is not None and tracker.has_ended(frame.seconds):
                break
            change = first if earlier is None else replace(first, grid=grid, earlier=earlier)
            tracker.update(frame, grid, change, joins=earlier is None or tracker.is_restrike(change))
            earlier = grid
        return tracker.candidate(open_=False) if tracker.dark_from is not None else None


def _thin(frame: Frame) -> Frame:
    luma = frame.luma[:: max(1, frame.luma.shape[0] // THIN_ROWS)].copy()
    return replace(frame, luma=luma, color=None)
