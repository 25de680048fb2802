"""What every look-alike is: a plan, a time, and the few ways in which it can touch a frame."""

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
]
LOOKALIKE_KINDS: tuple[LookalikeKind, ...] = get_args(LookalikeKind)
LAMPLIGHT = {"night": 1.0, "dusk": 0.4, "day": 0.06}
"""How bright lamps look: by day the camera's exposure is shorter, and the same lamp hardly shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookalikePlan:
    """One look-alike to be: its kind, its start in seconds (None = left to the schedule), its strength (1 = usual)."""

    kind: LookalikeKind
    at: float | None = None
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a look-alike happens: (height, width), the sky, and for how many seconds the shutter is open."""

    shape: tuple[int, int]
    sky: str
    open_seconds: float

    @property
    def lamplight(self) -> float:
        """How bright lamps look under this sky."""
        return LAMPLIGHT[self.sky]


class Lookalike:
    """What happens between `start` and `end` (seconds); each kind overrides the part that it acts on."""

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

    def white(self, since: float) -> float:  # noqa: ARG002 - the neutral answer
        """Which share of the way to white an editor took every pixel, 0..1."""
        return 0.0

    def elsewhere(self, since: float) -> bool:  # noqa: ARG002 - the neutral answer
        """Whether the picture shows another place (after a cut)."""
        return False
