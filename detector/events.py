"""Event types and their JSON Schema."""

from typing import Any, Literal

import msgspec

from stream import Clock, Message, Quality

FLASH_TYPE = "lightning.flash.v1"
FLASH_TOPIC = "ev.flash."  # the camera's name follows
FLASH_SCHEMA = "urn:lightning-detector:flash:1"

State = Literal["detected", "confirmed", "rejected", "unverified"]

QUALITY_WORDS: dict[Quality, str] = {
    "packet_loss": "packets of the camera did not arrive: from there to the next whole key frame",
    "decode_error": "the decoder refused or marked a part of it: damaged data",
    "interrupted": "reading paused in the middle of a frame, which may be half of one",
}
"""The words of `Flash.quality` and what happened to the frames."""

MODEL_EVIDENCE = {
    "log_odds": "log-odds of Yes over No, before calibration",
    "answer_mass": "probability of Yes and No together; little means that the model wanted to say something else",
    "photometric_probability": "with `photometric+minicpm`: what the photometric verifier said before the model",
}
"""Evidence keys of a model's verdict and what they are; those of the photometric verifier stand with its clues."""


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One contiguous lit run as the sensor sees it; offset from the flash's start, rise in levels."""

    offset_seconds: float
    duration_seconds: float
    rise_levels: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier says of a candidate: lightning (true), not lightning (false), or null = unverified, and why.

    `evidence` names each physical reason with its number; `reason` says in words why there is no answer, or what the
    photometric verifier held against a light that it rejected.
    """

    lightning: bool | None
    probability: float | None
    verifier: str
    evidence: dict[str, float] = {}
    model: str | None = None
    model_revision: str | None = None
    prompt_version: str | None = None
    seconds: float | None = None
    reason: str | None = None

    @property
    def state(self) -> State:
        """The state of a flash with this verdict."""
        if self.lightning is None:
            return "unverified"
        return "confirmed" if self.lightning else "rejected"


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of the pictures made of a flash, relative to the run's folder; null where none was made."""

    still: str | None = None
    clip: str | None = None


class Flash(msgspec.Struct, frozen=True, kw_only=True):
    """The whole current state of one flash; consumers keep the last revision by `id`.

    `file` is the recording: its path in the folder that was replayed, its name if it was given by itself, or, where two
    files of a run would be called the same, the path of each as it was given; null for a live camera.
    Seconds are on the source's own clock; levels are of luma, 0 = black, 255 = white (what a camera records beyond its
    own black and white counts too, so that a rise may reach 297); `box` (left, top, right, bottom) and `centroid`
    (x, y) are shares 0..1 of the upright picture. `end_seconds` is the last lit frame plus one frame, and null while
    the flash may still run, or where a killed run never saw its end.
    """

    id: str
    camera: str
    file: str | None
    state: State
    revision: int
    start_seconds: float
    peak_seconds: float
    end_seconds: float | None
    duration_seconds: float | None
    start_utc: str | None
    clock: Clock
    utc_error_ms: float | None
    quality: tuple[str, ...]
    pulses: tuple[Pulse, ...]
    peak_rise_levels: float
    lit_fraction: float
    box: tuple[float, float, float, float]
    centroid: tuple[float, float]
    verdict: Verdict | None
    media: Media
    latency_ms: float
    software: str


FlashMessage = Message[Flash]


def event_schema() -> dict[str, Any]:
    """The published JSON Schema (2020-12) of one event of the feed."""
    return {"$id": FLASH_SCHEMA} | msgspec.json.schema(FlashMessage)
