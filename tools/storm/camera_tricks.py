"""Look-alikes made by the camera itself, its mount or an editor: exposure, filter, shake, flicker, cuts."""
# ruff: noqa: D102 - the methods of each kind are those of Lookalike, described there

import numpy as np

from storm.canvas import Canvas
from storm.lookalike import Lookalike
from storm.texture import blob


class ExposureStep(Lookalike):
    """The camera changes its exposure within a few frames, and some seconds later returns as suddenly."""

    def prepare(self) -> None:
        self.seconds = float(self.rng.uniform(2.5, 6))
        self._takes = float(self.rng.choice([0.001, 0.08, 0.2]))
        self._factor = 1 + self.plan.strength * float(self.rng.uniform(0.5, 2.5))

    def gain(self, since: float) -> float:
        up = min(1.0, since / self._takes)
        down = min(1.0, max(0.0, (self.seconds - since) / self._takes))
        return float(self._factor ** min(up, down))


class IrCut(Lookalike):
    """The camera switches its infra-red filter: dark for a moment, too bright, then grey and lit by its own lamps."""

    def prepare(self) -> None:
        self.seconds = float(self.rng.uniform(4, 8))
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
            canvas.add(self._lamp * np.float32(0.05 * self.plan.strength * self.around.lamplight))


class Cut(Lookalike):
    """An edited clip: another place for some seconds, without a transition."""

    seconds = 3.0

    def elsewhere(self, since: float) -> bool:  # noqa: ARG002
        return True


class DipToWhite(Lookalike):
    """An editor's transition: the frame fades to white and back, to the same place or to another for some seconds."""

    def prepare(self) -> None:
        self._takes = float(self.rng.uniform(0.1, 0.5))
        self._away = bool(self.rng.random() < 0.5)
        self.seconds = self._takes + (3.0 if self._away else 0.0)

    def white(self, since: float) -> float:
        near = min(since, self.seconds - since)
        return min(1.0, self.plan.strength) * max(0.0, 1.0 - abs(2.0 * near / self._takes - 1.0))

    def elsewhere(self, since: float) -> bool:
        return self._away and self._takes / 2 <= since < self.seconds - self._takes / 2


class Shake(Lookalike):
    """Wind or a hand moves the camera; it swings back."""

    def prepare(self) -> None:
        self.seconds = float(self.rng.uniform(0.6, 2.5))
        self._size = self.rng.uniform(0.004, 0.03, 2) * self.plan.strength * self.shape[1]
        self._pace = self.rng.uniform(3, 9, 2)

    def shift(self, since: float) -> tuple[float, float]:
        fade = np.sin(np.pi * since / self.seconds)
        x, y = self._size * np.sin(2 * np.pi * self._pace * since) * fade
        return float(x), float(y) / 2


class Flicker(Lookalike):
    """Mains light beats with the frame rate: the whole frame varies by some percent."""

    seconds = 12.0

    def prepare(self) -> None:
        self._pace = float(self.rng.uniform(0.5, 11))
        self._depth = float(self.rng.uniform(0.05, 0.25)) * self.plan.strength

    def gain(self, since: float) -> float:
        return 1 + self._depth * float(np.sin(2 * np.pi * self._pace * since))
