"""Positivity: the share of rises in the change between two frames."""

from dataclasses import dataclass

# The scene's own changes vary by a factor of two from moment to moment; three times as much is not chance.
BY_CHANCE, OUTSHINES = 2.0, 3.0
# A shift is known to a fraction of a pixel only, and leaves some hundredths of a bright edge that moved.
RESIDUAL_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class ChangeBalance:
    """The change between two frames.

    Attributes:
        gained: sum of the noticeable rises, levels.
        lost: sum of the noticeable falls, levels.
    """

    gained: float
    lost: float

    def positivity(self) -> float:
        """Return the share of rises in all noticeable changes, 0..1: motion darkens some places, added light none."""
        return self.gained / (self.gained + self.lost) if self.gained > 0 else 0.0

    def beyond(self, usual: "ChangeBalance | None") -> "ChangeBalance":
        """Return the balance without the falls that the scene always has.

        Traffic, trees and rain always darken some places; the more a light exceeds these changes, the less do such
        falls count against it.

        Args:
            usual: the usual change there without light, or None if unknown.
        """
        if usual is None:
            return self
        share = (self.gained / max(usual.gained, 1e-6) - BY_CHANCE) / (OUTSHINES - BY_CHANCE)
        return ChangeBalance(self.gained, max(0.0, self.lost - min(1.0, max(0.0, share)) * usual.lost))

    def without_residual(self, whole: "ChangeBalance") -> "ChangeBalance":
        """Return this balance, the residual of `whole` after a shift of the frame; `NO_CHANGE` if it is too small.

        Along one bright edge the residual of a shift has only rises, just as light does.
        """
        return self if self.gained >= RESIDUAL_SHARE * whole.gained else NO_CHANGE

    def __add__(self, other: "ChangeBalance") -> "ChangeBalance":
        return ChangeBalance(self.gained + other.gained, self.lost + other.lost)

    def __sub__(self, other: "ChangeBalance") -> "ChangeBalance":
        return ChangeBalance(self.gained - other.gained, self.lost - other.lost)

    def __mul__(self, factor: float) -> "ChangeBalance":
        return ChangeBalance(self.gained * factor, self.lost * factor)


NO_CHANGE = ChangeBalance(0.0, 0.0)
