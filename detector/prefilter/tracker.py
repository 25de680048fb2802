"""Third stage: one open candidate: the blocks that it lit, its frames, and its end."""

import secrets
from datetime import UTC, datetime
from hashlib import blake2s

import numpy as np

from detector.candidate import Candidate, CandidateContext
from detector.prefilter.blocks import Grid
from detector.prefilter.fine_change import fine_luma
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.light_curve import (
    LightTrace,
    PlateauDetector,
    Sample,
    curve_of,
    pulses_of,
    trim_plateau,
)
from detector.prefilter.lit_region import Baseline, LitRegion
from detector.prefilter.structure import structure_of
from stream import Frame

# The glare that hides what burns in it is gone, and what burns is still there, when so much of the light is left.
WANED_SHARE = 0.5
# The frame "after" is taken this long into the dark: the last glow is gone, and clouds have hardly moved.
AFTER_SECONDS = 0.15
# A frame shows clearly more than the brightest one where its lines stand out so much more, and by so many levels.
CLEARER_FACTOR = 1.25
CLEARER_LEVELS = 4.0
# So many frames wait for it to be known which of them are of the flash: 9 MB at 1080p.
_CLEAREST_KEPT = 3
# A new stroke adds at least this share of the light that is there already.
RESTRIKE_SHARE = 0.2


class FrameSelection:
    """The frames of a flash that verifiers and people look at; fields as in `Candidate`.

    Attributes:
        onset: the first frame of the flash.
        reference: a frame from right before it, or None.
        history: thin frames of the last second before it.
        peak: the frame with the most light.
        waning: the first lit frame after the peak with half its light or less, or None.
    """

    def __init__(self, onset: Frame, reference: Frame | None, history: tuple[Frame, ...]) -> None:
        self.onset = onset
        self.reference = reference
        self.history = history
        self.peak = onset
        self.waning: Frame | None = None
        self._after: Frame | None = None
        self._last = onset
        self._peak_light = 0.0
        self._dark = None if reference is None else fine_luma(reference)
        self._peak_structure = 0.0
        self._clearest: list[tuple[float, Frame]] = []  # frames with more structure than all before them, and that

    def clear_until(self, end_seconds: float) -> Frame | None:
        """Return the lit frame with the most structure, where that is clearly more than `peak` shows.

        Args:
            end_seconds: the flash's end. What shone on was cut away: between the frames of a time-lapse clouds move.
        """
        enough = max(CLEARER_FACTOR * self._peak_structure, self._peak_structure + CLEARER_LEVELS)
        inside = [one for one in self._clearest if one[1].seconds < end_seconds and one[0] >= enough]
        return inside[-1][1] if inside else None

    @property
    def after(self) -> Frame | None:
        """The frame soon after the light went out; while it is lit, the last one; None where that is the peak."""
        return self._after or (self._last if self._last is not self.peak else None)

    def update(self, frame: Frame, light: float, dark_from: float | None) -> None:
        """Take in one frame.

        Args:
            frame: the frame.
            light: its light, levels times blocks.
            dark_from: seconds since when it is dark; None where it is lit.
        """
        self._last = frame
        if dark_from is not None:
            if self._after is None or frame.seconds - dark_from <= AFTER_SECONDS:
                self._after = frame
            return
        self._after = None
        structure = structure_of(frame, self._dark)
        if light > self._peak_light:
            self._peak_light, self.peak, self.waning = light, frame, None
            self._peak_structure = structure
        elif self.waning is None and light <= WANED_SHARE * self._peak_light:
            self.waning = frame
        if structure > (self._clearest[-1][0] if self._clearest else 0.0):
            self._clearest = [*self._clearest[1 - _CLEAREST_KEPT :], (structure, frame)]


class CandidateTracker:
    """One open candidate: `update` with every frame, ask `is_finished`, then take `candidate(open_=False)`.

    Attributes:
        baseline: the levels that the flash is measured against.
        frames: the kept frames.
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
        self._start_seconds = frames.onset.seconds
        self._region = LitRegion(baseline)
        self._trace = LightTrace()
        self._plateau = PlateauDetector(self._trace, self._start_seconds)
        self._quality: set[str] = set()

    @property
    def light(self) -> float:
        """Light of the last frame, levels times blocks; 0 while dark."""
        return self._trace.light

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
        found = self._region.update(grid, change.sudden if joins else None)
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
        self.frames.update(frame, found.light, trace.dark_from)
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
        return self.has_ended(seconds) or stays or seconds - self._start_seconds >= self._max_seconds

    def candidate(self, *, open_: bool, cut_off: bool = False) -> Candidate:
        """Return the candidate with the facts so far.

        Args:
            open_: whether the candidate continues.
            cut_off: whether the source or its epoch ended first.
        """
        region, frames = self._region, self.frames
        samples = trim_plateau(self._trace.samples, self._remainder_since)
        lit = [sample for sample in samples if sample.lit] or samples[:1]
        cut = [was.seconds for was, now in zip(self._trace.samples, samples, strict=True) if was.lit and not now.lit]
        watched = max(1, int(np.count_nonzero(self.baseline.watched)))
        brightest = max(lit, key=lambda sample: sample.light)
        end = lit[-1].seconds + lit[-1].duration
        return Candidate(
            id=self._name,
            camera=frames.onset.camera,
            open=open_,
            start_seconds=self._start_seconds,
            peak_seconds=brightest.seconds,
            end_seconds=end,
            pulses=pulses_of(samples, region.size, self._start_seconds),
            peak_rise_levels=brightest.peak_rise,
            lit_fraction=max(sample.blocks for sample in lit) / watched,
            box=region.box,
            centroid=brightest.centroid,
            curve=curve_of(samples, region.size, watched),
            background=self.baseline.level,
            peak_map=region.peak_map.copy(),
            lit_map=region.mask.copy(),
            onset=frames.onset,
            peak=frames.peak,
            clear=frames.clear_until(end),
            before=frames.reference,
            quiet=frames.history,
            waning=frames.waning,
            after=frames.after,
            quality=tuple(sorted(self._quality)),
            context=CandidateContext(
                frames_before=self._frames_before,
                watched_share=float(self.baseline.watched.mean()),
                dark_after=self._trace.went_dark,
                cut_off=cut_off,
                steady_from=cut[0] if cut else None,
            ),
        )


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
