"""The grid: made scenes with flashes of every strength, quiet scenes with every look-alike, and coded clips of both."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from storm import FLASH_KINDS, LOOKALIKE_KINDS, Camera, ClipFormat, FlashPlan, LookalikePlan, Plan
from storm.plan import LANDS, SKIES
from storm.texture import dice

SIZE = (320, 180)
CODED_SIZE = (640, 360)
GAINS = {"night": (3.0, 6.0, 12.0), "dusk": (2.0, 4.0), "day": (1.0, 2.0)}
EXPOSURES = {"night": (1.0,), "dusk": (0.8, 0.4), "day": (0.25, 0.08)}
READOUTS = (0.0, 0.3, 0.85)
RATES = (5, 10, 15, 25, 29.97, 50, 60)
WEATHER = ("quiet", "rain", "clouds")
"""Scenes with only the weather, beside the look-alikes."""
NATURAL = (
    "headlights",
    "exposure_step",
    "ir_cut",
    "aircraft",
    "insects",
    "shake",
    "cut",
    "sun",
    "birds",
    "blank",
    *WEATHER,
)
"""Look-alikes that every camera sees; the rest (fireworks, lamps, flicker, fades, welding, ...) is rarer and harder."""
PER_MINUTE = {"aircraft": 5, "fireworks": 7, "lamp": 5, "flicker": 4, "headlights": 10, "ir_cut": 4, "sun": 4}
PER_MINUTE |= {"exposure_step": 5, "cut": 8, "dip_to_white": 8}
PER_MINUTE |= {"welding": 6, "led_cloud": 6, "time_lapse": 5, "birds": 6, "blank": 5}
"""Occurrences per minute, 12 by default. Actions of the camera itself never overlap, nor do two suns, and a place
between two cuts is shown for more than a second, since a single frame of it would be a flash for a person, too."""
LAMPLIT = ("headlights", "aircraft", "insects", "fireworks", "lamp", "welding", "led_cloud", "time_lapse")
"""Look-alikes that are faint by day."""
SCENE_SECONDS = 60.0
CODED_SECONDS = 20.0
CODED_RATES = (15, 25, 30)
WEB_CAM_RATE = 8.0
FORMS = {
    "h264 crf 23": ClipFormat(codec="libx264", crf=23),
    "h264 crf 35": ClipFormat(codec="libx264", crf=35),
    "h264 1 Mbit/s": ClipFormat(codec="libx264", bit_rate=1_000_000),
    "h265 crf 28": ClipFormat(codec="libx265", crf=28),
    "h265 crf 35": ClipFormat(codec="libx265", crf=35),
    "h265 1 Mbit/s": ClipFormat(codec="libx265", bit_rate=1_000_000),
    "mpeg4 1 Mbit/s": ClipFormat(codec="mpeg4", bit_rate=1_000_000),
    "vp8 1 Mbit/s": ClipFormat(codec="libvpx", bit_rate=1_000_000),
    "mjpeg": ClipFormat(codec="mjpeg"),
    "h264 0.1 Mbit/s": ClipFormat(codec="libx264", bit_rate=100_000),
}
SUFFIX = {"libvpx": ".webm", "mjpeg": ".avi"}


@dataclass(frozen=True, slots=True)
class Case:
    """One scene to try.

    Attributes:
        plan: the scene.
        about: strength, lookalike or codec.
        label: which look-alike or coding.
        form: None = frames directly from the scene; otherwise coded, and read as a file.
    """

    about: str
    label: str
    plan: Plan
    form: ClipFormat | None = None

    @property
    def command(self) -> str:
        """The command that makes the same clip again."""
        form = self.form or ClipFormat(codec="ffv1")
        return make_command(self.plan, form, Path("again" + (SUFFIX.get(form.codec, ".mkv"))))


def strength_cases(count: int, seed: int) -> Iterator[Case]:
    """Yield scenes of six flashes each, of every kind, from below the noise to far above it."""
    for number in range(count):
        rng = dice(seed, "strength", number)
        yield Case("strength", "direct", _stormy(rng, _seed(seed, 1, number), float(rng.choice(RATES)), SIZE))


def lookalike_cases(hours: float, seed: int) -> Iterator[Case]:
    """Yield quiet scenes of a minute, the hours divided evenly among all look-alikes and kinds of weather."""
    labels = [*LOOKALIKE_KINDS, *WEATHER]
    for number in range(max(len(labels), math.ceil(hours * 3600 / SCENE_SECONDS))):
        label = labels[number % len(labels)]
        rng = dice(seed, "quiet", number)
        yield Case("lookalike", label, _quiet(rng, _seed(seed, 2, number), label))


def codec_cases(each: int, seed: int) -> Iterator[Case]:
    """Yield storms and quiet scenes in every codec and bit rate."""
    for place, (label, form) in enumerate(FORMS.items()):
        for number in range(each):
            rng = dice(seed, "codec", 1000 * place + number)
            number_of = _seed(seed, 3 + place, number)
            yield Case("codec", label, _stormy(rng, number_of, float(rng.choice(CODED_RATES)), CODED_SIZE), form)
            what = NATURAL[int(rng.integers(len(NATURAL)))]
            yield Case("codec", label, _quiet(rng, number_of + 5000, what, coded=True), form)


def _seed(seed: int, part: int, number: int) -> int:
    return seed * 1_000_000 + part * 10_000 + number


def _surroundings(rng: np.random.Generator, label: str = "") -> dict[str, Any]:
    sky = SKIES[int(rng.choice(3, p=(0.7, 0.25, 0.05)))] if label in LAMPLIT else SKIES[int(rng.integers(len(SKIES)))]
    exposure, readout = float(rng.choice(EXPOSURES[sky])), float(rng.choice(READOUTS))
    return {
        "sky": sky,
        "land": LANDS[int(rng.integers(len(LANDS)))],
        "wind": round(float(rng.uniform(0, 1)), 2),
        "rain": round(float(rng.uniform(0.1, 1)), 2) if rng.random() < 0.3 else 0.0,
        "camera": Camera(float(rng.choice(GAINS[sky])), exposure, readout),
    }


def _stormy(rng: np.random.Generator, seed: int, rate: float, size: tuple[int, int]) -> Plan:
    flashes = []
    for number in range(6):
        kind = FLASH_KINDS[int(rng.integers(len(FLASH_KINDS)))]
        rise = round(math.exp(float(rng.uniform(math.log(1.5), math.log(60)))), 2)
        at = round(2.5 + 4.0 * number + float(rng.uniform(0, 0.9)), 3)
        flashes.append(FlashPlan(kind=kind, at=at, rise=rise, size=round(float(rng.uniform(0.5, 1.3)), 2)))
    return Plan(seconds=27.0, size=size, rate=rate, seed=seed, flashes=tuple(flashes), **_surroundings(rng))


def _quiet(rng: np.random.Generator, seed: int, label: str, *, coded: bool = False) -> Plan:
    around = _surroundings(rng, label)
    looks: tuple[LookalikePlan, ...] = ()
    if label in LOOKALIKE_KINDS:
        count = PER_MINUTE.get(label, 12)
        strengths = [round(float(rng.uniform(0.5, 1.5)), 2) for _ in range(count)]
        looks = tuple(LookalikePlan(kind=label, strength=strength) for strength in strengths)
    else:
        around |= {"rain": {"rain": round(float(rng.uniform(0.4, 1)), 2)}.get(label, 0.0)}
        around |= {"wind": 1.0} if label == "clouds" else {}
    seconds = CODED_SECONDS if coded else SCENE_SECONDS
    rate = float(rng.choice(CODED_RATES if coded else RATES))
    rate = WEB_CAM_RATE if label == "birds" else rate
    size = CODED_SIZE if coded else SIZE
    looks = looks[: math.ceil(len(looks) * seconds / SCENE_SECONDS)]
    return Plan(seconds=seconds, size=size, rate=rate, seed=seed, lookalikes=looks, **around)


def make_command(plan: Plan, form: ClipFormat, path: Path) -> str:
    """Return the make_storm.py command line that gives this plan in this form."""
    words = [f"tools/make_storm.py {path} --seconds {plan.seconds:g} --size {plan.size[0]}x{plan.size[1]}"]
    words.append(f"--rate {float(plan.rate):g} --sky {plan.sky} --land {plan.land} --seed {plan.seed}")
    words.append(f"--rain {plan.rain:g} --wind {plan.wind:g}")
    if plan.camera is not None:
        words.append(
            f"--gain {plan.camera.gain:g} --exposure {plan.camera.exposure:g} --readout {plan.camera.readout:g}"
        )
    words += [f"--flash {_happening(flash)}" for flash in plan.flashes]
    words += [f"--lookalike {_happening(look)}" for look in plan.lookalikes]
    words.append(f"--codec {form.codec}")
    words += [f"--crf {form.crf}"] if form.crf is not None else []
    words += [f"--bitrate {form.bit_rate}"] if form.bit_rate is not None else []
    return " ".join(words)


def _happening(one: FlashPlan | LookalikePlan) -> str:
    values = {item.name: getattr(one, item.name) for item in fields(one) if item.name not in ("kind", "at")}
    usual = {item.name: item.default for item in fields(one)}
    changed = ",".join(f"{key}={value:g}" for key, value in values.items() if value is not None and value != usual[key])
    at = "" if one.at is None else f"@{one.at:g}"
    return one.kind + at + (f":{changed}" if changed else "")
