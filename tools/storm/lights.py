"""Look-alikes in front of the camera: lamps, cars, aircraft, insects, fireworks, the sun."""
# ruff: noqa: D102 - the methods of each kind are those of Lookalike, described there

import numpy as np

from storm.canvas import Canvas
from storm.lookalike import Lookalike
from storm.texture import blob


class Headlights(Lookalike):
    """A car approaches along the ground: two lamps, their glow on road and air, then it turns away."""

    def prepare(self) -> None:
        height, width = self.shape
        self.seconds = float(self.rng.uniform(2.5, 6))
        self._from, self._to = self.rng.uniform(0.1, 0.9, 2) * width
        self._y = height * float(self.rng.uniform(0.8, 0.93))
        self._turn = float(self.rng.uniform(0.75, 0.95))
        self._pool = blob((2 * height, 2 * width), (width, height), (width * 0.12, height * 0.10))

    def draw(self, since: float, canvas: Canvas) -> None:
        height, width = self.shape
        share = since / self.seconds
        near = 0.08 + share**3
        # the beams sweep past within a few tenths of a second: this part resembles a flash
        sweep = 1 + 2.5 * np.exp(-(((share - self._turn) / 0.05) ** 2))
        come = min(1.0, since / 0.5)  # it appears out of the haze, and is not switched on
        fade = come if share < self._turn else max(0.0, 1 - (share - self._turn) / (1 - self._turn))
        level = self.plan.strength * self.around.lamplight * near * sweep * fade
        x = self._from + (self._to - self._from) * share
        left = int(np.clip(round(width - x), 0, width))
        top = int(np.clip(round(height - self._y), 0, height))
        canvas.add(self._pool[top : top + height, left : left + width] * np.float32(0.12 * level), (-0.12, 0.05))
        apart = width * 0.035 * near
        lamp = 1.5 * level + 0.2 * fade * self.around.lamplight
        for side in (-1, 1):
            canvas.spot((x + side * apart, self._y), height * (0.004 + 0.012 * near), lamp, (-0.04, 0.02))


class Aircraft(Lookalike):
    """A small point crosses the sky: steady red light, white double strobe about once a second."""

    def prepare(self) -> None:
        height, width = self.shape
        self.seconds = float(self.rng.uniform(6, 15))
        self._from = np.array([self.rng.uniform(0, width), self.rng.uniform(0.05, 0.5) * height])
        self._speed = np.array([self.rng.choice((-1, 1)) * self.rng.uniform(0.02, 0.08) * width, -0.005 * height])
        self._period = float(self.rng.uniform(0.9, 1.3))

    def draw(self, since: float, canvas: Canvas) -> None:
        x, y = self._from + self._speed * since
        size = max(0.6, self.shape[0] / 400)
        level = self.plan.strength * self.around.lamplight
        canvas.spot((x, y), size, 0.03 * level, (-0.1, 0.35))
        for strobe in (0.0, 0.12):  # a strobe is shorter than any exposure: visible if it falls into one
            if (since - strobe) % self._period > self._period - self.around.open_seconds:
                canvas.spot((x, y), 1.6 * size, 0.9 * level)


class Insects(Lookalike):
    """Insects close to the lens, out of focus and fast: bright at night in the camera's own lamps, dark by day."""

    def prepare(self) -> None:
        height, width = self.shape
        self._flights = []
        for _ in range(int(self.rng.integers(4, 10))):
            start = float(self.rng.uniform(0, self.seconds - 0.6))
            lasts = float(self.rng.uniform(0.15, 0.8))
            way = self.rng.uniform(-0.2, 1.2, 2) * (width, height)
            speed = self.rng.normal(0, 0.9, 2) * width
            radius = float(self.rng.uniform(0.012, 0.06)) * height
            level = float(self.rng.uniform(0.1, 1.2)) * self.plan.strength
            self._flights.append((start, lasts, way, speed, radius, level, float(self.rng.uniform(6, 14))))

    def draw(self, since: float, canvas: Canvas) -> None:
        shade = 1.0 if self.around.sky == "night" else -1.0
        for start, lasts, way, speed, radius, level, wobble in self._flights:
            first, last = max(start, since), min(start + lasts, since + self.around.open_seconds)
            if last <= first:
                continue
            # while the shutter is open it draws a streak; a longer streak is fainter
            count = int(np.clip(np.hypot(*speed) * (last - first) / radius, 1, 16))
            share = shade * level * (last - first) / self.around.open_seconds / count
            for moment in np.linspace(first, last, count + 2)[1:-1] - start:
                x, y = way + speed * moment
                canvas.spot((x, y + radius * 1.5 * np.sin(wobble * 2 * np.pi * moment)), radius, share)


class Fireworks(Lookalike):
    """Rockets burst into coloured sparks with falling, fading tails; smoke and clouds glow for a moment."""

    seconds = 8.0

    def prepare(self) -> None:
        height, width = self.shape
        self._bursts = []
        at = 0.2
        while at < self.seconds - 2:
            centre = np.array([self.rng.uniform(0.2, 0.8) * width, self.rng.uniform(0.15, 0.5) * height])
            count = int(self.rng.integers(60, 140))
            angle = self.rng.uniform(0, 2 * np.pi, count)
            away = np.sqrt(1 - self.rng.uniform(-1, 1, count) ** 2)  # a ball of sparks, seen from the side
            speed = away * self.rng.uniform(0.85, 1.0, count) * height * float(self.rng.uniform(0.3, 0.6))
            tint = (float(self.rng.uniform(-0.35, 0.3)), float(self.rng.uniform(-0.2, 0.4)))
            self._bursts.append((at, centre, np.stack([np.cos(angle), np.sin(angle)], 1) * speed[:, None], tint))
            at += float(self.rng.uniform(0.3, 1.6))

    def draw(self, since: float, canvas: Canvas) -> None:
        height = self.shape[0]
        level = self.plan.strength * self.around.lamplight
        for at, centre, speeds, tint in self._bursts:
            age = since - at
            if not 0 <= age < 2.0:
                continue
            fade = float(np.exp(-age / 0.7)) * level
            burst = float(np.exp(-age / 0.15)) * level
            canvas.spot((centre[0], centre[1]), height * 0.2, 0.05 * fade + 0.10 * burst, tint)
            canvas.spot((centre[0], centre[1]), height * 0.02, 1.5 * burst, tint)
            for back, share in ((0.0, 0.9), (0.03, 0.5), (0.07, 0.25)):
                flown = max(0.0, age - back)
                spread = (1 - np.exp(-2.2 * flown)) / 2.2
                sparks = centre + speeds * spread + np.array([0, 0.06 * height * flown * flown])
                canvas.points(sparks, max(0.7, height / 360), share * fade, tint)


class Lamp(Lookalike):
    """A lamp that blinks on and off forever (hazard lights, a broken street lamp), with its glow."""

    seconds = 12.0

    def prepare(self) -> None:
        height, width = self.shape
        self._period = float(self.rng.uniform(0.4, 1.6))
        self._on = float(self.rng.uniform(0.1, 0.5))
        self._place = (float(self.rng.uniform(0.1, 0.9)) * width, float(self.rng.uniform(0.78, 0.95)) * height)
        self._tint = (float(self.rng.uniform(-0.3, 0.25)), float(self.rng.uniform(-0.05, 0.3)))

    def draw(self, since: float, canvas: Canvas) -> None:
        if (since / self._period) % 1 < self._on:
            level = self.plan.strength * self.around.lamplight
            canvas.spot(self._place, self.shape[0] * 0.012, 1.0 * level, self._tint)
            canvas.spot(self._place, self.shape[0] * 0.09, 0.05 * level, self._tint)


class Sun(Lookalike):
    """The sun (at night the moon) shines through a gap in the clouds: a wide part of the view brightens and fades."""

    seconds = 8.0

    def prepare(self) -> None:
        height, width = self.shape
        centre = (float(self.rng.uniform(0, 1)) * width, float(self.rng.uniform(0.2, 1)) * height)
        self._patch = blob(self.shape, centre, (width * float(self.rng.uniform(0.15, 0.5)), height * 0.3))
        self._takes = float(self.rng.uniform(0.8, 3))
        self._level = float(self.rng.uniform(0.1, 0.4))

    def draw(self, since: float, canvas: Canvas) -> None:
        share = np.clip(min(since, self.seconds - since) / self._takes, 0, 1)
        smooth = share * share * (3 - 2 * share)
        brighter = np.float32(self._level * self.plan.strength * smooth)
        canvas.add(canvas.light * self._patch * brighter, (-0.04, 0.02))
