"""Look-alikes of rooms, yards and web cams: welding, a storm lamp, a time-lapse, birds, a camera without an image."""
# ruff: noqa: D102 - the methods of each kind are those of Lookalike, described there

import numpy as np

from storm.canvas import Canvas
from storm.lookalike import Lookalike
from storm.texture import Plane, blob


class Welding(Lookalike):
    """An arc near the ground burns for seconds, as bluish and as restless as lightning, and throws sparks."""

    def prepare(self) -> None:
        height, width = self.shape
        self.seconds = float(self.rng.uniform(1.5, 5))
        self._place = (float(self.rng.uniform(0.15, 0.85)) * width, height * float(self.rng.uniform(0.7, 0.95)))
        pool = blob(self.shape, self._place, (width * 0.25, height * 0.22))
        near = blob(self.shape, self._place, (width * 0.05, height * 0.06))
        self._pool: Plane = np.asarray(np.float32(0.12) * pool + np.float32(0.6) * near, np.float32)
        # An arc goes out now and then: the wire sticks, the hand lifts.
        self._gaps = np.sort(self.rng.uniform(0.2, self.seconds, 3))

    def draw(self, since: float, canvas: Canvas) -> None:
        if any(0 <= since - gap < 0.15 for gap in self._gaps):
            return
        at = _dice(self.start, since)
        level = self.plan.strength * self.around.lamplight * float(at.uniform(0.3, 1.0))
        canvas.add(self._pool * np.float32(level), (0.14, -0.02))
        canvas.spot(self._place, self.shape[0] * 0.02, 3.0 * level, (0.1, 0.0))
        away = np.array(self._place) + at.normal(0, 0.06, (25, 2)) * self.shape[1]
        canvas.points(away, max(0.7, self.shape[0] / 400), 0.5 * level, (-0.25, 0.15))


class LedCloud(Lookalike):
    """A lamp of cotton and white diodes that imitates a storm cloud: groups of random pulses, lit from within."""

    seconds = 6.0

    def prepare(self) -> None:
        height, width = self.shape
        centre = (float(self.rng.uniform(0.3, 0.7)) * width, float(self.rng.uniform(0.25, 0.5)) * height)
        self._parts = [
            blob(
                self.shape, tuple(np.array(centre) + self.rng.normal(0, 0.08, 2) * width), (width * 0.16, height * 0.2)
            )
            for _ in range(4)
        ]
        self._wall = blob(self.shape, centre, (width * 0.6, height * 0.6))
        starts = np.sort(self.rng.uniform(0.2, self.seconds - 0.5, int(self.rng.integers(8, 20))))
        self._pulses = [
            (
                float(start),
                float(self.rng.uniform(0.03, 0.15)),
                int(self.rng.integers(4)),
                float(self.rng.uniform(0.3, 1)),
            )
            for start in starts
        ]

    def draw(self, since: float, canvas: Canvas) -> None:
        for start, lasts, part, share in self._pulses:
            if start <= since < start + lasts:
                level = np.float32(0.5 * share * self.plan.strength * self.around.lamplight)
                canvas.add(self._parts[part] * level + self._wall * level * np.float32(0.1), (0.06, 0.0))


class TimeLapse(Lookalike):
    """A time-lapse of a room: in each frame people are elsewhere, daylight wavers, and in some a lamp is on."""

    seconds = 10.0

    def draw(self, since: float, canvas: Canvas) -> None:
        height, width = self.shape
        at = _dice(self.start, since)
        canvas.scale(float(at.uniform(0.93, 1.07)))
        for _ in range(int(at.integers(2, 6))):
            place = (float(at.uniform(0, 1)) * width, float(at.uniform(0.6, 1)) * height)
            person = blob(self.shape, place, (width * 0.025, height * 0.1))
            canvas.add(canvas.light * person * np.float32(at.uniform(-0.9, 0.9)))
        if at.random() < 0.06:
            lamp = (float(at.choice((0.2, 0.5, 0.8))) * width, height * 0.2)
            level = self.plan.strength * self.around.lamplight
            canvas.spot(lamp, height * 0.03, 1.5 * level, (-0.06, 0.03))
            canvas.add(blob(self.shape, lamp, (width * 0.4, height * 0.5)) * np.float32(0.15 * level), (-0.06, 0.03))


class Birds(Lookalike):
    """Birds before a web cam: some fly past, one sits before the lens and leaves."""

    seconds = 8.0

    def prepare(self) -> None:
        height, width = self.shape
        self._flights = []
        for _ in range(int(self.rng.integers(3, 9))):
            start = float(self.rng.uniform(0, self.seconds - 1))
            way = self.rng.uniform(0, 1, 2) * (width, height * 0.7)
            speed = self.rng.normal(0, 0.35, 2) * width
            self._flights.append((start, way, speed, float(self.rng.uniform(0.01, 0.06)) * width))
        self._sits = np.sort(self.rng.uniform(0.3, self.seconds - 0.3, 2))
        self._seat = self.rng.uniform(0.2, 0.8, 2) * (width, height)
        self._size = float(self.rng.uniform(0.06, 0.2)) * width

    def draw(self, since: float, canvas: Canvas) -> None:
        shade = np.zeros(self.shape, np.float32)
        for start, way, speed, size in self._flights:
            if 0 <= since - start < 1:
                wings = size * (1 + 0.5 * float(np.sin(30 * since)))
                shade = np.maximum(shade, blob(self.shape, tuple(way + speed * (since - start)), (wings, 0.4 * size)))
        if self._sits[0] <= since < self._sits[1]:
            shade = np.maximum(shade, blob(self.shape, tuple(self._seat), (self._size, self._size)))
        canvas.add(canvas.light * np.minimum(shade * 2, 0.9) * np.float32(-min(1.0, self.plan.strength)))


class Blank(Lookalike):
    """A camera that loses its image: some frames are black, then its exposure recovers."""

    def prepare(self) -> None:
        self._dark = float(self.rng.uniform(0.05, 1.5))
        self._takes = float(self.rng.choice([0.001, 0.1, 0.4]))
        self.seconds = self._dark + 8 * self._takes

    def gain(self, since: float) -> float:
        return 0.02 if since < self._dark else 1 - 0.98 * float(np.exp(-(since - self._dark) / self._takes))


def _dice(start: float, since: float) -> np.random.Generator:
    """Return random numbers for one frame of a look-alike, whatever frames were made before."""
    return np.random.default_rng([round(1e3 * start), round(1e3 * since)])
