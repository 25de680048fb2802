"""Frames in, candidates out: sudden, positive, coherent light, judged by what each camera's blocks do by themselves."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.prefilter.background import LONGEST_LOOK_SECONDS, Background, BackgroundEstimate
from detector.prefilter.blocks import Grid, block_luma
from detector.prefilter.clutter import ClutterMemory
from detector.prefilter.frame_buffer import FrameBuffer
from detector.prefilter.frame_change import SUDDEN_SHARE, FrameChange
from detector.prefilter.onset import is_added_light
from detector.prefilter.recurrence import PeriodicLights, repetition
from detector.prefilter.region import Polygon, Region, watched_blocks
from detector.prefilter.scene import Thresholds
from detector.prefilter.tracker import Baseline, CandidateTracker
from detector.settings import PrefilterSettings
from stream import Frame

# Lightning is sudden wherever it is seen. Where light grows slowly, chance alone makes a few of its blocks jump.
TOGETHER_SHARE = 0.5
# What the scene does by itself (blocks that jump, what gets darker) is no evidence up to this many times its average:
# about the spread of such counts, which come in clusters.
RESTLESS_FACTOR = 2.0
# Rain and traffic that make more blocks jump than so many times the smallest light (1 % of the picture) are rare, but
# lightning is often larger than the five times as much that is asked for then.
RESTLESS_MOST = 2
# It is looked at so often: an average over seconds needs no more, and a frame that is looked at costs three others.
RESTLESS_SECONDS = 0.2
# A new stroke adds at least this share of the light that is there already.
RESTRIKE_SHARE = 0.2
# Cameras take this long to undo what a bright flash did to their exposure.
AFTERMATH_SECONDS = 2.5
# Exposure darkens all that is not black already; a lamp that goes out with the flash, or what moves, darkens less.
DIPPED_SHARE = 0.2


class Prefilter:
    """Watches one camera: `push` every frame, `flush` at the end.

    A candidate comes twice under one id: `open=True` with the frame that makes its onset sure, `open=False` when it is
    over; every open one is closed exactly once.

    mask: polygons ((x, y), ...) in 0..1 of the upright picture that are not watched.
    region: (left, top, right, bottom) in 0..1 that alone is watched.
    """

    def __init__(
        self, camera: str, settings: PrefilterSettings, mask: Sequence[Polygon] = (), region: Region | None = None
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._mask = tuple(mask)
        self._region = region
        self._watched: NDArray[np.bool_] = np.zeros((0, 0), np.bool_)
        self._watched_blocks = 0
        self._background = Background(step_seconds=settings.step_seconds, memory_seconds=settings.noise_memory_seconds)
        self._habits = PeriodicLights()
        self._company = ClutterMemory()
        self._aftermath: ExposureRecovery | None = None
        self._moment: CandidateTracker | None = None
        self._last_look: FrameChange | None = None
        self._look_before: FrameChange | None = None
        self._previous: Stamp | None = None
        self._pictures = FrameBuffer(settings.step_seconds)
        self._restless_seconds = -LONGEST_LOOK_SECONDS

    def push(self, frame: Frame) -> list[Candidate]:
        """Candidates that open or close with `frame`."""
        return self.push_grid(frame, block_luma(frame))

    def push_grid(self, frame: Frame, grid: Grid) -> list[Candidate]:
        """As `push`, with the block luma of `frame` already made."""
        found = self._cross_edges(frame, grid)
        if self._moment is not None and self._moment.dark_since(frame.seconds):
            found += self._close()
        self._look_before = self._last_look
        look = self._last_look = self._look(frame, grid)
        if self._moment is not None:
            found += self._follow(self._moment, frame, grid, look)
        elif look is not None and self._is_onset(look) and self._is_added_light(frame, look):
            found.append(self._open(frame, grid, look))
        else:
            self._learn(frame, grid, look)
        self._background.remember(frame.seconds, grid)
        self._previous = Stamp(frame.seconds, frame.epoch, frame.quality)
        self._pictures.remember(frame, quiet=self.quiet)
        return found

    @property
    def look(self) -> FrameChange | None:
        """What the last frame showed against the background; None where there was nothing to compare with."""
        return self._last_look

    @property
    def quiet(self) -> bool:
        """Whether no candidate is open."""
        return self._moment is None

    @property
    def watched(self) -> NDArray[np.bool_]:
        """(rows, columns) blocks that count."""
        return self._watched

    def flush(self) -> list[Candidate]:
        """The end of the source: what is still open, closed."""
        return self._close(cut_off=True) if self._moment is not None else []

    def _cross_edges(self, frame: Frame, grid: Grid) -> list[Candidate]:
        """Forget what must not be compared with `frame`: another epoch, size or quality."""
        previous, resized = self._previous, grid.shape != self._watched.shape
        if previous is None or resized:
            self._watched = watched_blocks(grid.shape, self._mask, self._region)
            self._watched_blocks = int(np.count_nonzero(self._watched))
        if previous is None:
            return []
        new_scene = resized or frame.epoch != previous.epoch
        if not new_scene and frame.quality == previous.quality:
            return []
        found = self.flush()
        self._background.restart(forget_noise=new_scene)
        self._aftermath = None
        if new_scene:
            self._habits.forget()
            self._company.forget()
        self._pictures.forget()
        self._previous = self._last_look = None
        return found

    def _look(self, frame: Frame, grid: Grid) -> FrameChange | None:
        background = self._background
        known, latest = background.known(frame.seconds), background.latest
        if known is None or latest is None:
            return None
        # Noise learnt from a few frames is only a guess, and cameras settle their exposure after opening.
        strict = 1.0 + max(0.0, 1.0 - background.age_seconds / self._settings.warm_up_seconds)
        scene = self._scene(known, frame.seconds, strict)
        # Where the scene by itself makes blocks jump in every picture (stars, rain, water), light must exceed that.
        least_blocks = self._min_blocks(strict) + RESTLESS_FACTOR * background.restless_blocks
        # Of most frames no more need be known than that hardly a block rose, whatever its threshold.
        lowest = latest if known.recent is latest else np.minimum(known.recent, latest)
        look = FrameChange(
            grid=grid,
            earlier=known.recent,
            scene=scene,
            least_blocks=least_blocks,
            usual=background.stir * RESTLESS_FACTOR,
            most_blocks=int(np.count_nonzero(grid - lowest > SUDDEN_SHARE * scene.least_rise)),
        )
        if not look.calm and look.sudden_blocks < look.least_blocks <= look.above_blocks:
            # A stroke after a dark picture, where one of a moment ago showed the stroke before it.
            return look.since(latest)
        return look

    def _scene(self, known: BackgroundEstimate, seconds: float, strict: float) -> Thresholds:
        """strict: how much more than usual is asked for while little is known."""
        settings, aftermath = self._settings, self._aftermath
        if aftermath is not None and seconds >= aftermath.until:
            self._aftermath = None
        return Thresholds(
            known,
            recovering=None if aftermath is None else aftermath.level,
            habit=self._habits.threshold(seconds),
            watched=self._watched,
            least_rise=settings.min_rise_levels * strict,
            noise_factor=settings.noise_factor * strict,
            swing_factor=settings.swing_factor,
        )

    def _min_blocks(self, strict: float = 1.0) -> int:
        # One block alone may be a hot pixel or an insect, however small the watched part is.
        return max(2, round(self._settings.min_lit_fraction * strict * self._watched_blocks))

    def _is_onset(self, look: FrameChange) -> bool:
        return (
            not look.calm
            and look.sudden_blocks >= look.least_blocks
            and look.positivity >= self._settings.min_positivity
            and look.suddenness(self._look_before) >= TOGETHER_SHARE
        )

    def _is_added_light(self, frame: Frame, look: FrameChange) -> bool:
        settings = self._settings
        return is_added_light(
            self._pictures,
            frame,
            look,
            purity=settings.min_fine_positivity,
            span_seconds=settings.step_seconds,
        )

    def _open(self, frame: Frame, grid: Grid, look: FrameChange) -> Candidate:
        ground = Baseline(
            level=look.scene.level,
            threshold=look.scene.threshold,
            noise=look.scene.noise,
            watched=self._watched,
            min_blocks=self._min_blocks(),
            gap_seconds=self._settings.gap_seconds,
        )
        moment = CandidateTracker(
            candidate_id(self._camera, frame),
            frame,
            self._pictures.before,
            self._pictures.quiet,
            ground,
            frames_before=self._background.remembered,
        )
        moment.take(frame, grid, look, joins=True)
        self._moment = moment
        return moment.candidate(open_=True)

    def _follow(self, moment: CandidateTracker, frame: Frame, grid: Grid, look: FrameChange | None) -> list[Candidate]:
        if look is not None:
            moment.take(frame, grid, look, joins=self._joins(moment, look))
            self._learn_in_the_dark(moment, frame, grid, look)
        settings = self._settings
        if not moment.over(frame.seconds, max_seconds=settings.max_candidate_seconds):
            return []
        # Neither dark nor steady: only the bound on its length ends it.
        return self._close(goes_on=moment.stays_since is None)

    def _learn(self, frame: Frame, grid: Grid, look: FrameChange | None) -> None:
        elapsed = frame.seconds - self._previous.seconds if self._previous is not None else 0.0
        settled = self._moment is None and self._aftermath is None
        background = self._background
        background.learn(frame.seconds, grid, look.earlier if look else None, elapsed, settled=settled)
        since = frame.seconds - self._restless_seconds
        if look is not None and background.noise is not None and since >= RESTLESS_SECONDS - 1e-6:
            self._restless_seconds = frame.seconds
            # More is no restlessness: a storm that flickers all over the picture must not make blind for it.
            blocks = min(look.sudden_blocks, RESTLESS_MOST * self._min_blocks())
            # Beyond the noise that this picture is part of: the scene does no more than that by itself.
            stir = look.stir_beyond(background.noise)
            background.learn_restlessness(blocks, stir, min(since, LONGEST_LOOK_SECONDS))

    def _joins(self, moment: CandidateTracker, look: FrameChange) -> bool:
        """Whether the rise of this moment is light of the open flash: while it is lit, a weaker onset is enough.

        Falls do not speak against it, unless they end below what was there before: other parts of the flash are going
        out meanwhile. Nor does what is darker than before but fell earlier: the flash may have lowered the exposure.
        """
        if moment.light == 0:
            return self._is_onset(look)  # out already: nothing falls, and nothing less than an onset lights it again
        # Beside light that is sure already, half the blocks are proof enough, but not a glint or two.
        enough = self._min_blocks() / 2
        if (look.calm and look.most_blocks < enough) or look.sudden_blocks < enough:
            return False
        # While it is bright already, only a marked step is a new stroke: what drifts or moves adds a little each frame,
        # and what moves darkens as much as it brightens, where noise and codec darken a fifth of that at most.
        gained = float(look.step[look.sudden].sum())
        if gained < RESTRIKE_SHARE * moment.light:
            return False
        fallen = self._watched & (np.maximum(look.step, look.rise) < -moment.ground.threshold)
        return gained >= 0.8 * (gained - float(look.rise[fallen].sum()))

    def _learn_in_the_dark(self, moment: CandidateTracker, frame: Frame, grid: Grid, look: FrameChange) -> None:
        """The pauses of a flash teach what each block does by itself: a storm may be on when a recording begins.

        Not before the glow is a step behind: its fall is no noise.
        """
        dark_from = moment.dark_from
        if dark_from is not None and frame.seconds - dark_from >= self._settings.step_seconds:
            self._learn(frame, grid, look)

    def _watch_recovery(self, moment: CandidateTracker) -> None:
        """After a flash that lowered the exposure: much of the picture is darker now than before it."""
        latest = self._background.latest
        if latest is None:
            return
        # In so many blocks half of what counts as lit is beyond noise, and may look like light when it comes back.
        darker = latest < moment.ground.level - np.float32(0.5) * moment.ground.threshold
        if np.count_nonzero(darker & self._watched) >= DIPPED_SHARE * np.count_nonzero(self._watched):
            self._aftermath = ExposureRecovery(moment.ground.level, moment.samples[-1].seconds + AFTERMATH_SECONDS)

    def _close(self, *, cut_off: bool = False, goes_on: bool = False) -> list[Candidate]:
        moment, self._moment = self._moment, None
        if moment is None:
            return []
        if moment.dark_from is None:
            self._background.restart(forget_noise=False)
        if goes_on:
            # A storm without an end: what comes next is measured against the same ground.
            now = moment.samples[-1].seconds
            self._pictures.resume(now, moment.before)
            if moment.dark_from is None:
                self._background.resume(now, moment.ground.level)
                self._aftermath = ExposureRecovery(moment.ground.level, now + AFTERMATH_SECONDS)
        closed = moment.candidate(open_=False, cut_off=cut_off)
        clutter, repeats = self._company.add(closed), None
        if not cut_off:
            self._watch_recovery(moment)
            rise = closed.peak_map - closed.background
            keeps_time = repetition(closed.curve.rise_while_lit) or 0.0
            repeats = self._habits.add(
                closed.start_seconds, closed.lit_map, rise, keeps_time, within=closed.onset.duration
            )
        context = replace(closed.context, recent_clutter=clutter, periodic_repeats=repeats)
        return [replace(closed, context=context)]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What must be known of the last frame without holding its picture; see stream.Frame."""

    seconds: float
    epoch: int
    quality: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExposureRecovery:
    """The time after a flash, when the exposure that it lowered comes back.

    level: (rows, columns) before the flash. A rise to what was there before is recovery, not light.
    """

    level: Grid
    until: float


def candidate_id(camera: str, frame: Frame) -> str:
    """A name for a candidate that starts with `frame`, unique over cameras and runs."""
    if frame.utc is None:
        when = f"{frame.seconds:.3f}s"
    else:
        when = datetime.fromtimestamp(frame.utc, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    return f"{camera}-{when}-{secrets.token_hex(2)}"
