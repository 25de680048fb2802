"""Look-alikes: bright, sudden or moving things that are not lightning; every kind by its name."""

from storm.camera_tricks import Cut, DipToWhite, ExposureStep, Flicker, IrCut, Shake
from storm.lights import Aircraft, Fireworks, Headlights, Insects, Lamp, Sun
from storm.lookalike import LOOKALIKE_KINDS, Lookalike, LookalikeKind, LookalikePlan, Surroundings
from storm.rooms import Birds, Blank, LedCloud, TimeLapse, Welding
from storm.texture import dice

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
    "sun": Sun,
    "dip_to_white": DipToWhite,
    "welding": Welding,
    "led_cloud": LedCloud,
    "time_lapse": TimeLapse,
    "birds": Birds,
    "blank": Blank,
}

__all__ = ["LOOKALIKE_KINDS", "Lookalike", "LookalikeKind", "LookalikePlan", "Surroundings", "make_lookalike"]


def make_lookalike(plan: LookalikePlan, around: Surroundings, seed: int, number: int) -> Lookalike:
    """Make the look-alike of `plan` (with its time set)."""
    return _KINDS[plan.kind](plan, around, dice(seed, "lookalike", number))
