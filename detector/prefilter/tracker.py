"""Third stage: one open candidate: the blocks that it lit, its frames, and its end."""

import copy
import secrets
from datetime import UTC, datetime
from hashlib import blake2s
from itertools import groupby, pairwise, takewhile

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate, CandidateContext
from detector.prefilter.blocks import Grid
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.frame_selection import FrameSelection
from detector.prefilter.light_curve import (
    LightTrace,
    PlateauDetector,
    Sample,
    curve_of,
    pulses_of,
    trim_plateau,
)
from detector.prefilter.lit_region import Baseline, LitRegion
from detector.prefilter.quantile import quantile
from detector.prefilter.recurrence import BLINKS, SAME_STRENGTH
from stream import Frame

# A new pulse adds at least this share of the current light.
RESTRIKE_SHARE = 0.2
# No stroke shines for so many frames, and so long, at one level or on a way through the frame.
RUN_FRAMES, RUN_SECONDS = 4, 0.1
# Nor grows for so long.
SWELL_SECONDS = 0.2
# A lamp's frames are within this share of the middle one, so many of them; an insect lights so many times its size.
EVEN_SHARE, EVEN_FRAMES_SHARE, TRAVELLED = 0.1, 0.8, 2.0


class CandidateTracker:
    """One open candidate: call `update` with every frame until `is_finished`, then take `candidate(open_=False)`.

    Attributes:
        baseline: the levels that the flash is measured against.
        frames: the kept frames.
        start_seconds: time of its onset.
        region: the blocks that it lit.
        risen_seconds: time of the newest frame in which light of it rose suddenly.
        frame_seconds: duration of its first frame.
        known_lamp: whether it is a lamp that shone before.
    """

    def __init__(
        self,
        name: str,
        frames: FrameSelection,
        baseline: Baseline,
        *,
        gap_seconds: float,
        max_seconds: float,
        frames_before: int = 3,
    ) -> None:
        """Open a candidate.

        Args:
            name: id of the candidate.
            frames: its onset and the frames before.
            baseline: the levels that it is measured against.
            gap_seconds: a flash is over when it has been dark for this long.
            max_seconds: longest duration of a candidate.
            frames_before: number of frames with which its onset could be compared.
        """
        self.baseline = baseline
        self.frames = frames
        self._name = name
        self._gap_seconds = gap_seconds
        self._max_seconds = max_seconds
        self._frames_before = frames_before
        self.start_seconds = frames.onset.seconds
        self.region = LitRegion(baseline)
        self.risen_seconds = self.start_seconds
        self.frame_seconds = frames.onset.duration
        self.known_lamp = False
        self._trace = LightTrace()
        self._plateau = PlateauDetector(self._trace, self.start_seconds)
        self._quality: set[str] = set()

    def copy(self) -> "CandidateTracker":
        """Return a candidate of the same name that goes on by itself: one of two ways in which it may be told."""
        made = copy.copy(self)
        made.region, made.frames = copy.copy(self.region), self.frames.copy()
        made._trace = self._trace.copy()  # noqa: SLF001
        made._plateau = self._plateau.copy(made._trace)  # noqa: SLF001
        made._quality = set(self._quality)  # noqa: SLF001
        return made

    @property
    def light(self) -> float:
        """Light of the last frame, levels times blocks; 0 while dark."""
        return self._trace.light

    @property
    def is_no_stroke(self) -> bool:
        """Whether a small light shone as no stroke does, however weak: evenly, blinking, or on its way."""
        return self.is_lamp or self.travelled

    @property
    def is_lamp(self) -> bool:
        """Whether it shone as a lamp does, of whatever size: evenly, blinking, or as one that shone before."""
        return self.known_lamp or self.shone_evenly or self.blinked

    @property
    def shone_evenly(self) -> bool:
        """Whether it shone for a tenth of a second or more without a pause, about as brightly all the time: a lamp."""
        lights = self._longest_run()
        middle = quantile(lights) if len(lights) else 0.0
        even = np.abs(lights - middle) <= EVEN_SHARE * middle
        return bool(len(lights) and even.mean() >= EVEN_FRAMES_SHARE)

    @property
    def blinked(self) -> bool:
        """Whether it came three times or more, about as brightly each time."""
        runs = groupby(self._trace.samples, key=lambda sample: sample.lit)
        tops = [max(sample.light for sample in run) for lit, run in runs if lit]
        return len(tops) >= BLINKS and max(tops) <= (1 + SAME_STRENGTH) * min(tops)

    @property
    def travelled(self) -> bool:
        """Whether it shone as long without a pause in one place after the other: an insect."""
        return len(self._longest_run()) > 0 and self.region.size >= TRAVELLED * self.region.most_lit

    @property
    def swelled(self) -> bool:
        """Whether it grew for a fifth of a second or more, step by step: headlights that come nearer."""
        runs = (list(run) for lit, run in groupby(self._trace.samples, key=lambda sample: sample.lit) if lit)
        return any(_swells(run) for run in runs)

    def _longest_run(self) -> NDArray[np.float64]:
        """Return the light of its longest lit run but for the two ends of it; nothing if that is short."""
        runs = [list(run) for lit, run in groupby(self._trace.samples, key=lambda sample: sample.lit) if lit]
        run = max(runs, key=len, default=[])
        long = len(run) >= RUN_FRAMES and run[-1].seconds + run[-1].duration - run[0].seconds >= RUN_SECONDS - 1e-6
        return np.array([sample.light for sample in run[1:-1]] if long else [], np.float64)

    @property
    def last_seconds(self) -> float:
        """Time of the last frame."""
        return self._trace.samples[-1].seconds

    @property
    def dark_from(self) -> float | None:
        """Seconds since when it is dark; None while it is lit."""
        return self._trace.dark_from

    @property
    def calm_from(self) -> float | None:
        """Seconds since when it is dark or only a steady remainder shines; None while there is more light."""
        return self._plateau.faint_since if self.dark_from is None else self.dark_from

    @property
    def _remainder_since(self) -> float | None:
        """Seconds since when the remaining light does not belong to the flash; None while it does."""
        last, faint_since = self._trace.samples[-1], self._plateau.faint_since
        if faint_since is not None and last.seconds + last.duration - faint_since >= self._gap_seconds - 1e-6:
            return faint_since
        return self.plateau_since

    @property
    def plateau_since(self) -> float | None:
        """Seconds since when the light is a plateau; None while it is not."""
        return self._plateau.since

    def is_restrike(self, change: FrameChange) -> bool:
        """Return whether a rise while the flash is lit belongs to it; a weaker onset is enough then.

        Falls do not count against it, unless they end below the baseline: other parts of the flash go out meanwhile.
        Nor do places below the baseline that fell earlier: the flash may have lowered the exposure.
        """
        # Beside certain light, half the blocks are enough, but not one or two glints.
        enough = self.baseline.min_blocks / 2
        if (change.calm and change.most_blocks < enough) or change.sudden_blocks < enough:
            return False
        # Drift and motion add a little in each frame: only a clear step is a new pulse. Motion darkens as much as it
        # brightens, while noise and codec darken a fifth of that at most.
        gained = float(change.step[change.sudden].sum())
        if gained < RESTRIKE_SHARE * self.light:
            return False
        fallen = self.baseline.watched & (np.maximum(change.step, change.rise) < -self.baseline.threshold)
        return gained >= 0.8 * (gained - float(change.rise[fallen].sum()))

    def update(self, frame: Frame, grid: Grid, change: FrameChange, *, joins: bool) -> None:
        """Add one frame; it is lit while enough of the suddenly lit blocks are above their threshold.

        Args:
            frame: the frame.
            grid: (rows, columns) its block luma.
            change: its change against the background.
            joins: whether the sudden rise in it belongs to this flash, too.
        """
        trace = self._trace
        if joins:
            self.risen_seconds = frame.seconds
        found = self.region.update(grid, change.sudden if joins else None, change.scene.watched)
        trace.add(
            Sample(
                seconds=frame.seconds,
                duration=frame.duration,
                light=found.light,
                peak_rise=found.peak_rise,
                blocks=found.blocks,
                positivity=change.positivity if joins else 0.0,
                centroid=found.centroid,
                lit=found.blocks >= self.baseline.min_blocks and trace.glows(found.light, joins=joins),
                overlap=found.overlap,
                core=found.core,
                core_centroid=found.core_centroid,
            )
        )
        self.frames.update(frame, found.light, trace.dark_from, trace.over_from)
        self._plateau.update(joins=joins)
        self._quality.update(frame.quality)

    def has_ended(self, seconds: float) -> bool:
        """Return whether it has been dark for `gap_seconds`, so that light at `seconds` is another flash.

        A faint remainder counts as dark, and so does a weak rise that did not become a pulse.
        """
        return any(
            since is not None and seconds - since >= self._gap_seconds - 1e-6
            for since in (self._plateau.faint_since, self._over_from(seconds))
        )

    def _over_from(self, seconds: float) -> float | None:
        """Return since when no light is visible beside the flash; None while a weak rise may become a pulse.

        A weak rise within `gap_seconds` is waited for until it is dark.
        """
        trace = self._trace
        if trace.over_from is None:
            return None
        joins = trace.over_from < trace.run_from < trace.over_from + self._gap_seconds
        return None if joins and trace.flickers(seconds) else trace.over_from

    def is_finished(self, seconds: float) -> bool:
        """Return whether it has ended, is a plateau, or has lasted `max_seconds`."""
        stays = self.plateau_since is not None
        return self.has_ended(seconds) or stays or seconds - self.start_seconds >= self._max_seconds

    def candidate(self, *, open_: bool, cut_off: bool = False) -> Candidate:
        """Return the candidate with the facts so far.

        Args:
            open_: whether the candidate continues.
            cut_off: whether the source or its epoch ended first.
        """
        region, frames = self.region, self.frames
        samples = trim_plateau(self._trace.samples, self._remainder_since)
        lit = [sample for sample in samples if sample.lit] or samples[:1]
        cut = [was.seconds for was, now in zip(self._trace.samples, samples, strict=True) if was.lit and not now.lit]
        watched = max(1, int(np.count_nonzero(self.baseline.watched)))
        brightest = max(lit, key=lambda sample: sample.light)
        chosen = frames.until(lit[-1].seconds)
        return Candidate(
            id=self._name,
            camera=frames.onset.camera,
            open=open_,
            start_seconds=self.start_seconds,
            peak_seconds=brightest.seconds,
            end_seconds=lit[-1].seconds + lit[-1].duration,
            pulses=pulses_of(samples, region.size, self.start_seconds),
            peak_rise_levels=brightest.peak_rise,
            lit_fraction=max(sample.blocks for sample in lit) / watched,
            box=region.box,
            centroid=brightest.centroid,
            curve=curve_of(samples, region.size, watched),
            background=self.baseline.level,
            peak_map=region.peak_map.copy(),
            lit_map=region.mask.copy(),
            onset=frames.onset,
            peak=chosen.peak,
            clear=chosen.clear,
            before=frames.reference,
            quiet=frames.history,
            waning=chosen.waning,
            after=chosen.after,
            rest=chosen.rest,
            structure=chosen.structure,
            quality=tuple(sorted(self._quality)),
            context=CandidateContext(
                frames_before=self._frames_before,
                watched_share=float(self.baseline.watched.mean()),
                dark_after=self._trace.went_dark,
                cut_off=cut_off,
                steady_from=cut[0] if cut else None,
            ),
        )


def _swells(run: list[Sample]) -> bool:
    """Return whether the light of one lit run grew for longer than a stroke does, in no step by its larger part."""
    rises = [after.light - before.light for before, after in pairwise(run)]
    grew = [run[0], *(sample for sample, _ in takewhile(lambda one: one[1] > 0, zip(run[1:], rises, strict=True)))]
    lasts = grew[-1].seconds + grew[-1].duration - grew[0].seconds
    most = max(run[0].light, *rises[: len(grew) - 1], 0.0)
    return len(grew) >= RUN_FRAMES and lasts >= SWELL_SECONDS - 1e-6 and most <= grew[-1].light / 2


def candidate_id(camera: str, frame: Frame, seed: str | None = None) -> str:
    """Return an id for a candidate that starts with `frame`, unique over cameras and runs.

    Args:
        camera: name of the camera.
        frame: the onset.
        seed: makes the id of an onset reproducible; None for a random id.
    """
    if frame.utc is None:
        when = f"{frame.seconds:.3f}s"
    else:
        when = datetime.fromtimestamp(frame.utc, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    if seed is None:
        return f"{camera}-{when}-{secrets.token_hex(2)}"
    return f"{camera}-{when}-{blake2s(f'{seed}/{frame.seconds:.6f}'.encode(), digest_size=3).hexdigest()}"
