"""Times: those of frames, and of flashes and look-alikes without a time."""

from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from storm.flashes import FlashPlan
from storm.lookalikes import LookalikePlan
from storm.plan import Plan, PlanError
from storm.texture import dice

TICKS_PER_SECOND = 30_000
"""Time stamps of variable frame rate are whole ticks of this clock; MPEG-4 part 2 allows no finer one above 65,535."""
Happening = TypeVar("Happening", FlashPlan, LookalikePlan)


def exact_rate(rate: float | Fraction) -> Fraction:
    """Return rates like 29.97 as their exact fraction (30000/1001)."""
    return rate if isinstance(rate, Fraction) else Fraction(rate).limit_denominator(1001)


def frame_times(plan: Plan) -> NDArray[np.float64]:
    """Return the rising seconds of all frames. Constant rate: number / rate, exactly; else whole `TICKS_PER_SECOND`."""
    rate = exact_rate(plan.rate)
    count = max(1, round(plan.seconds * float(rate)))
    times = np.arange(count) * rate.denominator / rate.numerator
    if plan.jitter == 0 and plan.drop == 0:
        return np.asarray(times, np.float64)
    rng = dice(plan.seed, "times")
    moved = times + rng.uniform(0, plan.jitter, count) / float(rate) * 0.99
    kept = rng.random(count) >= plan.drop
    kept[0] = True
    ticks = np.round(moved * TICKS_PER_SECOND)[kept]
    return np.asarray(ticks - ticks[0], np.float64) / TICKS_PER_SECOND


def scheduled(plan: Plan) -> tuple[list[FlashPlan], list[LookalikePlan]]:
    """Give each flash and look-alike of the plan a time.

    Returns:
        flashes and look-alikes, in the order asked for.

    Raises:
        PlanError: one is set outside the clip.
    """
    rng = dice(plan.seed, "schedule")
    return _spread(list(plan.flashes), plan.seconds, rng), _spread(list(plan.lookalikes), plan.seconds, rng)


def _spread(happenings: list[Happening], seconds: float, rng: np.random.Generator) -> list[Happening]:
    """Return all with a time: those without one share the clip evenly, each in the middle half of its part."""
    for one in happenings:
        if one.at is not None and not 0 <= one.at < seconds:
            raise PlanError(f"{one.kind} at {one.at:g} s: outside the clip of {seconds:g} s")
    free = [index for index, one in enumerate(happenings) if one.at is None]
    lead = min(1.2, seconds / 4)  # a detector needs some time to learn the scene
    part = (seconds - lead) / max(1, len(free))
    for turn, index in enumerate(free):
        at = lead + part * (turn + float(rng.uniform(0.1, 0.5)))
        happenings[index] = replace(happenings[index], at=at)
    return happenings
