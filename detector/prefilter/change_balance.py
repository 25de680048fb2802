"""Positivity: how much of what changes is light that was added."""

from dataclasses import dataclass

# What a scene adds by itself varies by a factor of two from moment to moment; three times as much is no chance.
BY_CHANCE, OUTSHINES = 2.0, 3.0
# A shift is known to a fraction of a pixel only, and leaves some hundredths of a bright edge that came nearer.
RESIDUAL_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ChangeBalance:
    """What changed between two frames.

    Attributes:
        gained: sum of the noticeable rises, levels.
        lost: sum of the noticeable falls, levels.
    """

    gained: float
    lost: float

    def positivity(self) -> float:
        """Return the share of rises in all noticeable changes, 0..1: added light darkens nothing, what moves does."""
        return self.gained / (self.gained + self.lost) if self.gained > 0 else 0.0

    def beyond(self, usual: "ChangeBalance | None") -> "ChangeBalance":
        """Return the balance without those falls that the scene has anyway.

        Traffic, trees and rain make a scene darker here and there all the time; the more a light outshines them, the
        less does that speak against it.

        Args:
            usual: what changes there without any light, or None if unknown.
        """
        if usual is None:
            return self
        share = (self.gained / max(usual.gained, 1e-6) - BY_CHANCE) / (OUTSHINES - BY_CHANCE)
        return ChangeBalance(self.gained, max(0.0, self.lost - min(1.0, max(0.0, share)) * usual.lost))

    def without_residual(self, whole: "ChangeBalance") -> "ChangeBalance":
        """Return this balance, which a shift of the frame leaves of `whole`; `NO_CHANGE` where it is too little.

        Along one bright edge the residual of a shift is as pure as light is.
        """
        return self if self.gained >= RESIDUAL_SHARE * whole.gained else NO_CHANGE

    def __add__(self, other: "ChangeBalance") -> "ChangeBalance":
        return ChangeBalance(self.gained + other.gained, self.lost + other.lost)

    def __sub__(self, other: "ChangeBalance") -> "ChangeBalance":
        return ChangeBalance(self.gained - other.gained, self.lost - other.lost)

    def __mul__(self, factor: float) -> "ChangeBalance":
        return ChangeBalance(self.gained * factor, self.lost * factor)


NO_CHANGE = ChangeBalance(0.0, 0.0)
