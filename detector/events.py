"""Event types and their JSON Schema."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from detector import __version__
from stream import Clock, Message, Quality, WireMessage

SOFTWARE = f"lightning-detector {__version__}"
"""Name and version of the program, for events."""

FLASH_TYPE = "lightning.flash.v1"
FLASH_TOPIC = "ev.flash."  # followed by the camera's name
FLASH_SCHEMA = "urn:lightning-detector:flash:1"
EVENT_SCHEMA = "urn:lightning-detector:flash-message:1"
"""URN of the schema of a whole message; FLASH_SCHEMA is that of its `data`."""

State = Literal["detected", "confirmed", "rejected", "unverified"]

QUALITY_WORDS: dict[Quality, str] = {
    "packet_loss": "packets of the camera did not arrive: from there to the next whole key frame",
    "decode_error": "damaged data: the decoder refused, concealed or complained of a part of it, or its scan breaks",
    "interrupted": "reading paused in the middle of a frame, which may be half of one",
}
"""The words of `Flash.quality` and their meaning."""

MODEL_EVIDENCE = {
    "log_odds": "log-odds of Yes over No, before calibration",
    "answer_mass": "probability of Yes and No together; little means that the model wanted to say something else",
    "photometric_probability": "with `photometric+minicpm` and `fused`: what the photometric verifier said first",
}
"""Evidence keys of a model's verdict and their meaning; those of the photometric verifier are with its clues."""


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """One contiguous lit run of a flash, as the sensor sees it."""

    offset_seconds: Annotated[float, Meta(description="Start of the pulse, from the start of its flash.")]
    duration_seconds: Annotated[float, Meta(description="From the first lit frame to the end of the last one.")]
    rise_levels: Annotated[float, Meta(description="Highest rise above the background, in levels of luma.")]
    box: Annotated[
        tuple[float, float, float, float] | None,
        Meta(
            description="left, top, right, bottom of its bright core in its brightest frame, as shares 0..1 of the "
            "upright frame: tells places of a storm apart that take turns in one flash."
        ),
    ] = None
    centroid: Annotated[
        tuple[float, float] | None, Meta(description="x, y of the light in that core, as shares 0..1.")
    ] = None


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """The opinion of one of several verifiers about a candidate."""

    verifier: Annotated[str, Meta(description="Name of the verifier.")]
    lightning: Annotated[bool | None, Meta(description="As in the verdict; null where it has no answer.")]
    probability: Annotated[float | None, Meta(description="Of lightning, 0..1; null where there is no answer.")]
    log_odds: Annotated[float | None, Meta(description="Before calibration; null where there is no answer.")] = None
    model: Annotated[str | None, Meta(description="Model that was asked, if any.")] = None
    model_revision: Annotated[str | None, Meta(description="Commit or name of the model's weights.")] = None
    prompt_version: Annotated[str | None, Meta(description="Version of the question that the model was asked.")] = None
    seconds: Annotated[float | None, Meta(description="Time that it took.")] = None
    reason: Annotated[str | None, Meta(description="Why there is no answer, or doubts in words.")] = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of a verifier about a candidate."""

    lightning: Annotated[
        bool | None, Meta(description="true: lightning; false: not lightning; null: unverified, see `reason`.")
    ]
    probability: Annotated[float | None, Meta(description="Of lightning, 0..1; null where there is no answer.")]
    verifier: Annotated[str, Meta(description="Name of the verifier that judged.")]
    evidence: Annotated[dict[str, float], Meta(description="Each clue that could be measured, with its value.")] = {}
    model: Annotated[str | None, Meta(description="Model that was asked, if any.")] = None
    model_revision: Annotated[str | None, Meta(description="Commit or name of the model's weights.")] = None
    prompt_version: Annotated[str | None, Meta(description="Version of the question that the model was asked.")] = None
    seconds: Annotated[float | None, Meta(description="Time that the verdict took.")] = None
    reason: Annotated[
        str | None,
        Meta(description="Why there is no answer, or the strongest doubts that a rejected light met, in words."),
    ] = None

    opinions: Annotated[
        tuple[Opinion, ...],
        Meta(description="What each verifier says where several are asked; one that is late comes with a revision."),
    ] = ()
    disputed: Annotated[
        bool, Meta(description="Whether an opinion contradicts a verdict that another was sure of and that stays.")
    ] = False

    @property
    def state(self) -> State:
        """The state of a flash with this verdict."""
        if self.lightning is None:
            return "unverified"
        return "confirmed" if self.lightning else "rejected"


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of the media of a flash, relative to the run's folder; null if there is none."""

    still: Annotated[
        str | None, Meta(description="JPEG of the lit frame that shows most structure, or else of the brightest one.")
    ] = None
    clip: Annotated[
        str | None, Meta(description="The video around the flash; flashes that follow one another share a clip.")
    ] = None
    brightest: Annotated[
        str | None, Meta(description="JPEG of the brightest frame, where that is another one than `still`.")
    ] = None
    thumbnail: Annotated[
        str | None, Meta(description="Small JPEG of the same frame as `still`; a rejected light has only this.")
    ] = None
    clip_start_seconds: Annotated[
        float | None, Meta(description="Time of the first frame of the clip, on the same clock as `start_seconds`.")
    ] = None
    clip_end_seconds: Annotated[float | None, Meta(description="Time of the end of the clip's last frame.")] = None
    strip: Annotated[
        str | None, Meta(description="JPEG of the frames of the second around the onset, ten in a row.")
    ] = None
    strip_seconds: Annotated[
        tuple[float, ...], Meta(description="Times of the frames of `strip`, seconds after the start of the flash.")
    ] = ()
    model: Annotated[
        str | None,
        Meta(description="JPEG of all images that a model was shown of it, named; of a rejected light, too."),
    ] = None
    note: Annotated[
        str | None, Meta(description="Why something is missing, shorter than set, or not as the source sent it.")
    ] = None


class Flash(msgspec.Struct, frozen=True, kw_only=True):
    """The whole current state of one flash; consumers keep the last revision by `id`.

    Seconds are on the source's own clock. Levels are of luma: 0 = black, 255 = white.
    """

    id: Annotated[str, Meta(description="Name of the flash; the same in all its revisions.")]
    camera: Annotated[str, Meta(description="Name of the camera or, for a recording, the name made from its file.")]
    file: Annotated[
        str | None,
        Meta(
            description="The recording: its path in the folder that was replayed, its name if it was given by itself, "
            "or, where two files of a run would be called the same, its path as given; null for a live camera."
        ),
    ]
    state: Annotated[
        State,
        Meta(description="detected: the onset is sure; the others follow from the verdict, once the flash has ended."),
    ]
    revision: Annotated[int, Meta(description="1 for the first event of this flash, and rising.")]
    start_seconds: Annotated[float, Meta(description="Time of the first lit frame.")]
    peak_seconds: Annotated[float, Meta(description="Time of the brightest frame.")]
    end_seconds: Annotated[
        float | None,
        Meta(
            description="Time of the last lit frame plus one frame; null while the flash may still run, or where a "
            "killed run never saw its end."
        ),
    ]
    duration_seconds: Annotated[float | None, Meta(description="End minus start; null where the end is.")]
    start_utc: Annotated[str | None, Meta(description="UTC of the start, ISO 8601; null where it is not known.")]
    clock: Annotated[
        Clock,
        Meta(
            description="Where UTC comes from: rtcp = the camera's clock, arrival = this computer's, file = the file's "
            "creation time or the start that was given, none = not known."
        ),
    ]
    utc_error_ms: Annotated[float | None, Meta(description="Bound on the error of UTC; null where it is not known.")]
    quality: Annotated[
        tuple[str, ...], Meta(description="Why frames of this flash may not be trusted; empty when nothing is known.")
    ]
    pulses: Annotated[tuple[Pulse, ...], Meta(description="Lit runs in order; a camera cannot count strokes.")]
    peak_rise_levels: Annotated[
        float,
        Meta(
            description="Rise of the brightest block above the background; up to 297, since cameras record levels "
            "beyond their own black and white."
        ),
    ]
    lit_fraction: Annotated[float, Meta(description="Share of the watched blocks lit in the largest frame, 0..1.")]
    box: Annotated[
        tuple[float, float, float, float],
        Meta(description="left, top, right, bottom of the light, as shares 0..1 of the upright frame."),
    ]
    centroid: Annotated[
        tuple[float, float], Meta(description="x, y of the light's centre, as shares 0..1 of the upright frame.")
    ]
    verdict: Annotated[Verdict | None, Meta(description="null while the flash is only detected.")]
    media: Annotated[Media, Meta(description="Still and clip; the clip follows as a revision of its own.")]
    latency_ms: Annotated[
        float, Meta(description="From the arrival of the frame that decided this revision to its making.")
    ]
    software: Annotated[str, Meta(description="Program and version that made this event.")]
    changed: Annotated[
        tuple[str, ...],
        Meta(
            description="Keys of `data` that differ from the revision before, with a dot into verdict and media "
            "(`verdict.opinions`); empty in the first. `revision`, `latency_ms` and `software` are not named."
        ),
    ] = ()
    rank: Annotated[
        float | None,
        Meta(
            description="How much there is to see, 0..1, from its channel, strength and area: sorts the best stills "
            "first. Not how sure it is lightning; null while the flash may still run."
        ),
    ] = None

    def to_dict(self) -> dict[str, Any]:
        """Return the flash as dicts, tuples, text and numbers: the `data` of its event."""
        return dict(msgspec.to_builtins(self))


FlashMessage = Message[Flash]

_CHANGE_ALWAYS = ("revision", "latency_ms", "software", "changed")


def changed_keys(before: Flash, after: Flash) -> tuple[str, ...]:
    """Return the value of `Flash.changed` for `after`, the revision that follows `before`."""
    return tuple(_differing(before, after))


def _differing(before: msgspec.Struct, after: msgspec.Struct) -> Iterator[str]:
    for key in before.__struct_fields__:
        old, new = getattr(before, key), getattr(after, key)
        if old == new or key in _CHANGE_ALWAYS:
            continue
        if isinstance(old, Verdict | Media) and type(old) is type(new):
            yield from (f"{key}.{below}" for below in _differing(old, new))
        else:
            yield key


decode_flash_message = msgspec.json.Decoder(FlashMessage).decode


def flash_in(message: WireMessage) -> Flash | None:
    """Return the flash in a message of the feed; None if the message is about something else."""
    return message.data_as(Flash) if message.topic.startswith(FLASH_TOPIC) else None


# Descriptions are data here, not docstrings, which msgspec's releases cut differently.
_TYPES = {
    "Message_Flash_": "One numbered message of a feed (CloudEvents 1.0), as it is journalled, published and printed.",
    "Flash": "The whole current state of one flash; consumers keep the last revision by `id`. Seconds are on the "
    "source's own clock; levels are of luma, 0 = black, 255 = white.",
    "Pulse": "One contiguous lit run of a flash, as the sensor sees it.",
    "Opinion": "What one of several verifiers says of a candidate.",
    "Verdict": "What a verifier says of a candidate.",
    "Media": "Paths of what is kept of a flash to look at, relative to the run's folder; null where there is none.",
}
_MESSAGE_FIELDS = {
    "specversion": "Version of CloudEvents.",
    "id": "Unique among all messages.",
    "source": "The site that publishes.",
    "type": "What `data` is.",
    "subject": "The camera or site that the message is about.",
    "time": "When it was published, UTC.",
    "dataschema": "Name of the schema of `data`.",
    "feed": "Names the journal.",
    "run": "Changes with every start of the publisher.",
    "sequence": "Number in the feed, one higher with each message: 20 digits, so that they order as text.",
    "durable": "false if it was not on disk when it was published.",
    "originfeed": "Of a message that came through a relay: the feed that first published it.",
    "originsequence": "Of a message that came through a relay: its number in that feed.",
    "data": "The flash.",
}


def event_schema() -> dict[str, Any]:
    """Return the published JSON Schema (2020-12) of one message about a flash, including the envelope."""
    schema = msgspec.json.schema(FlashMessage)
    for name, kind in schema["$defs"].items():
        kind["description"] = _TYPES[name]
        for field in kind["properties"].values():
            # msgspec's releases order these differently, too.
            field.get("anyOf", []).sort(key=lambda choice: choice.get("type") == "null")
            if field.get("default") == ():
                field["default"] = []  # a list, as in JSON
    for name, field in schema["$defs"]["Message_Flash_"]["properties"].items():
        field["description"] = _MESSAGE_FIELDS[name]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": EVENT_SCHEMA} | schema
