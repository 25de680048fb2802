"""Flashes: the light of each kind in space and in time."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np

from storm.bolt import draw_bolt
from storm.camera import levels_of, light_of
from storm.shutter import Course, Shutter
from storm.texture import Plane, blob, blurred, dice
from storm.world import World

FlashKind = Literal["sheet", "bolt", "crawler", "distant", "pulses", "single", "band", "afterglow", "dip", "whiteout"]
FLASH_KINDS: tuple[FlashKind, ...] = get_args(FlashKind)
CALIBRATION_GRID = (32, 18)
STROKE_SECONDS = 0.002
"""Light of a return stroke fades within milliseconds, less than any frame."""
DEEPEST_DIP = 0.35
WHITE_OUT = 8.0
"""Light of a white-out's first stroke, in multiples of what gives its rise; the weaker ones have about that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashPlan:
    """The plan of one flash: its kind, and the values that are not random.

    Attributes:
        kind: sheet (cloud lit from inside), bolt (channel with branches), crawler (channel along the cloud base),
            distant (small, low), pulses (3 to 6 re-strikes, 40 to 400 ms apart), single (light in one frame only), band
            (a stroke that a rolling shutter cuts in two), afterglow (light that fades over most of a second), dip (the
            camera's exposure drops after it), whiteout (a stroke that saturates its part of the sky, and 3 to 5 of a
            twentieth of its light).
        at: seconds of its first stroke.
        rise: levels by which its brightest block rises.
        x: centre, share 0..1 from the left.
        y: centre, share 0..1 from the top.
        size: width of the lit cloud, 1 = as usual for its kind.
        slow: times slower than life, as a high-speed camera's playback shows it.
    """

    kind: FlashKind
    at: float | None = None
    rise: float | None = None
    pulses: int | None = None
    x: float | None = None
    y: float | None = None
    size: float = 1.0
    slow: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Flash:
    """A flash for rendering: `field` (height, width) is its light at the peak, `course` its light over time."""

    plan: FlashPlan
    field: Plane
    course: Course
    tint: tuple[float, float]
    dip: float


def make_flash(plan: FlashPlan, world: World, shutter: Shutter, seed: int, number: int) -> Flash:
    """Make the flash of `plan` (with its time set), in front of `world` and seen through `shutter`."""
    rng = dice(seed, "flash", number)
    at = _settled(plan, shutter, rng)
    plan = replace(plan, at=at)
    spot, channel = _shapes(plan, world, rng)
    rise = plan.rise if plan.rise is not None else float(rng.uniform(35, 110))
    blocks = cv2.resize(spot, CALIBRATION_GRID, interpolation=cv2.INTER_AREA)
    dark = cv2.resize(world.light(at), CALIBRATION_GRID, interpolation=cv2.INTER_AREA)
    place = np.unravel_index(int(np.argmax(blocks)), blocks.shape)
    shown = float(levels_of(np.asarray(dark[place])))
    needed = float(light_of(shown + rise)) - float(dark[place])
    field = spot * np.float32(needed / max(float(blocks[place]), 1e-6))
    if channel is not None:
        field += channel * np.float32(min(2.0, 10 * needed + float(light_of(60))))
    course = _course(plan, rng, shutter.frame_seconds)
    brightest = shutter.brightest(course)
    course = course.scaled((WHITE_OUT if plan.kind == "whiteout" else 1) / brightest) if brightest > 0 else course
    violet = float(rng.uniform(0.3, 1.0))
    # An exposure control restores the mean that it is set for, and goes no lower.
    brighter = float(field.mean()) / max(float(world.light(at).mean()), 1e-6)
    dip = min(DEEPEST_DIP, brighter / (1 + brighter)) if plan.kind == "dip" else 0.0
    return Flash(plan, field, course, (0.10 + 0.10 * violet, 0.06 * violet), dip)


def _settled(plan: FlashPlan, shutter: Shutter, rng: np.random.Generator) -> float:
    """Return the time of the first stroke: kinds about the shutter need it at the right part of a frame."""
    at = plan.at or 0.0
    if plan.kind == "single":
        return shutter.inside_one_frame(at)
    if plan.kind == "band":
        return shutter.across_two_frames(at, float(rng.uniform(0.25, 0.6)))
    return at


def _shapes(plan: FlashPlan, world: World, rng: np.random.Generator) -> tuple[Plane, Plane | None]:
    """Return the light in the clouds (and a little on the ground), and the channel itself if it is visible."""
    height, width = world.shape
    sky = world.horizon * height
    low = plan.kind == "distant"
    x = (plan.x if plan.x is not None else float(rng.uniform(0.2, 0.8))) * width
    y = (
        plan.y * height
        if plan.y is not None
        else sky * float(rng.uniform(0.75, 0.9) if low else rng.uniform(0.15, 0.6))
    )
    wide = plan.size * (rng.uniform(0.03, 0.06) if low else rng.uniform(0.18, 0.38)) * width
    spot = blob(world.shape, (x, y), (float(wide), float(wide) * float(rng.uniform(0.4, 0.65))))
    spot += np.float32(0.3) * blob(world.shape, (x + wide * 0.8, y - wide * 0.2), (wide * 0.7, wide * 0.4))
    lit = spot * (np.float32(0.25) + np.float32(0.75) * world.cloud(plan.at or 0.0) ** 2) * world.sky_mask
    if low:
        return lit, None
    reach = blob(world.shape, (x, sky), (wide * 1.8, height * 0.4))
    lit += np.float32(0.12) * reach * world.ground_albedo * (1 - world.sky_mask)
    if plan.kind not in ("bolt", "crawler", "dip", "band"):
        return lit, None
    along = plan.kind == "crawler"
    start = (x - wide * 0.9, y) if along else (x, min(y, sky * 0.3))
    end = (x + wide * 1.1, y + sky * 0.06) if along else (x + float(rng.normal(0, 0.12)) * width, sky * 1.05)
    channel = draw_bolt(world.shape, start, end, rng) * world.sky_mask
    glow = blurred(channel, height * 0.014) * 0.5 + blurred(channel, height * 0.07) * 1.6
    hidden = (
        np.float32(1) - np.float32(0.6) * world.cloud(plan.at or 0.0) * (np.arange(height) < start[1] * 1.3)[:, None]
    )
    return lit + np.float32(0.9) * glow * world.sky_mask, np.asarray(channel * hidden, np.float32)


def _course(plan: FlashPlan, rng: np.random.Generator, frame_seconds: float) -> Course:
    """Return the strokes of the flash, the strongest about as bright as light 1 over a whole frame."""
    at = plan.at or 0.0
    default = {"pulses": int(rng.integers(3, 7)), "sheet": int(rng.integers(1, 4)), "bolt": int(rng.integers(1, 4))}
    default |= {"whiteout": int(rng.integers(4, 7))}
    count = plan.pulses or default.get(plan.kind, 1)
    gaps = rng.uniform(0.04, 0.4, count - 1)
    starts = at + np.concatenate([[0.0], np.cumsum(gaps)])
    weakest, strongest = (0.08, 0.2) if plan.kind == "whiteout" else (0.45, 1.0)
    strength = np.concatenate([[1.0], rng.uniform(weakest, strongest, count - 1)])
    areas = [strength * frame_seconds]
    fades = [np.full(count, STROKE_SECONDS)]
    every = [starts]
    if plan.kind not in ("single", "band"):  # continuing current: weaker, much longer
        glow = 0.55 if plan.kind == "afterglow" else float(rng.uniform(0.04, 0.2))
        fade = float(rng.uniform(0.25, 0.4) if plan.kind == "afterglow" else rng.uniform(0.05, 0.12))
        every.append(starts)
        areas.append(strength * glow * fade)
        fades.append(np.full(count, fade))
    when = at + plan.slow * (np.concatenate(every) - at)
    return Course(when, plan.slow * np.concatenate(areas), plan.slow * np.concatenate(fades))
