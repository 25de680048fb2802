"""Plan: all values that decide a scene, checked; and the command-line form of flashes and look-alikes."""

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal, TypeVar

from storm.camera import Camera
from storm.flashes import FLASH_KINDS, FlashPlan
from storm.lookalikes import LOOKALIKE_KINDS, LookalikePlan

Sky = Literal["night", "dusk", "day"]
Land = Literal["city", "hills", "trees", "none"]
SKIES: tuple[Sky, ...] = ("night", "dusk", "day")
LANDS: tuple[Land, ...] = ("city", "hills", "trees", "none")
CAMERAS = {
    "night": Camera(gain=6.0, exposure=1.0),
    "dusk": Camera(gain=3.0, exposure=0.8),
    "day": Camera(gain=1.0, exposure=0.25),
}
ROLLING_READOUT = 0.85


class PlanError(ValueError):
    """A scene cannot be made as requested; the message names the setting, its value and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The content of a scene, its length and its camera. The same plan always gives the same frames.

    Attributes:
        size: (width, height) in pixels, both even.
        rate: frames per second.
        flashes: those without a time are spread over the clip.
        lookalikes: those without a time are spread over the clip.
        rain: 0 = none, 1 = heavy rain.
        wind: 0 = none, 1 = fast clouds.
        camera: None = one that suits the sky, with a rolling shutter if there is a `band` flash.
        jitter: deviation of time stamps, as a share of the frame interval.
        drop: share of frames that never arrive.
    """

    seconds: float = 10.0
    size: tuple[int, int] = (640, 360)
    rate: float | Fraction = 25.0
    sky: Sky = "night"
    land: Land = "city"
    seed: int = 1
    flashes: tuple[FlashPlan, ...] = ()
    lookalikes: tuple[LookalikePlan, ...] = ()
    rain: float = 0.0
    wind: float = 0.3
    camera: Camera | None = None
    jitter: float = 0.0
    drop: float = 0.0

    def __post_init__(self) -> None:
        width, height = self.size
        _check(width % 2 == 0 and height % 2 == 0 and min(self.size) >= 32, "size", self.size, "even sides from 32 up")
        _check(0 < self.rate <= 1000, "rate", self.rate, "0 to 1000 frames per second")
        _check(self.seconds * float(self.rate) >= 1, "seconds", self.seconds, "long enough for one frame")
        _check(self.sky in SKIES, "sky", self.sky, ", ".join(SKIES))
        _check(self.land in LANDS, "land", self.land, ", ".join(LANDS))
        _check(self.seed >= 0, "seed", self.seed, "0 or more")
        _check(0 <= self.rain <= 1, "rain", self.rain, "0 to 1")
        _check(0 <= self.wind <= 1, "wind", self.wind, "0 to 1")
        _check(0 <= self.jitter <= 0.9, "jitter", self.jitter, "0 to 0.9 of the frame interval")
        _check(0 <= self.drop <= 0.9, "drop", self.drop, "0 to 0.9 of the frames")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.size[1], self.size[0]

    def the_camera(self) -> Camera:
        """Return the camera of the plan, or the one that suits the sky."""
        if self.camera is not None:
            return self.camera
        suits = CAMERAS[self.sky]
        rolling = any(flash.kind == "band" for flash in self.flashes)
        return Camera(suits.gain, suits.exposure, ROLLING_READOUT) if rolling else suits


def _check(good: bool, name: str, value: object, allowed: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not good:
        raise PlanError(f"{name} = {value}: expected {allowed}")


Happening = TypeVar("Happening", FlashPlan, LookalikePlan)


def parse_flash(text: str) -> FlashPlan:
    """Parse `KIND[@SECONDS][:KEY=VALUE,...]`, e.g. `bolt@3.2:rise=60,pulses=3`.

    Returns:
        the flash.

    Raises:
        PlanError: the kind or a key is unknown, or a value is not a number.
    """
    return _parse(text, FlashPlan, FLASH_KINDS)


def parse_lookalike(text: str) -> LookalikePlan:
    """Parse `KIND[@SECONDS][:KEY=VALUE,...]`, e.g. `headlights@5:strength=0.5`.

    Returns:
        the look-alike.

    Raises:
        PlanError: the kind or a key is unknown, or a value is not a number.
    """
    return _parse(text, LookalikePlan, LOOKALIKE_KINDS)


def _parse(text: str, to: type[Happening], kinds: tuple[str, ...]) -> Happening:
    head, _, tail = text.partition(":")
    kind, _, at = head.partition("@")
    if kind not in kinds:
        raise PlanError(f"{text!r}: unknown kind {kind!r}; expected one of {', '.join(kinds)}")
    known = {item.name for item in fields(to)} - {"kind", "at"}
    values: dict[str, Any] = {"kind": kind, "at": _number(text, at) if at else None}
    for pair in filter(None, tail.split(",")):
        key, _, value = pair.partition("=")
        if key not in known:
            raise PlanError(f"{text!r}: unknown key {key!r}; expected one of {', '.join(sorted(known))}")
        number = _number(text, value)
        values[key] = int(number) if key == "pulses" else number
    return to(**values)


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise PlanError(f"{text!r}: {value!r} is not a number") from None
