"""Frames in, candidates out: sudden, positive, coherent light, against the usual changes of each camera's blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.candidate import Candidate
from detector.prefilter.background import Background
from detector.prefilter.blocks import Grid, Mask, Polygon, Region, WatchedArea, block_luma
from detector.prefilter.first_light import FirstLight
from detector.prefilter.frame_buffer import FrameBuffer
from detector.prefilter.frame_change import ChangeDetector, FrameChange
from detector.prefilter.learner import SceneLearner
from detector.prefilter.lit_region import Baseline
from detector.prefilter.onset import OnsetDetector
from detector.prefilter.tracker import CandidateTracker, FrameSelection, candidate_id
from detector.settings import PrefilterSettings
from stream import Frame


class Prefilter:
    """The prefilter of one camera: `push` every frame, `flush` at the end.

    Each frame goes through four stages: its change against the background is measured; a change that is an onset opens
    a candidate; an open candidate is tracked to its end; frames without light update the background.

    A candidate comes twice under one id: `open=True` with the frame that makes its onset certain, `open=False` at its
    end; every open one is closed exactly once.
    """

    def __init__(
        self,
        camera: str,
        settings: PrefilterSettings,
        mask: Sequence[Polygon] = (),
        region: Region | None = None,
        *,
        seed: str | None = None,
    ) -> None:
        """Start without frames.

        Args:
            camera: name of the camera, with which the ids of its candidates begin.
            settings: thresholds and times.
            mask: polygons ((x, y), ...) to leave out, in shares 0..1 of the upright frame.
            region: (left, top, right, bottom) to watch, in the same shares.
            seed: identifies the run and the recording, so that ids can be reproduced; None for random ids.
        """
        self._camera = camera
        self._seed = seed
        self._settings = settings
        self._area = WatchedArea(mask, region)
        self._frames = FrameBuffer(settings.step_seconds)
        self._background = Background(step_seconds=settings.step_seconds, memory_seconds=settings.noise_memory_seconds)
        self._changes = ChangeDetector(settings, self._background, self._area)
        self._onsets = OnsetDetector(settings, self._frames)
        self._first_light = FirstLight(settings, self._area, seed)
        self._tracker: CandidateTracker | None = None
        self._learner = SceneLearner(settings, self._background, self._area, self._frames)
        self._change: FrameChange | None = None
        self._previous: FrameKey | None = None

    def push(self, frame: Frame) -> list[Candidate]:
        """Return the candidates that open or close with `frame`."""
        return self.push_grid(frame, block_luma(frame))

    def push_grid(self, frame: Frame, grid: Grid) -> list[Candidate]:
        """Do the same as `push`, with the block luma of `frame` already computed."""
        found = self._cross_edge(frame, grid)
        if self._tracker is not None and self._tracker.has_ended(frame.seconds):
            found += self._close(self._tracker, ended=True)
        change = self._changes.measure(frame.seconds, grid, self._learner.periodic.level(frame.seconds))
        if self._tracker is not None:
            found += self._track(self._tracker, frame, grid, change)
        elif change is not None and self._onsets.is_onset(change) and self._onsets.is_added_light(frame, change):
            found.append(self._open(frame, grid, change))
        else:
            self._learn(frame, grid, change)
        self._remember(frame, grid, change)
        if self._first_light.push(frame, grid, quiet=self.quiet):
            found += self._hindsight()
        return found

    def flush(self) -> list[Candidate]:
        """Close the open candidate at the end of the source."""
        return self._close(self._tracker, cut_off=True) if self._tracker is not None else self._hindsight()

    def _hindsight(self) -> list[Candidate]:
        """Return the flash that was on in the first frame, once it is recognised."""
        found = self._first_light.candidate()
        return [] if found is None else [found]

    @property
    def change(self) -> FrameChange | None:
        """The change of the last frame against the background; None if there was no background."""
        return self._change

    @property
    def quiet(self) -> bool:
        """Whether no candidate is open."""
        return self._tracker is None

    @property
    def watched(self) -> Mask:
        """(rows, columns) blocks that count."""
        return self._area.blocks

    def _cross_edge(self, frame: Frame, grid: Grid) -> list[Candidate]:
        """Close and forget everything that must not be compared with `frame`: another epoch, size or quality."""
        previous, resized = self._previous, grid.shape != self._area.blocks.shape
        if previous is None or resized:
            self._area.fit(grid.shape)
        if previous is None:
            return []
        new_scene = resized or frame.epoch != previous.epoch
        if not new_scene and frame.quality == previous.quality:
            return []
        found = self.flush()
        self._learner.forget(new_scene=new_scene)
        self._onsets.remember(None)
        self._previous = None
        return found

    def _open(self, frame: Frame, grid: Grid, change: FrameChange) -> Candidate:
        """Open a candidate with `frame`."""
        settings = self._settings
        tracker = CandidateTracker(
            candidate_id(self._camera, frame, self._seed),
            FrameSelection(frame, self._frames.reference, self._frames.history),
            Baseline(
                level=change.scene.level,
                threshold=change.scene.threshold,
                watched=self._area.blocks,
                min_blocks=self._area.blocks_in(settings.min_lit_fraction),
                latest=self._background.latest,
            ),
            gap_seconds=settings.gap_seconds,
            max_seconds=settings.max_candidate_seconds,
            frames_before=self._background.remembered,
        )
        tracker.update(frame, grid, change, joins=True)
        self._tracker = tracker
        return tracker.candidate(open_=True)

    def _track(
        self, tracker: CandidateTracker, frame: Frame, grid: Grid, change: FrameChange | None
    ) -> list[Candidate]:
        """Add `frame` to the open candidate, and close that if it is finished."""
        if change is not None:
            # Once it is dark, only an onset lights it again.
            joins = tracker.is_restrike(change) if tracker.light > 0 else self._onsets.is_onset(change)
            tracker.update(frame, grid, change, joins=joins)
            # The pauses of a flash are used, too: a recording may begin in a storm. But only one step after the
            # glow, whose fall is not noise.
            if tracker.calm_from is not None and frame.seconds - tracker.calm_from >= self._settings.step_seconds:
                self._learn(frame, grid, change)
        if not tracker.is_finished(frame.seconds):
            return []
        ended = tracker.has_ended(frame.seconds)
        # Without an end or a plateau, only the limit of its length ends it.
        return self._close(tracker, ended=ended, goes_on=not ended and tracker.plateau_since is None)

    def _close(
        self, tracker: CandidateTracker, *, ended: bool = False, cut_off: bool = False, goes_on: bool = False
    ) -> list[Candidate]:
        self._tracker = None
        return [self._learner.learn_flash(tracker, ended=ended, cut_off=cut_off, goes_on=goes_on)]

    def _learn(self, frame: Frame, grid: Grid, change: FrameChange | None) -> None:
        elapsed = frame.seconds - self._previous.seconds if self._previous is not None else 0.0
        self._learner.learn_frame(frame.seconds, grid, change, elapsed, settled=self.quiet)

    def _remember(self, frame: Frame, grid: Grid, change: FrameChange | None) -> None:
        """Keep the parts of `frame` with which the next ones are compared."""
        self._change = change
        self._onsets.remember(change)
        self._background.remember(frame.seconds, grid)
        self._frames.remember(frame, quiet=self.quiet)
        self._previous = FrameKey(frame.seconds, frame.epoch, frame.quality)


@dataclass(frozen=True, slots=True)
class FrameKey:
    """Facts about the last frame, without keeping it; fields as in `stream.Frame`."""

    seconds: float
    epoch: int
    quality: tuple[str, ...]
