"""Frames in, candidates out: sudden, positive, coherent light, against the usual changes of each camera's blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.candidate import Candidate
from detector.prefilter import parting
from detector.prefilter.background import Background
from detector.prefilter.blocks import Grid, Mask, Polygon, Region, WatchedArea, block_luma
from detector.prefilter.first_light import FirstLight
from detector.prefilter.frame_buffer import FrameBuffer
from detector.prefilter.frame_change import ChangeDetector, FrameChange
from detector.prefilter.frame_selection import FrameSelection
from detector.prefilter.learner import SceneLearner
from detector.prefilter.lit_region import Baseline
from detector.prefilter.onset import OnsetDetector
from detector.prefilter.parting import Parting
from detector.prefilter.tracker import CandidateTracker, candidate_id
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
        self._lights: list[CandidateTracker] = []
        # How the light that is open would be told as two; None where that is not in question.
        self._parting: Parting | None = None
        self._learner = SceneLearner(settings, self._background, self._area, self._frames)
        self._change: FrameChange | None = None
        self._previous: FrameKey | None = None

    def push(self, frame: Frame) -> list[Candidate]:
        """Return the candidates that open or close with `frame`."""
        return self.push_grid(frame, block_luma(frame))

    def push_grid(self, frame: Frame, grid: Grid) -> list[Candidate]:
        """Do the same as `push`, with the block luma of `frame` already computed."""
        found = [*self._cross_edge(frame, grid), *self._decide(frame.seconds)]
        ended = [one for one in self._lights if one.has_ended(frame.seconds)]
        found += [self._close(tracker, ended=True) for tracker in ended]
        change = self._changes.measure(frame.seconds, grid, self._learner.periodic.level(frame.seconds))
        if self._lights:
            found += self._track(frame, grid, change)
        elif change is not None and self._onsets.is_onset(change) and self._onsets.is_added_light(frame, change):
            found.append(self._open(frame, grid, change))
        elif frame.rebased and self._background.rebase(grid):
            self._frames.resume(frame.seconds, frame)
        else:
            self._learn(frame, grid, change)
        self._remember(frame, grid, change)
        if self._first_light.push(frame, grid, quiet=self.quiet):
            found += self._hindsight()
        return found

    def flush(self) -> list[Candidate]:
        """Close the open candidate at the end of the source."""
        if self.quiet:
            return self._hindsight()
        found = self._decide(self._lights[0].last_seconds, final=True)
        return found + [self._close(tracker, cut_off=True) for tracker in tuple(self._lights)]

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
        return not self._lights

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
        tracker = self._tracker(frame, grid, change)
        self._lights = [tracker]
        return tracker.candidate(open_=True)

    def _tracker(self, frame: Frame, grid: Grid, change: FrameChange) -> CandidateTracker:
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
        return tracker

    def _track(self, frame: Frame, grid: Grid, change: FrameChange | None) -> list[Candidate]:
        """Add `frame` to the open candidates, and close those that are finished."""
        found = [] if change is None else self._take_in(frame, grid, change)
        for tracker in [one for one in self._lights if one.is_finished(frame.seconds)]:
            ended = tracker.has_ended(frame.seconds)
            # Without an end or a plateau, only the limit of its length ends it.
            found.append(self._close(tracker, ended=ended, goes_on=not ended and tracker.plateau_since is None))
        return found

    def _take_in(self, frame: Frame, grid: Grid, change: FrameChange) -> list[Candidate]:
        """Add `frame` to the open candidates, each with what is its own; return one that opens beside another."""
        found: list[Candidate] = []
        if self._parting is not None:
            self._add_apart((self._parting.first, self._parting.second), frame, grid, change)
        elif len(self._lights) == 1:
            self._parting = self._part(self._lights[0], frame, grid, change)
        if len(self._lights) == 1:
            self._add(self._lights[0], frame, grid, change)
        else:
            self._add_apart(self._lights, frame, grid, change)
        found += self._decide(frame.seconds)
        # The pauses of a flash teach too: a storm may be on when a recording begins. But not before the glow is a step
        # behind: its fall is no noise.
        calm = [tracker.calm_from for tracker in self._lights]
        if all(since is not None and frame.seconds - since >= self._settings.step_seconds for since in calm):
            self._learn(frame, grid, change)
        return found

    def _part(self, first: CandidateTracker, frame: Frame, grid: Grid, change: FrameChange) -> Parting | None:
        """Return the open candidate and another light that rises beside it, as if they were two; None if it is one."""
        lamps = self._learner.periodic
        part = parting.part_of_another(first, change, frame.seconds, lamps)
        new = None if part is None else change.within(part.blocks)
        if part is None or new is None or not self._onsets.is_onset(new):
            return None
        if not self._onsets.is_added_light(frame, new):
            return None
        lights = (first.copy(), self._tracker(frame, grid, new))
        lights[1].known_lamp = lamps.knows(frame.seconds, change.sudden, change.step)
        parting.leave_to_smaller(lights)
        if lights[0].region.most_lit >= lights[1].region.most_lit:
            # While a larger light shines, a smaller one takes in nothing.
            self._add(lights[0], frame, grid, change.within(~part.blocks))
        return Parting(*lights, part)

    def _decide(self, seconds: float, *, final: bool = False) -> list[Candidate]:
        """Tell the open candidate as two once it is known that it is, and return the one that opens."""
        if self._parting is None:
            return []
        final = final or self._lights[0].is_finished(seconds)
        apart, pair = self._parting.verdict(seconds, final=final), self._parting
        if apart is None:
            return []
        self._parting = None
        if not apart:
            return []
        self._lights = [pair.first, pair.second]
        return [pair.second.candidate(open_=True)]

    def _add_apart(self, lights: Sequence[CandidateTracker], frame: Frame, grid: Grid, change: FrameChange) -> None:
        for tracker, own in parting.shares(lights, change, frame.seconds):
            self._add(tracker, frame, grid, own)

    def _add(self, tracker: CandidateTracker, frame: Frame, grid: Grid, change: FrameChange) -> None:
        """Add `frame` to one candidate, of whose light `change` is."""
        # Once it is dark, only an onset lights it again.
        joins = tracker.is_restrike(change) if tracker.light > 0 else self._onsets.is_onset(change)
        tracker.update(frame, grid, change, joins=joins)

    def _close(
        self, tracker: CandidateTracker, *, ended: bool = False, cut_off: bool = False, goes_on: bool = False
    ) -> Candidate:
        self._lights.remove(tracker)
        return self._learner.learn_flash(tracker, ended=ended, cut_off=cut_off, goes_on=goes_on, alone=self.quiet)

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
