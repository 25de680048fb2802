"""Scene: the frames of a plan, and their truth."""

from collections.abc import Iterator
from functools import cached_property, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from storm.camera import Sensor, levels_of
from storm.canvas import Canvas
from storm.flashes import make_flash
from storm.lookalikes import Lookalike, Surroundings, make_lookalike
from storm.plan import Plan
from storm.rain import Rain
from storm.schedule import exact_rate, frame_times, scheduled
from storm.shutter import Shutter
from storm.truth import GRID, FlashTruth, FrameLight, Labels, Span, Timeline, frame_light
from storm.world import World
from stream import Frame

DIP_DELAY_SECONDS = 0.12
DIP_RETURN_SECONDS = 0.6
WHITE_LUMA, NO_CHROMA = 235, 128


class Scene:
    """The frames of a plan, in any order, and their truth.

    seconds_of: (frames,) time stamp of each frame. `luma(number)` is the fast way; `yuv` and `rgb` add colour.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seconds_of = frame_times(plan)
        self.rate = exact_rate(plan.rate)
        self.frame_seconds = float(1 / self.rate)
        flashes, lookalikes = scheduled(plan)
        self._world = World(plan.shape, (plan.sky, plan.land), plan.wind, plan.seed)
        camera = plan.the_camera()
        around = Surroundings(plan.shape, plan.sky, camera.exposure * self.frame_seconds)
        self._lookalikes = [make_lookalike(one, around, plan.seed, n) for n, one in enumerate(lookalikes)]
        self._shutter = Shutter(self.seconds_of, self.frame_seconds, camera, plan.shape[0])
        self._flashes = [make_flash(one, self._world, self._shutter, plan.seed, n) for n, one in enumerate(flashes)]
        self._sensor = Sensor(camera, plan.shape, plan.seed)
        self._rain = Rain(plan.shape, plan.rain, self._world, plan.seed) if plan.rain > 0 else None

    def __len__(self) -> int:
        return len(self.seconds_of)

    @cached_property
    def _elsewhere(self) -> World:
        """The other place that a cut shows."""
        sky = "dusk" if self.plan.sky != "dusk" else "day"
        return World(self.plan.shape, (sky, "hills"), self.plan.wind, self.plan.seed + 1)

    def luma(self, number: int) -> NDArray[np.uint8]:
        """Return (height, width) uint8 luma of limited range (16 = black, 235 = white)."""
        return self._edited(self._sensor.luma(self._canvas(number, color=False).light, number), number, WHITE_LUMA)

    def yuv(self, number: int) -> NDArray[np.uint8]:
        """Return (height * 3 / 2, width) uint8: planar YUV 4:2:0, for encoders."""
        canvas = self._canvas(number, color=True)
        luma = self._sensor.luma(canvas.light, number)
        planes = canvas.chroma(luma)
        if any(one.grey(since) for one, since in self._acting(number)):
            planes = (np.full_like(planes[0], NO_CHROMA), np.full_like(planes[1], NO_CHROMA))
        luma = self._edited(luma, number, WHITE_LUMA)
        planes = (self._edited(planes[0], number, NO_CHROMA), self._edited(planes[1], number, NO_CHROMA))
        height, width = luma.shape
        whole = np.empty((height * 3 // 2, width), np.uint8)
        whole[:height] = luma
        whole[height:] = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, width)
        return whole

    def rgb(self, number: int) -> NDArray[np.uint8]:
        """Return (height, width, 3) uint8 RGB."""
        return np.asarray(cv2.cvtColor(self.yuv(number), cv2.COLOR_YUV2RGB_I420), np.uint8)

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Yield every frame in order: seconds and planar YUV 4:2:0."""
        for number, seconds in enumerate(self.seconds_of):
            yield float(seconds), self.yuv(number)

    def stream_frames(self, camera: str = "storm") -> Iterator[Frame]:
        """Yield every frame in order like a source, with luma directly from the scene, without a codec or waiting."""
        for number, seconds in enumerate(self.seconds_of):
            yield Frame(
                camera,
                number,
                float(seconds),
                self.frame_seconds,
                self.luma(number),
                color=partial(self._small_rgb, number),
            )

    def truth(self, seconds_of: NDArray[np.float64] | None = None) -> Labels:
        """Return the labels of this scene; `seconds_of` are a written clip's own time stamps, if they differ."""
        times = self.seconds_of if seconds_of is None else seconds_of
        if len(times) != len(self):
            raise ValueError(f"the scene has {len(self)} frames, but {len(times)} time stamps were given")
        timeline = Timeline(times, self.frame_seconds, self._added)
        pulses = timeline.runs(lit=True)
        flashes = timeline.joined(pulses)
        faint = timeline.outside(timeline.runs(lit=False), flashes)
        unseen = [span for span in timeline.joined(faint) if not _touches(span, flashes)]
        return Labels(
            kind="positive" if flashes else "negative",
            group=f"storm-{self.plan.seed}",
            flashes=[timeline.seconds(span) for span in flashes],
            pulses=[timeline.seconds(span) for span in pulses],
            ignore=[timeline.seconds(span) for span in faint],
            notes=self._notes(),
            details=sorted(
                [self._detail(timeline, span, visible=True) for span in flashes]
                + [self._detail(timeline, span, visible=False) for span in unseen],
                key=lambda detail: detail.start,
            ),
        )

    @cached_property
    def _added(self) -> dict[int, FrameLight]:
        """The light that flashes add to each frame that they reach."""
        added: dict[int, FrameLight] = {}
        share = self._sensor.block_share(GRID)
        # Rain is noise as well: a flash must stand out from its changes in a block from frame to frame.
        rain = self._rain.noise_levels(self._world.light(0.0), GRID) if self._rain is not None else np.float32(0)
        for number in range(len(self)):
            if not any(weight is not None for weight in self._weights(number)):
                continue
            dark = self._canvas(number, color=False, flashes=False).light
            rise = levels_of(self._canvas(number, color=False).light) - levels_of(dark)
            noise = cv2.resize(self._sensor.noise_levels(dark), GRID, interpolation=cv2.INTER_AREA) * np.float32(share)
            blocks = cv2.resize(rise, GRID, interpolation=cv2.INTER_AREA)
            added[number] = frame_light(np.asarray(blocks, np.float32), np.asarray(np.hypot(noise, rain), np.float32))
        return added

    def _canvas(self, number: int, *, color: bool, flashes: bool = True) -> Canvas:
        """Return the light of frame `number`, before the sensor adds its noise."""
        seconds = float(self.seconds_of[number])
        acting = self._acting(number)
        world = self._elsewhere if any(one.elsewhere(since) for one, since in acting) else self._world
        canvas = Canvas(world.light(seconds), world.chroma if color else None)
        if self._rain is not None:
            self._rain.fall(canvas, number)
        if flashes and world is self._world:
            for flash, weight in zip(self._flashes, self._weights(number), strict=True):
                if weight is not None:
                    canvas.add(flash.field * weight, flash.tint)
        gain = self._dip(seconds)
        for one, since in acting:
            one.draw(since, canvas)
            gain *= one.gain(since)
        for one, since in acting:
            canvas.shift(*one.shift(since))
        canvas.scale(gain)
        return canvas

    def _edited(self, plane: NDArray[np.uint8], number: int, white: int) -> NDArray[np.uint8]:
        """Return `plane` after an editor, who may have faded it towards `white`."""
        share = max((one.white(since) for one, since in self._acting(number)), default=0.0)
        if share == 0:
            return plane
        return np.rint(plane + np.float32(share) * (white - plane.astype(np.float32))).astype(np.uint8)

    def _acting(self, number: int) -> list[tuple[Lookalike, float]]:
        seconds = float(self.seconds_of[number])
        return [(one, seconds - one.start) for one in self._lookalikes if one.start <= seconds < one.end]

    def _weights(self, number: int) -> list[NDArray[np.float32] | None]:
        """Return for each flash the light that each row gathers in this frame, or None if there is none."""
        return [self._shutter.gathered(flash.course, number) for flash in self._flashes]

    @cached_property
    def _seen(self) -> list[float]:
        """The time at which each flash is first in a frame: a camera reacts only to what it has seen (inf: never)."""
        seen = []
        for flash in self._flashes:
            at = flash.plan.at or 0.0
            first = max(0, int(np.searchsorted(self.seconds_of, at, side="right")) - 1)
            numbers = (n for n in range(first, len(self)) if self._shutter.gathered(flash.course, n) is not None)
            number = next(numbers, None)
            seen.append(np.inf if number is None else max(at, float(self.seconds_of[number])))
        return seen

    def _dip(self, seconds: float) -> float:
        """Return the factor of the exposure after strong flashes: it drops a little later and recovers slowly."""
        gain = 1.0
        for flash, seen in zip(self._flashes, self._seen, strict=True):
            since = seconds - seen - DIP_DELAY_SECONDS
            if flash.dip > 0 and since > 0:
                gain *= 1 - flash.dip * float(np.exp(-since / DIP_RETURN_SECONDS))
        return gain

    def _small_rgb(self, number: int, max_side: int | None) -> NDArray[np.uint8]:
        picture = self.rgb(number)
        scale = 1.0 if max_side is None else min(1.0, max_side / max(picture.shape))
        if scale == 1.0:
            return picture
        return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)

    def _detail(self, timeline: Timeline, span: Span, *, visible: bool) -> FlashTruth:
        start, end = timeline.seconds(span)
        peak = timeline.peak(span)
        first, last = (float(self.seconds_of[number]) for number in span)
        kinds = tuple(
            flash.plan.kind
            for flash in self._flashes
            if flash.course.span[0] < last + 2 * self.frame_seconds and flash.course.span[1] > first
        )
        return FlashTruth(start, end, kinds, visible, peak.strength, peak.peak_strength, peak.rise_levels, peak.area)

    def _notes(self) -> str:
        seen = [f"{flash.plan.kind} at {flash.plan.at:.3f} s" for flash in self._flashes]
        seen += [f"look-alike {one.plan.kind} {one.start:.3f}-{one.end:.3f} s" for one in self._lookalikes]
        return f"Made: {self.plan.sky}, {self.plan.land}, seed {self.plan.seed}. " + "; ".join(seen)


def _touches(span: Span, flashes: list[Span]) -> bool:
    return any(span[0] <= last + 1 and span[1] >= first - 1 for first, last in flashes)
