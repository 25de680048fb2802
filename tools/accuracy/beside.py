"""Lights at the same time: a lamp, headlights or an insect beside a flash, and two cells with and without a veil."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from accuracy.grid import SIZE
from accuracy.trial import watch
from detector.candidate import Candidate
from storm import Camera, FlashPlan, LookalikePlan, Plan, Scene
from storm.lookalike import LookalikeKind
from storm.texture import dice

COMPACT: tuple[LookalikeKind, ...] = ("lamp", "insects", "headlights")
RATES = (15, 25, 30)
FLASH_AT = 5.0
END_SECONDS = 0.15
"""A flash's end is right if it is no further off: its last glow is lost in noise."""


@dataclass(frozen=True, slots=True)
class BesideCase:
    """A scene with a flash and something beside it; about: the look-alike, `cells` or `veil`."""

    about: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class BesideResult:
    """What came of it.

    right: whether every flash has a report with its own times (`veil`: whether every pulse is there with its place).
    reports: (start, end, pulses) of every candidate near the flashes, seconds.
    """

    case: BesideCase
    right: bool
    reports: list[tuple[float, float, int]]
    truth: list[tuple[float, float]]


def beside_cases(each: int, seed: int) -> Iterator[BesideCase]:
    """Yield `each` scenes with each look-alike, and as many of two cells without and with a veil."""
    for place, kind in enumerate(COMPACT):
        for number in range(each):
            yield _compact(dice(seed, f"beside {kind}", number), kind, seed * 1000 + 100 * place + number)
    for about in ("cells", "veil"):
        for number in range(each):
            yield _cells(dice(seed, about, number), about, seed * 1000 + 500 + number)


def try_beside(case: BesideCase) -> BesideResult:
    """Make the scene, watch it and compare."""
    scene = Scene(case.plan)
    found, _ = watch(scene.stream_frames())
    # Each flash by itself: whose light was seen when.
    alone = [Scene(replace(case.plan, flashes=(one,), lookalikes=())).truth() for one in case.plan.flashes]
    spans = [(labels.flashes[0][0], labels.flashes[-1][1]) for labels in alone if labels.flashes]
    near = [
        one for one in found if spans and one.start_seconds < spans[-1][1] + 1 and one.end_seconds > spans[0][0] - 1
    ]
    frame = 1.5 / float(case.plan.rate)
    if case.about == "veil":
        pulses = [pulse for labels in alone for pulse in labels.pulses]
        right = all(any(_has_pulse(one, start, frame) for one in near) for start, _ in pulses)
    else:
        right = all(any(_has_times(one, span, frame) for one in near) for span in spans)
    reports = [(one.start_seconds, one.end_seconds, len(one.pulses)) for one in near]
    return BesideResult(case, right, reports, spans)


def _has_times(one: Candidate, span: tuple[float, float], frame: float) -> bool:
    return abs(one.start_seconds - span[0]) <= frame and abs(one.end_seconds - span[1]) <= max(frame, END_SECONDS)


def _has_pulse(one: Candidate, start: float, frame: float) -> bool:
    return any(
        pulse.box is not None and abs(one.start_seconds + pulse.offset_seconds - start) <= frame for pulse in one.pulses
    )


def _compact(rng: np.random.Generator, kind: LookalikeKind, seed: int) -> BesideCase:
    flash = FlashPlan(
        kind="single" if rng.random() < 0.4 else "sheet",
        at=FLASH_AT + float(rng.uniform(0, 0.5)),
        rise=float(rng.uniform(25, 70)),
        y=float(rng.uniform(0.15, 0.4)),
        size=float(rng.uniform(0.8, 1.3)),
    )
    begins = FLASH_AT - float(rng.uniform(0.3, 3.0))
    look = LookalikePlan(kind=kind, at=begins, strength=float(rng.uniform(0.7, 1.5)))
    return BesideCase(kind, _plan(rng, seed, (flash,), (look,)))


def _cells(rng: np.random.Generator, about: str, seed: int) -> BesideCase:
    """Return two cells at the sides that take turns; a veil is the light of one that reaches the other's place."""
    wide = (0.35, 0.5) if about == "cells" else (1.6, 2.0)
    later = float(rng.uniform(0.12, 0.4))
    flashes = tuple(
        FlashPlan(
            kind="single",
            at=FLASH_AT + shift,
            rise=float(rng.uniform(25, 60)),
            x=x,
            y=float(rng.uniform(0.2, 0.35)),
            size=float(rng.uniform(*wide)),
        )
        for x, shift in ((0.15, 0.0), (0.85, later))
    )
    return BesideCase(about, _plan(rng, seed, flashes, ()))


def _plan(rng: np.random.Generator, seed: int, flashes: Sequence[FlashPlan], looks: Sequence[LookalikePlan]) -> Plan:
    return Plan(
        seconds=8.0,
        size=SIZE,
        rate=float(rng.choice(RATES)),
        land="hills",
        wind=float(rng.uniform(0, 0.5)),
        seed=seed,
        flashes=tuple(flashes),
        lookalikes=tuple(looks),
        camera=Camera(float(rng.choice((3.0, 6.0))), 1.0, 0.0),
    )
