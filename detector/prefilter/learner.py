"""Last stage: learn about a scene from quiet frames and finished flashes."""

from dataclasses import replace

from detector.candidate import Candidate
from detector.prefilter.background import RECOVERY_SECONDS, Background
from detector.prefilter.blocks import Grid, WatchedArea, block_luma
from detector.prefilter.frame_buffer import FrameBuffer
from detector.prefilter.frame_change import FrameChange
from detector.prefilter.level_memory import LevelMemory
from detector.prefilter.lit_region import Baseline
from detector.prefilter.recurrence import ClutterMemory, PeriodicLights, autocorrelation_peak
from detector.prefilter.tracker import CandidateTracker
from detector.settings import PrefilterSettings

# Rain and traffic rarely make more blocks jump than this multiple of the smallest light (1 % of the frame), but
# lightning is often larger than the five times as much that is then required.
MOST_CLUTTER = 2


class SceneLearner:
    """Update the background from quiet frames, and remember finished flashes.

    Attributes:
        periodic: periodic lamps.
    """

    def __init__(
        self, settings: PrefilterSettings, background: Background, area: WatchedArea, frames: FrameBuffer
    ) -> None:
        self._settings = settings
        self._background = background
        self._area = area
        self._frames = frames
        self._clutter = ClutterMemory()
        self._levels = LevelMemory()
        self._afterglow_until = 0.0
        self.periodic = PeriodicLights()

    def forget(self, *, new_scene: bool) -> None:
        """Forget frames that must not be compared with the next one; for a `new_scene` forget everything."""
        self._background.restart(forget_noise=new_scene)
        self._background.recovery.stop()
        self._frames.forget()
        if new_scene:
            self.periodic.forget()
            self._clutter.forget()
            self._levels.forget()

    def learn_frame(
        self, seconds: float, grid: Grid, change: FrameChange | None, elapsed: float, *, settled: bool
    ) -> None:
        """Learn the scene's usual changes from a frame without light.

        Args:
            seconds: time of the frame.
            grid: (rows, columns) its block luma.
            change: its change against the background; None if there is no background.
            elapsed: seconds since the previous frame.
            settled: whether no flash is open.
        """
        background = self._background
        if settled and seconds >= self._afterglow_until:
            self._levels.remember(seconds, grid)
        background.learn(seconds, grid, change.earlier if change else None, elapsed, settled=settled)
        if change is not None and background.noise is not None and background.clutter_due(seconds):
            # Cap the update: a storm that lights the whole frame must not raise its own threshold.
            most = MOST_CLUTTER * self._area.blocks_in(self._settings.min_lit_fraction)
            # Beyond the noise that includes this frame, which the scene does not exceed by itself.
            balance = change.balance_beyond(background.noise)
            background.learn_clutter(seconds, min(change.sudden_blocks, most), balance)

    def learn_flash(
        self, tracker: CandidateTracker, *, ended: bool, cut_off: bool, goes_on: bool, alone: bool = True
    ) -> Candidate:
        """Return the closed candidate of `tracker`, compared with earlier ones, and remember it.

        Args:
            tracker: the finished candidate.
            ended: whether its light has ended, although a remainder or a weak rise may still shine.
            cut_off: whether the source or its epoch ended first.
            goes_on: whether only the limit of its length ended it: a storm without a pause.
            alone: whether no other candidate is open, whose background must stay as it is.
        """
        background, baseline, now = self._background, tracker.baseline, tracker.last_seconds
        if not alone:
            return self._remember(tracker.candidate(open_=False, cut_off=cut_off), tracker)
        self._afterglow_until = now + RECOVERY_SECONDS if ended and tracker.dark_from is None else now
        # The previous background stays that of the next pulse, which a new background would include.
        if tracker.dark_from is None and not ended:
            background.restart(forget_noise=False)
        if goes_on:
            # The next light is measured against the same baseline.
            self._frames.resume(now, tracker.frames.reference)
            if tracker.dark_from is None:
                background.resume(now, baseline.level)
                background.recovery.begin(baseline.level, now)
        if not cut_off and background.latest is not None:
            background.recovery.begin_if_darker(
                background.latest, baseline.level, baseline.threshold, baseline.watched, now
            )
        return self._remember(tracker.candidate(open_=False, cut_off=cut_off), tracker)

    def _remember(self, closed: Candidate, tracker: CandidateTracker) -> Candidate:
        clutter, repeats = self._clutter.add(closed), None
        if not closed.context.cut_off:
            repeats = self.periodic.add(
                closed.start_seconds,
                closed.lit_map,
                closed.peak_map - closed.background,
                autocorrelation_peak(closed.curve.rise_while_lit) or 0.0,
                within=closed.onset.duration,
                no_stroke=tracker.is_no_stroke,
            )
        context = replace(
            closed.context,
            recent_clutter=clutter,
            periodic_repeats=repeats,
            seen_before=self._seen_before(closed, tracker.baseline),
        )
        return replace(closed, context=context)

    def _seen_before(self, closed: Candidate, baseline: Baseline) -> float | None:
        """Return the share 0..1 of the rise, from the frame before the onset to the peak, that was seen before."""
        if baseline.latest is None:
            return None
        # Not only the lit blocks: the background that decides these may be old.
        rise = block_luma(closed.brightest) - baseline.latest
        risen = (rise > baseline.threshold) & baseline.watched
        return self._levels.share_seen(closed.start_seconds, baseline.latest, rise, risen)
