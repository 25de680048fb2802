"""One open candidate while it runs: its light curve, the blocks it lit, its pictures, and when it is over."""

from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate, CandidateContext
from detector.prefilter.blocks import Grid
from detector.prefilter.frame_change import FADING_SHARE, FrameChange
from detector.prefilter.light_curve import Sample, curve_of, pulses_of
from stream import Frame, load_opencv

cv2 = load_opencv()

# The last 1 % of a pulse's glow do not count as lit: what drifts meanwhile (clouds, exposure) is often as large.
GLOW_SHARE = 0.01
# Blocks that rose at least this share of the highest rise are the core of a light: its edge is lost in noise.
CORE_SHARE = 0.3
# The glare that hides what burns in it is gone, and what burns is still there, when so much of the light is left.
WANED_SHARE = 0.5
# Light that keeps its level for this long, within this share of the brightest moment, is a new normal (a lamp, an
# exposure step, a cut): continuing current of a flash flickers and lasts 0.1-0.5 s.
STEADY_SECONDS = 1.0
STEADY_SHARE = 0.12
# Light of which so much is left that long after the last sudden rise, steady or not, came to stay too (headlights,
# a view that opens): the glow of a stroke halves within a few tenths of a second. Slow motion stretches it to seconds,
# but it goes on waning all the time.
STAYING_SHARE = 0.3
# Strokes jump, and between them the light falls. Light that grows for this long, to this many times what it was,
# without ever doubling at once or falling by a fifth, is none: a cloud in a time-lapse, a view that opens, exposure.
GROWING_SECONDS = 0.6
GROWING_FALL = 0.8
GROWING_TIMES = 3.0
GROWING_JUMP = 2.0
# A steady remainder of less than this share of a pulse is the scene as it is now, not light: it was measured against a
# scene that has drifted meanwhile.
FAINT_SHARE = 0.1
FAINT_STEADY_SHARE = 0.03
# The picture of "after" is taken this long into the dark: the last glow is gone, and clouds have hardly moved.
AFTER_SECONDS = 0.15
# A picture is blank if most of it is as bright as it can get: as bright as its brightest block, by so many levels, and
# no darker than this (the white that cameras clip to is often tinted).
BLANK_SHARE = 0.5
BLANK_SPREAD_LEVELS = 4.0
BLANK_LEVELS = 200.0
# What came to stay began where the light was less than this share of it.
CAME_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a flash is measured against, fixed at its onset.

    level, threshold, noise: (rows, columns) levels before the onset, the rise that counts as lit, and the noise.
    watched: (rows, columns) blocks that count.
    min_blocks: a frame with fewer lit blocks is dark.
    gap_seconds: a flash is over when it has been dark for this long.
    """

    level: Grid
    threshold: Grid
    noise: Grid
    watched: NDArray[np.bool_]
    min_blocks: float
    gap_seconds: float


class CandidateTracker:
    """One open candidate: `take` every frame, ask `over`, then `candidate(open_=False)`."""

    def __init__(
        self,
        name: str,
        onset: Frame,
        before: Frame | None,
        quiet: tuple[Frame, ...],
        ground: Baseline,
        *,
        frames_before: int = 3,
    ) -> None:
        self.id = name
        self.onset = onset
        self.before = before
        self.quiet = quiet
        self.peak = onset
        self.clear: Frame | None = None
        self.waning: Frame | None = None
        self.after: Frame | None = None
        self.last = onset
        self.ground = ground
        self.mask = np.zeros(ground.level.shape, np.bool_)
        self.peak_map = ground.level.copy()
        self.samples: list[Sample] = []
        self._core = self.mask.copy()
        self._fading = np.float32(FADING_SHARE) * ground.threshold
        self.start_seconds = onset.seconds
        self.dark_from: float | None = None
        self.quality: set[str] = set()
        self.frames_before = frames_before
        self._most_light = 0.0
        self._clear_light = 0.0
        self._pulse_light = 0.0
        self._steady = (onset.seconds, np.inf, -np.inf)
        self._faint = (onset.seconds, np.inf, -np.inf)
        self._last_rise = onset.seconds
        self._growth = (onset.seconds, np.inf, 0.0)

    def take(self, frame: Frame, grid: Grid, look: FrameChange, *, joins: bool) -> Sample:
        """Add one frame; it is lit while enough of the blocks that lit up suddenly are above their threshold.

        joins: whether what rose suddenly in this frame is light of this flash too (an onset of its own).
        """
        rise = grid - self.ground.level
        if joins:
            self.mask |= look.sudden & (rise > self._fading)
        self.peak_map = np.where(self.mask, np.maximum(self.peak_map, grid), self.peak_map)
        lit_blocks = self.mask & (rise > self._fading)
        blocks = int(np.count_nonzero(lit_blocks))
        added = np.where(lit_blocks, rise, np.float32(0))
        light, centroid = _light_of(added)
        peak_rise = float(added.max())
        sample = Sample(
            seconds=frame.seconds,
            duration=frame.duration,
            light=light,
            peak_rise=peak_rise,
            blocks=blocks,
            positivity=look.positivity if joins else 0.0,
            centroid=centroid,
            lit=blocks >= self.ground.min_blocks and self._glows(light, joins=joins),
            overlap=self._overlap(added, peak_rise),
        )
        self.samples.append(sample)
        self.quality.update(frame.quality)
        if sample.lit:
            self.dark_from, self.after = None, None
            if light > self._most_light:
                self._most_light, self.peak, self.waning = light, frame, None
            elif self.waning is None and light <= WANED_SHARE * self._most_light:
                self.waning = frame
            if light > self._clear_light and not _is_blank(grid):
                self._clear_light, self.clear = light, frame
        else:
            self.dark_from = frame.seconds if self.dark_from is None else self.dark_from
            if self.after is None or frame.seconds - self.dark_from <= AFTER_SECONDS:
                self.after = frame
        self.last = frame
        self._watch_steadiness(sample, joins=joins)
        return sample

    def _overlap(self, added: Grid, peak_rise: float) -> float:
        core = added > np.float32(CORE_SHARE * peak_rise)
        before, self._core = self._core, core
        fewer = min(int(np.count_nonzero(core)), int(np.count_nonzero(before)))
        return float(np.count_nonzero(before & core)) / fewer if fewer else 0.0

    def _glows(self, light: float, *, joins: bool) -> bool:
        """Lit again only by a new sudden rise, lit still while more than a last glow of that is left."""
        was_lit = bool(self.samples) and self.samples[-1].lit
        if joins and not was_lit:
            self._pulse_light = 0.0
        self._pulse_light = max(self._pulse_light, light)
        return (was_lit or joins) and light >= GLOW_SHARE * self._pulse_light

    def _watch_steadiness(self, sample: Sample, *, joins: bool) -> None:
        since, low, high = self._steady
        low, high = min(low, sample.light), max(high, sample.light)
        if not sample.lit or high - low > STEADY_SHARE * self._most_light:
            since, low, high = sample.seconds, sample.light, sample.light
        self._steady = (since, low, high)
        if joins or sample.light < STAYING_SHARE * self._pulse_light:
            self._last_rise = sample.seconds
        since, low, high = self._faint
        low, high = min(low, sample.light), max(high, sample.light)
        if high > FAINT_SHARE * self._pulse_light or high - low > FAINT_STEADY_SHARE * self._pulse_light:
            since, low, high = sample.seconds, sample.light, sample.light
        self._faint = (since, low, high)
        began, least, most = self._growth
        # A stroke takes up to some hundredths of a second to rise: at high rates that is several frames.
        earlier = next((s.light for s in reversed(self.samples) if s.seconds <= sample.seconds - 0.03 + 1e-6), 0.0)
        if sample.light < GROWING_FALL * most or sample.light > GROWING_JUMP * earlier:
            began, least, most = sample.seconds, sample.light, sample.light
        self._growth = (began, min(least, sample.light), max(most, sample.light))

    @property
    def light(self) -> float:
        """Light of the last frame, levels times blocks; 0 while dark."""
        return self.samples[-1].light if self.samples and self.samples[-1].lit else 0.0

    @property
    def went_dark(self) -> bool:
        """Whether the light has gone out, but for a faint steady remainder."""
        return self.dark_from is not None or self.light < FAINT_SHARE * self._most_light

    @property
    def stays_since(self) -> float | None:
        """Since when the light is the new normal, or None while it is not."""
        if not self.samples:
            return None
        now = self.samples[-1].seconds
        if now - self._faint[0] >= self.ground.gap_seconds and self.light < FAINT_SHARE * self._pulse_light:
            return self._faint[0]
        began, least, most = self._growth
        if now - began >= GROWING_SECONDS and most >= GROWING_TIMES * least > 0:
            return began
        stays = [when for when in (self._steady[0], self._last_rise) if now - when >= STEADY_SECONDS]
        return min(stays) if stays and not self._wanes() else None

    def _wanes(self) -> bool:
        """Whether the light goes on falling: lower than a while ago by more than what is steady, and never up again."""
        now = self.samples[-1]
        lately = takewhile(lambda sample: now.seconds - sample.seconds <= STEADY_SECONDS + 1e-6, reversed(self.samples))
        lights = [sample.light for sample in lately]
        then = lights[-1]
        return now.light <= (1 - STEADY_SHARE) * then and max(lights) <= then / GROWING_FALL

    def over(self, seconds: float, *, max_seconds: float) -> bool:
        """Whether it has been dark for `gap_seconds`, is the new normal, or has run for `max_seconds`."""
        stays = self.stays_since is not None
        return self.dark_since(seconds) or stays or seconds - self.start_seconds >= max_seconds

    def dark_since(self, seconds: float) -> bool:
        """Whether it has been dark for `gap_seconds`: what lights up in a frame of that time is another flash."""
        return self.dark_from is not None and seconds - self.dark_from >= self.ground.gap_seconds - 1e-6

    def candidate(self, *, open_: bool, cut_off: bool = False) -> Candidate:
        """Everything known by now."""
        samples = self._without_the_new_normal()
        lit = [sample for sample in samples if sample.lit] or samples[:1]
        size = max(1, int(np.count_nonzero(self.mask)))
        watched = max(1, int(np.count_nonzero(self.ground.watched)))
        curve = curve_of(samples, size, watched)
        brightest = max(lit, key=lambda sample: sample.light)
        return Candidate(
            id=self.id,
            camera=self.onset.camera,
            open=open_,
            start_seconds=self.start_seconds,
            peak_seconds=brightest.seconds,
            end_seconds=lit[-1].seconds + lit[-1].duration,
            pulses=pulses_of(samples, size, self.start_seconds),
            peak_rise_levels=brightest.peak_rise,
            lit_fraction=max(sample.blocks for sample in lit) / watched,
            box=_box(self.mask),
            centroid=brightest.centroid,
            curve=curve,
            background=self.ground.level,
            peak_map=self.peak_map.copy(),
            lit_map=self.mask.copy(),
            onset=self.onset,
            peak=self.peak,
            clear=self.clear,
            before=self.before,
            quiet=self.quiet,
            waning=self.waning,
            after=self.after or (self.last if self.last is not self.peak else None),
            quality=tuple(sorted(self.quality)),
            context=CandidateContext(
                frames_before=self.frames_before,
                watched_share=float(self.ground.watched.mean()),
                dark_after=self.went_dark,
                cut_off=cut_off,
            ),
        )

    def _without_the_new_normal(self) -> list[Sample]:
        """The light curve, unlit from where the light came that stays: that is no part of a flash."""
        since = self.stays_since
        if since is None:
            return self.samples
        first = next(n for n, sample in enumerate(self.samples) if sample.seconds >= since)
        level = self.samples[first].light
        while first > 0 and CAME_SHARE * level <= self.samples[first - 1].light <= level / GROWING_FALL:
            first -= 1
        return [replace(s, lit=s.lit and n < max(first, 1)) for n, s in enumerate(self.samples)]


def _is_blank(grid: Grid) -> bool:
    """Whether most of the picture is saturated: such a one shows nothing."""
    white = max(BLANK_LEVELS, float(grid.max()) - BLANK_SPREAD_LEVELS)
    return bool(np.count_nonzero(grid >= white) > BLANK_SHARE * grid.size)


def _light_of(added: Grid) -> tuple[float, tuple[float, float]]:
    """The sum of `added`, and its centroid (x, y), 0..1; the middle where there is none."""
    moments = cv2.moments(added)
    light = moments["m00"]
    if light <= 0:
        return 0.0, (0.5, 0.5)
    rows, columns = added.shape
    return light, ((moments["m10"] / light + 0.5) / columns, (moments["m01"] / light + 0.5) / rows)


def _box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 1.0, 1.0
    height, width = mask.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )
