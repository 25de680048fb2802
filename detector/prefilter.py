"""Frames in, candidates out: sudden, positive, coherent light, judged by what each camera's blocks do by themselves."""

import secrets
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from detector.brightness import Background, Grid, block_luma
from detector.closeup import change
from detector.flash import Candidate
from detector.moment import Ground, Look, Moment
from detector.settings import PrefilterSettings
from stream import Frame, load_opencv

cv2 = load_opencv()

Polygon = Sequence[tuple[float, float]]
Region = tuple[float, float, float, float]

# A new stroke adds at least this share of the light that is there already.
RESTRIKE_SHARE = 0.2


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
        self._background = Background(step_seconds=settings.step_seconds, memory_seconds=settings.noise_memory_seconds)
        self._pictures = RecentPictures(settings.step_seconds)
        self._moment: Moment | None = None
        self._previous: Frame | None = None

    def push(self, frame: Frame) -> list[Candidate]:
        """Candidates that open or close with `frame`."""
        return self.push_grid(frame, block_luma(frame))

    def push_grid(self, frame: Frame, grid: Grid) -> list[Candidate]:
        """As `push`, with the block luma of `frame` already made."""
        found = self._cross_edges(frame, grid)
        look = self._look(frame, grid)
        if self._moment is not None:
            found += self._follow(self._moment, frame, grid, look)
        elif look is not None and self._is_onset(look) and self._is_added_light(frame, look):
            found.append(self._open(frame, grid, look))
        else:
            step = look.step if look is not None else None
            elapsed = frame.seconds - self._previous.seconds if self._previous is not None else 0.0
            self._background.learn(frame.seconds, grid, step, elapsed)
        self._background.remember(frame.seconds, grid)
        self._previous = frame
        self._pictures.remember(frame)
        return found

    def flush(self) -> list[Candidate]:
        """The end of the source: what is still open, closed."""
        return self._close(cut_off=True) if self._moment is not None else []

    def _cross_edges(self, frame: Frame, grid: Grid) -> list[Candidate]:
        """Forget what must not be compared with `frame`: another epoch, size or quality."""
        previous = self._previous
        if previous is None or grid.shape != self._watched.shape:
            self._watched = watched_blocks(grid.shape, self._mask, self._region)
        if previous is None:
            return []
        new_scene = frame.epoch != previous.epoch or (
            self._background.level is not None and self._background.level.shape != grid.shape
        )
        if not new_scene and frame.quality == previous.quality:
            return []
        found = self.flush()
        self._background.restart(forget_noise=new_scene)
        self._pictures.forget()
        self._previous = None
        return found

    def _thresholds(self) -> tuple[Grid, float]:
        """The rise that counts as lit, per block, and how much stricter than usual while little is known."""
        background, settings = self._background, self._settings
        # Noise learnt from a few frames is only a guess, and cameras settle their exposure after opening.
        strict = 1.0 + max(0.0, 1.0 - background.age_seconds / settings.warm_up_seconds)
        floor = np.float32(settings.min_rise_levels * strict)
        if background.noise is None or background.swing is None:
            return np.full(self._watched.shape, 2 * floor, np.float32), strict
        noise = np.maximum(background.noise * np.float32(settings.noise_factor * strict), floor)
        return np.maximum(noise, background.swing * np.float32(settings.swing_factor)), strict

    def _look(self, frame: Frame, grid: Grid) -> Look | None:
        reference, level = self._background.reference(frame.seconds), self._background.ground(frame.seconds)
        if reference is None or level is None:
            return None
        step, rise = grid - reference, grid - level
        threshold, _ = self._thresholds()
        # Lightning is sudden and adds to what was there: most of the rise over the background came just now. A rise
        # out of a short dark spell (wiper, exposure dip) is no rise over the background.
        sudden = (rise > threshold) & (step > np.float32(0.5) * rise) & self._watched
        return Look(rise=rise, step=step, sudden=sudden, positivity=self._positivity(step, threshold))

    def _positivity(self, step: Grid, threshold: Grid) -> float:
        """Share of rises in all noticeable changes. Added light makes no block darker; whatever moves does."""
        noise = self._background.noise
        noticeable = np.float32(0.5) * threshold
        if noise is not None:
            # Three standard deviations of the difference of two pictures; less would drown light in noise.
            noticeable = np.maximum(noticeable, np.float32(3 * 2**0.5) * noise)
        change = np.where(self._watched & (np.abs(step) > noticeable), step, np.float32(0))
        total = float(np.abs(change).sum())
        return float(np.maximum(change, 0).sum()) / total if total > 0 else 0.0

    def _min_blocks(self, strict: float = 1.0) -> float:
        return max(2.0, self._settings.min_lit_fraction * strict * np.count_nonzero(self._watched))

    def _is_onset(self, look: Look) -> bool:
        _, strict = self._thresholds()
        lit = np.count_nonzero(look.sudden)
        return bool(lit >= self._min_blocks(strict) and look.positivity >= self._settings.min_positivity)

    def _is_added_light(self, frame: Frame, look: Look) -> bool:
        """The same question as positivity, at five times the resolution, asked only when the blocks see an onset."""
        before = self._pictures.before(frame.seconds)
        closer = change(before, frame) if before is not None else None
        return closer is None or closer.positivity(look.sudden) >= self._settings.min_positivity

    def _open(self, frame: Frame, grid: Grid, look: Look) -> Candidate:
        level = self._background.ground(frame.seconds)
        if level is None:
            raise ValueError(f"{self._camera}: an onset needs a background; _is_onset was not asked")
        threshold, _ = self._thresholds()
        ground = Ground(level.copy(), threshold, self._watched, self._min_blocks())
        moment = Moment(candidate_id(self._camera, frame), frame, self._pictures.before(frame.seconds), ground)
        moment.take(frame, grid, look, joins=True)
        self._moment = moment
        return moment.candidate(open_=True)

    def _follow(self, moment: Moment, frame: Frame, grid: Grid, look: Look | None) -> list[Candidate]:
        if look is not None:
            moment.take(frame, grid, look, joins=self._joins(moment, look))
            self._learn_in_the_dark(moment, frame, grid, look)
        settings = self._settings
        if not moment.over(frame.seconds, gap_seconds=settings.gap_seconds, max_seconds=settings.max_candidate_seconds):
            return []
        return self._close()

    def _joins(self, moment: Moment, look: Look) -> bool:
        """Whether the rise of this moment is light of the open flash: a weaker onset is enough once there is one.

        Falls do not speak against it, other parts of the flash are going out meanwhile, unless they go below what was
        there before it.
        """
        lost = np.minimum(look.step, look.rise)
        darker = np.where(self._watched & (lost < -moment.ground.threshold) & (look.step < 0), look.rise, np.float32(0))
        gained = float(np.where(look.sudden, look.step, np.float32(0)).sum())
        enough = np.count_nonzero(look.sudden) >= self._min_blocks() / 2
        # While it is bright already, only a marked step is a new stroke: what drifts or moves adds a little each frame.
        marked = gained >= RESTRIKE_SHARE * moment.light
        return bool(enough and marked and gained >= 0.8 * (gained - float(darker.sum())))

    def _learn_in_the_dark(self, moment: Moment, frame: Frame, grid: Grid, look: Look) -> None:
        """The pause after a flash is the background of the next one (exposure may have changed meanwhile)."""
        dark_from = moment.dark_from
        if dark_from is not None and frame.seconds - dark_from >= self._settings.step_seconds:
            elapsed = frame.seconds - self._previous.seconds if self._previous is not None else 0.0
            self._background.learn(frame.seconds, grid, look.step, elapsed)

    def _close(self, *, cut_off: bool = False) -> list[Candidate]:
        moment, self._moment = self._moment, None
        if moment is None:
            return []
        if moment.dark_from is None:
            self._background.restart(forget_noise=False)
        moment.notes["cut_off"] = float(cut_off)
        return [moment.candidate(open_=False)]


class RecentPictures:
    """The few frames of the last `span_seconds` that a new one is compared with; never more than four."""

    def __init__(self, span_seconds: float) -> None:
        self._span_seconds = span_seconds
        self._frames: deque[Frame] = deque()

    def before(self, seconds: float) -> Frame | None:
        """The newest frame that is at least `span_seconds` older than `seconds`, else the oldest one kept."""
        found = self._frames[0] if self._frames else None
        for frame in self._frames:
            if frame.seconds <= seconds - self._span_seconds + 1e-6:
                found = frame
        return found

    def remember(self, frame: Frame) -> None:
        """Keep `frame` if it is not too close to the one kept last: at 240 fps every one would be too many."""
        if self._frames and frame.seconds - self._frames[-1].seconds < self._span_seconds / 3 - 1e-6:
            return
        self._frames.append(frame)
        while len(self._frames) > 1 and self._frames[1].seconds <= frame.seconds - self._span_seconds + 1e-6:
            self._frames.popleft()

    def forget(self) -> None:
        """What was seen must not be compared with what comes."""
        self._frames.clear()


def candidate_id(camera: str, frame: Frame) -> str:
    """A name for a candidate that starts with `frame`, unique over cameras and runs."""
    if frame.utc is None:
        when = f"{frame.seconds:.3f}s"
    else:
        when = datetime.fromtimestamp(frame.utc, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    return f"{camera}-{when}-{secrets.token_hex(2)}"


def watched_blocks(shape: tuple[int, ...], mask: Sequence[Polygon], region: Region | None) -> NDArray[np.bool_]:
    """(rows, columns) blocks whose centre lies in `region` and in no polygon of `mask`; all shares of the picture."""
    rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    x, y = (x + 0.5) / columns, (y + 0.5) / rows
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    watched: NDArray[np.bool_] = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    for polygon in mask:
        watched &= ~_inside(polygon, x, y)
    return watched


def _inside(polygon: Polygon, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie inside, by counting the edges that a ray to the right crosses."""
    inside = np.zeros(x.shape, np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y1 == y2:
            continue
        crosses = ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        inside ^= crosses
    return inside
