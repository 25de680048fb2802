"""The base of look-alikes: a plan, a time, and the ways in which they change a frame."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from storm.canvas import Canvas

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
    "sun",
    "dip_to_white",
    "welding",
    "led_cloud",
    "time_lapse",
    "birds",
    "blank",
]
LOOKALIKE_KINDS: tuple[LookalikeKind, ...] = get_args(LookalikeKind)
LAMPLIGHT = {"night": 1.0, "dusk": 0.4, "day": 0.06}
"""Brightness of lamps: by day the camera's exposure is shorter, and the same lamp is faint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookalikePlan:
    """The plan of one look-alike: kind, start in seconds (None = set by the schedule), strength (1 = usual)."""

    kind: LookalikeKind
    at: float | None = None
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The scene of a look-alike: (height, width), the sky, and the seconds that the shutter is open."""

    shape: tuple[int, int]
    sky: str
    open_seconds: float

    @property
    def lamplight(self) -> float:
        """Brightness of lamps under this sky."""
        return LAMPLIGHT[self.sky]


class Lookalike:
    """A change between `start` and `end` (seconds); each kind overrides the methods that it needs."""

    seconds = 4.0

    def __init__(self, plan: LookalikePlan, around: Surroundings, rng: np.random.Generator) -> None:
        self.plan = plan
        self.around = around
        self.shape = around.shape
        self.start = plan.at or 0.0
        self.rng = rng
        self.prepare()
        self.end = self.start + self.seconds

    def prepare(self) -> None:
        """Draw the random numbers once."""

    def draw(self, since: float, canvas: Canvas) -> None:
        """Add this kind's light, `since` seconds after its start."""

    def gain(self, since: float) -> float:  # noqa: ARG002 - the neutral answer
        """Return the factor of the camera's exposure."""
        return 1.0

    def shift(self, since: float) -> tuple[float, float]:  # noqa: ARG002 - the neutral answer
        """Return the displacement of the frame in pixels (right, down)."""
        return 0.0, 0.0

    def grey(self, since: float) -> bool:  # noqa: ARG002 - the neutral answer
        """Return whether the frame has lost its colour."""
        return False

    def white(self, since: float) -> float:  # noqa: ARG002 - the neutral answer
        """Return the share of the way to white that an editor faded every pixel, 0..1."""
        return 0.0

    def elsewhere(self, since: float) -> bool:  # noqa: ARG002 - the neutral answer
        """Return whether the frame shows another place (after a cut)."""
        return False
