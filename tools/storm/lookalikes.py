"""Look-alikes: what is bright, sudden or moving and is not lightning."""
# ruff: noqa: D102 - the methods of each kind are those of Lookalike, described there

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from storm.canvas import Canvas
from storm.texture import blob, dice

LookalikeKind = Literal[
    "headlights",
    "exposure_step",
    "ir_cut",
    "aircraft",
    "insects",
    "fireworks",
    "cut",
    "shake",
    "lamp",
    "flicker",
]
LOOKALIKE_KINDS: tuple[LookalikeKind, ...] = get_args(LookalikeKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookalikePlan:
    """One look-alike to be: its kind, its start in seconds (None = left to the schedule), its strength (1 = usual)."""

    kind: LookalikeKind
    at: float | None = None
    strength: float = 1.0


class Lookalike:
    """What happens between `start` and `end` (seconds); each kind overrides the part that it acts on."""

    seconds = 4.0

    def __init__(self, plan: LookalikePlan, shape: tuple[int, int], rng: np.random.Generator) -> None:
        self.plan = plan
        self.shape = shape
        self.start = plan.at or 0.0
        self.end = self.start + self.seconds
        self.rng = rng
        self.prepare()

    def prepare(self) -> None:
        """Roll the dice once."""

    def draw(self, since: float, canvas: Canvas) -> None:
        """Add this kind's light, `since` seconds after its start."""

    def gain(self, since: float) -> float:  # noqa: ARG002 - the neutral answer
        """By what the camera's exposure differs from usual."""
        return 1.0

    def shift(self, since: float) -> tuple[float, float]:  # noqa: ARG002 - the neutral answer
        """By how many pixels the picture is displaced (right, down)."""
        return 0.0, 0.0

    def grey(self, since: float) -> bool:  # noqa: ARG002 - the neutral answer
        """Whether the picture has lost its colour."""
        return False

    def elsewhere(self, since: float) -> bool:  # noqa: ARG002 - the neutral answer
        """Whether the picture shows another place (after a hard cut)."""
        return False


class Headlights(Lookalike):
    """A car comes nearer along the ground: two lamps, their glow on road and air, then it turns away."""

    def prepare(self) -> None:
        height, width = self.shape
        self.seconds = float(self.rng.uniform(2.5, 6))
        self.end = self.start + self.seconds
        self._from, self._to = self.rng.uniform(0.1, 0.9, 2) * width
        self._y = height * float(self.rng.uniform(0.8, 0.93))
        self._turn = float(self.rng.uniform(0.75, 0.95))
        self._pool = blob((2 * height, 2 * width), (width, height), (width * 0.12, height * 0.10))

    def draw(self, since: float, canvas: Canvas) -> None:
        height, width = self.shape
        share = since / self.seconds
        near = 0.08 + share**3
        # the beams sweep past within a few tenths of a second: the part that is mistaken for a flash
        sweep = 1 + 2.5 * np.exp(-(((share - self._turn) / 0.05) ** 2))
        fade = 1.0 if share < self._turn else max(0.0, 1 - (share - self._turn) / (1 - self._turn))
        level = self.plan.strength * near * sweep * fade
        x = self._from + (self._to - self._from) * share
        left, top = round(width - x), round(height - self._y)
        left, top = int(np.clip(left, 0, width)), int(np.clip(top, 0, height))
        canvas.add(self._pool[top : top + height, left : left + width] * np.float32(0.12 * level), (-0.12, 0.05))
        apart = width * 0.035 * near
        for side in (-1, 1):
            canvas.spot(
                (x + side * apart, self._y), height * (0.004 + 0.012 * near), 1.5 * level + 0.2 * fade, (-0.04, 0.02)
            )


class ExposureStep(Lookalike):
    """The camera changes its exposure within a few frames, and some seconds later goes back as suddenly."""

    def prepare(self) -> None:
        self.seconds = float(self.rng.uniform(2.5, 6))
        self.end = self.start + self.seconds
        self._takes = float(self.rng.choice([0.001, 0.08, 0.2]))
        self._factor = 1 + self.plan.strength * float(self.rng.uniform(0.5, 2.5))

    def gain(self, since: float) -> float:
        up = min(1.0, since / self._takes)
        down = min(1.0, max(0.0, (self.seconds - since) / self._takes))
        return float(self._factor ** min(up, down))


class IrCut(Lookalike):
    """The camera swings its infra-red filter: dark for a moment, too bright, then grey and lit by its own lamps."""

    def prepare(self) -> None:
        self.seconds = float(self.rng.uniform(4, 8))
        self.end = self.start + self.seconds
        height, width = self.shape
        self._lamp = blob(self.shape, (width / 2, height * 0.8), (width * 0.35, height * 0.3))

    def gain(self, since: float) -> float:
        rest = self.seconds - since
        if since < 0.12 or rest < 0.12:
            return 0.35
        return 1.6 + 3.0 * self.plan.strength * float(np.exp(-(since - 0.12) / 0.15))

    def grey(self, since: float) -> bool:
        return since >= 0.08

    def draw(self, since: float, canvas: Canvas) -> None:
        if since >= 0.12:
            canvas.add(self._lamp * np.float32(0.05 * self.plan.strength))


class Aircraft(Lookalike):
    """A small point crosses the sky: steady red light, white double strobe about once a second."""

    def prepare(self) -> None:
        height, width = self.shape
        self.seconds = float(self.rng.uniform(6, 15))
        self.end = self.start + self.seconds
        self._from = np.array([self.rng.uniform(0, width), self.rng.uniform(0.05, 0.5) * height])
        self._speed = np.array([self.rng.choice((-1, 1)) * self.rng.uniform(0.02, 0.08) * width, -0.005 * height])
        self._period = float(self.rng.uniform(0.9, 1.3))

    def draw(self, since: float, canvas: Canvas) -> None:
        x, y = self._from + self._speed * since
        size = max(0.6, self.shape[0] / 400)
        canvas.spot((x, y), size, 0.03 * self.plan.strength, (-0.1, 0.35))
        phase = since % self._period
        if phase < 0.05 or 0.12 <= phase < 0.17:
            canvas.spot((x, y), 1.6 * size, 0.9 * self.plan.strength)


class Insects(Lookalike):
    """Insects close to the lens, lit by the camera's own lamps: big, blurred, quick."""

    def prepare(self) -> None:
        height, width = self.shape
        self._flights = []
        for _ in range(int(self.rng.integers(4, 10))):
            start = float(self.rng.uniform(0, self.seconds - 0.6))
            lasts = float(self.rng.uniform(0.15, 0.8))
            way = self.rng.uniform(-0.2, 1.2, 2) * (width, height)
            speed = self.rng.normal(0, 0.9, 2) * width
            radius = float(self.rng.uniform(0.012, 0.06)) * height
            level = float(self.rng.uniform(0.03, 0.35)) * self.plan.strength
            self._flights.append((start, lasts, way, speed, radius, level, float(self.rng.uniform(6, 14))))

    def draw(self, since: float, canvas: Canvas) -> None:
        for start, lasts, way, speed, radius, level, wobble in self._flights:
            flown = since - start
            if 0 <= flown < lasts:
                x, y = way + speed * flown
                y += radius * 1.5 * np.sin(wobble * 6.28 * flown)
                for back in (0.0, 0.25, 0.5):  # the streak that it leaves while the shutter is open
                    canvas.spot(
                        (x - speed[0] * back * 0.03, y - speed[1] * back * 0.03), radius, level / 2, (0.01, 0.0)
                    )


class Fireworks(Lookalike):
    """Rockets burst into coloured sparks with tails that fall and die; smoke and clouds glow for a moment."""

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
        for at, centre, speeds, tint in self._bursts:
            age = since - at
            if not 0 <= age < 2.0:
                continue
            fade = float(np.exp(-age / 0.7)) * self.plan.strength
            burst = float(np.exp(-age / 0.15)) * self.plan.strength
            canvas.spot((centre[0], centre[1]), height * 0.2, 0.05 * fade + 0.10 * burst, tint)
            canvas.spot((centre[0], centre[1]), height * 0.02, 1.5 * burst, tint)
            for back, share in ((0.0, 0.9), (0.03, 0.5), (0.07, 0.25)):
                flown = max(0.0, age - back)
                spread = (1 - np.exp(-2.2 * flown)) / 2.2
                sparks = centre + speeds * spread + np.array([0, 0.06 * height * flown * flown])
                canvas.points(sparks, max(0.7, height / 360), share * fade, tint)


class Cut(Lookalike):
    """An edited clip: another place for some seconds, with nothing between."""

    seconds = 3.0

    def elsewhere(self, since: float) -> bool:  # noqa: ARG002
        return True


class Shake(Lookalike):
    """Wind or a hand moves the camera; it swings back."""

    def prepare(self) -> None:
        self.seconds = float(self.rng.uniform(0.6, 2.5))
        self.end = self.start + self.seconds
        self._size = self.rng.uniform(0.004, 0.03, 2) * self.plan.strength * self.shape[1]
        self._pace = self.rng.uniform(3, 9, 2)

    def shift(self, since: float) -> tuple[float, float]:
        fade = np.sin(np.pi * since / self.seconds)
        x, y = self._size * np.sin(2 * np.pi * self._pace * since) * fade
        return float(x), float(y) / 2


class Lamp(Lookalike):
    """A lamp that blinks on and off for ever (hazard lights, a broken street lamp), with its glow."""

    seconds = 12.0

    def prepare(self) -> None:
        height, width = self.shape
        self._period = float(self.rng.uniform(0.4, 1.6))
        self._on = float(self.rng.uniform(0.1, 0.5))
        self._place = (float(self.rng.uniform(0.1, 0.9)) * width, float(self.rng.uniform(0.78, 0.95)) * height)
        self._tint = (float(self.rng.uniform(-0.3, 0.25)), float(self.rng.uniform(-0.05, 0.3)))

    def draw(self, since: float, canvas: Canvas) -> None:
        if (since / self._period) % 1 < self._on:
            canvas.spot(self._place, self.shape[0] * 0.012, 1.0 * self.plan.strength, self._tint)
            canvas.spot(self._place, self.shape[0] * 0.09, 0.05 * self.plan.strength, self._tint)


class Flicker(Lookalike):
    """Mains light beats with the frame rate: the whole picture waxes and wanes by some percent."""

    seconds = 12.0

    def prepare(self) -> None:
        self._pace = float(self.rng.uniform(0.5, 11))
        self._depth = float(self.rng.uniform(0.05, 0.25)) * self.plan.strength

    def gain(self, since: float) -> float:
        return 1 + self._depth * float(np.sin(2 * np.pi * self._pace * since))


_KINDS: dict[LookalikeKind, type[Lookalike]] = {
    "headlights": Headlights,
    "exposure_step": ExposureStep,
    "ir_cut": IrCut,
    "aircraft": Aircraft,
    "insects": Insects,
    "fireworks": Fireworks,
    "cut": Cut,
    "shake": Shake,
    "lamp": Lamp,
    "flicker": Flicker,
}


def make_lookalike(plan: LookalikePlan, shape: tuple[int, int], seed: int, number: int) -> Lookalike:
    """The look-alike that `plan` (with its time set) asks for."""
    return _KINDS[plan.kind](plan, shape, dice(seed, "lookalike", number))
