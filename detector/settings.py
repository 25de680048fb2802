"""Typed settings, one class per stage, read from TOML, checked; unknown keys are refused."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from detector.errors import SettingsError
from detector.shipped import DEFAULT_SETTINGS
from stream import CaptureOptions

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NAME_PATTERN = r"^[a-z0-9-]{1,32}$"
"""Of sites and cameras, as topics and ids allow."""

PositiveSeconds = Annotated[float, Meta(gt=0, le=3600)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
BUILT_IN_VERIFIERS = ("auto", "none", "photometric", "minicpm", "served", "photometric+minicpm")
VERIFIER_GROUP = "lightning_detector.verifiers"
"""Entry points of this group in other packages are verifiers: callables that take the Settings."""
PictureName = Literal["before", "onset", "peak", "after", "difference"]


def installed_verifiers() -> dict[str, "EntryPoint"]:
    """Return the verifiers that other packages offer, by name; none is imported."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and hardly ever needed

    return {point.name: point for point in entry_points(group=VERIFIER_GROUP)}


def check_verifier_name(name: str) -> None:
    """Check that `name` is a verifier that can be asked for.

    Raises:
        ValueError: there is none of that name; lists those that are there.
    """
    if name in BUILT_IN_VERIFIERS:
        return
    others = installed_verifiers()
    if name not in others:
        found = f"of other packages: {', '.join(sorted(others))}" if others else "no other package offers one"
        raise ValueError(f"verifier.kind {name!r} must be one of {', '.join(BUILT_IN_VERIFIERS)}; {found}")


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the settings file. No field has a default here: shipped values live in configs/default.toml."""


class PrefilterSettings(Section, frozen=True, kw_only=True):
    """When a moment becomes a candidate."""

    gap_seconds: Annotated[float, Meta(gt=0, le=10)]
    step_seconds: Annotated[float, Meta(gt=0, le=1)]
    min_rise_levels: Annotated[float, Meta(gt=0, le=255)]
    noise_factor: Annotated[float, Meta(ge=0, le=100)]
    swing_factor: Annotated[float, Meta(ge=0, le=100)]
    min_lit_fraction: Fraction
    min_positivity: Fraction
    min_fine_positivity: Fraction
    noise_memory_seconds: PositiveSeconds
    warm_up_seconds: Annotated[float, Meta(gt=0, le=60)]
    max_candidate_seconds: PositiveSeconds


class VerifierSettings(Section, frozen=True, kw_only=True):
    """Which verifier judges candidates."""

    kind: str

    def __post_init__(self) -> None:
        check_verifier_name(self.kind)


class PhotometricSettings(Section, frozen=True, kw_only=True):
    """When light curve and shape alone are enough to call a candidate lightning."""

    threshold: Fraction
    damaged_threshold: Fraction


class BatcherSettings(Section, frozen=True, kw_only=True):
    """How candidates of all cameras share a slow verifier."""

    batch_size: Annotated[int, Meta(ge=1, le=64)]
    batch_wait_ms: Annotated[float, Meta(ge=0, le=60_000)]
    deadline_seconds: PositiveSeconds
    stuck_seconds: PositiveSeconds
    waiting_limit: Annotated[int, Meta(ge=1, le=4096)]
    picture_side_pixels: Annotated[int, Meta(ge=64, le=2048)]


class QuestionSettings(Section, frozen=True, kw_only=True):
    """What a model is shown and asked."""

    prompt: str
    pictures: Annotated[tuple[PictureName, ...], Meta(min_length=1, max_length=5)]
    crop: Literal["none", "lit"]
    temperature: Annotated[float, Meta(gt=0, le=100)]
    bias: Annotated[float, Meta(ge=-100, le=100)]
    calibrated_for: str
    threshold: Fraction
    min_answer_mass: Fraction


class MinicpmSettings(Section, frozen=True, kw_only=True):
    """Which MiniCPM-V runs beside the cameras, and how."""

    model: Annotated[str, Meta(min_length=1)]
    revision: str
    channel: Literal["stable", "edge"]
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    attention: Annotated[str, Meta(min_length=1)]
    downsample_mode: Literal["16x", "4x"]
    picture_side_pixels: Annotated[int, Meta(ge=112, le=1120)]
    threads: Annotated[int, Meta(ge=0, le=256)]
    load_limit_seconds: PositiveSeconds
    answer_limit_seconds: PositiveSeconds


class Minicpm45Settings(Section, frozen=True, kw_only=True):
    """How `serve-45` runs MiniCPM-V 4.5, and for whom."""

    model: Annotated[str, Meta(min_length=1)]
    revision: str
    channel: Literal["stable", "edge"]
    environment: str
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    attention: Literal["sdpa", "flash_attention_2"]
    threads: Annotated[int, Meta(ge=0, le=256)]
    pack_frames: Annotated[int, Meta(ge=1, le=6)]
    host: Annotated[str, Meta(min_length=1)]
    port: Annotated[int, Meta(ge=0, le=65_535)]
    key_variable: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    batch_size: Annotated[int, Meta(ge=1, le=64)]
    batch_wait_ms: Annotated[float, Meta(ge=0, le=10_000)]
    waiting_limit: Annotated[int, Meta(ge=1, le=1024)]
    request_limit_mb: Annotated[float, Meta(gt=0, le=1000)]
    pictures_limit: Annotated[int, Meta(ge=1, le=64)]
    answer_limit_seconds: PositiveSeconds


class ServedSettings(Section, frozen=True, kw_only=True):
    """The model server that is asked with `served`."""

    endpoint: str
    model: str
    key_variable: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    concurrency: Annotated[int, Meta(ge=1, le=64)]
    timeout_seconds: PositiveSeconds
    retries: Annotated[int, Meta(ge=0, le=10)]
    extra_json: str


class CascadeSettings(Section, frozen=True, kw_only=True):
    """Between which photometric probabilities a candidate is doubtful and goes on to the model."""

    reject_below: Fraction
    confirm_above: Fraction

    def __post_init__(self) -> None:
        if self.reject_below > self.confirm_above:
            raise ValueError(f"reject_below {self.reject_below} must not exceed confirm_above {self.confirm_above}")


class EvidenceSettings(Section, frozen=True, kw_only=True):
    """What is kept of each flash in a run's folder."""

    clips: bool
    before_seconds: Annotated[float, Meta(ge=0, le=60)]
    after_seconds: Annotated[float, Meta(ge=0, le=60)]


class FeedSettings(Section, frozen=True, kw_only=True):
    """How events are published."""

    site: Annotated[str, Meta(pattern=NAME_PATTERN)]
    heartbeat_seconds: Annotated[float, Meta(ge=0.1, le=60)]
    endpoint: Annotated[str, Meta(pattern=r"^tcp://[^\s]+:[0-9]+$")]
    journal: str
    keep_days: Annotated[float, Meta(gt=0, le=36_500)]
    keep_megabytes: Annotated[float, Meta(ge=1, le=1_000_000)]
    keys: str
    send_queue_messages: Annotated[int, Meta(ge=10, le=100_000)]
    requests_per_second: Annotated[float, Meta(ge=1, le=10_000)]
    farewell_seconds: Annotated[float, Meta(ge=0, le=60)]


class Settings(Section, frozen=True, kw_only=True):
    """Everything that can be set."""

    capture: CaptureOptions
    prefilter: PrefilterSettings
    verifier: VerifierSettings
    photometric: PhotometricSettings
    batcher: BatcherSettings
    question: QuestionSettings
    minicpm: MinicpmSettings
    minicpm45: Minicpm45Settings
    served: ServedSettings
    cascade: CascadeSettings
    evidence: EvidenceSettings
    feed: FeedSettings


@cache
def default_table() -> Mapping[str, Any]:
    """The shipped values as read from configs/default.toml."""
    return tomllib.loads(DEFAULT_SETTINGS.read_text(encoding="utf-8"))


def read_table(path: Path) -> dict[str, Any]:
    """The TOML file at `path` as a table.

    Raises:
        SettingsError: it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the settings file: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def parse_override(text: str) -> dict[str, Any]:
    """`section.key=value` (a TOML value; a bare word counts as text) as a table.

    Raises:
        SettingsError: it is not of that form.
    """
    key, equals, value = text.partition("=")
    words = key.strip().split(".")
    if not equals or len(words) < 2 or not all(words):
        raise SettingsError(f"--set {text!r}: expected section.key=value, e.g. prefilter.gap_seconds=0.4")
    try:
        table: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table = value.strip()
    for word in reversed(words):
        table = {word: table}
    return dict(table)


def load_settings(tables: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> Settings:
    """The shipped settings with each of `tables` (where it came from, its content) laid over them, in order.

    Raises:
        SettingsError: a key is unknown or a value is wrong; names the source, the key, the value and what is allowed.
    """
    merged: Mapping[str, Any] = default_table()
    settings = checked_settings("configs/default.toml", merged)
    for origin, table in tables:
        merged = _merge(merged, table)
        settings = checked_settings(origin, merged)
    return settings


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def checked_settings(origin: str, table: Mapping[str, Any]) -> Settings:
    """A whole `table` as settings; origin: where it came from.

    Raises:
        SettingsError: a key is unknown or a value is wrong; names the source, the key, the value and what is allowed.
    """
    try:
        return msgspec.convert(table, Settings, strict=True)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{origin}: {_explain(str(error), table)}") from error


def in_words(complaint: str) -> str:
    """A complaint of msgspec without the pattern of a name."""
    return complaint.replace(f"`str` matching regex '{NAME_PATTERN}'", "1 to 32 of a-z, 0-9 and '-'")


def _explain(message: str, table: Mapping[str, Any]) -> str:
    """The complaint of msgspec, with the key as users write it and the value they gave."""
    what, _, where = in_words(message).partition(" - at `$")
    path = where.strip("`.")
    unknown = re.search(r"unknown field `(.+?)`", what)
    if unknown:
        key = f"{path}.{unknown[1]}".strip(".")
        return f"unknown setting '{key}'; {DEFAULT_SETTINGS} lists every setting"
    value: Any = table
    for word in path.split(".") if path else []:
        value = value.get(word) if isinstance(value, Mapping) else None
    choices = _choices(path) if "enum" in what else None
    return f"{path} = {value!r}: " + (f"must be one of {choices}" if choices else f"{what[:1].lower()}{what[1:]}")


def _choices(path: str) -> str | None:
    """The words allowed for the setting at `path`, or None if it is not a choice of words."""
    kind: Any = msgspec.inspect.type_info(Settings)
    for word in path.split("."):
        if not isinstance(kind, msgspec.inspect.StructType):
            return None
        kind = next((field.type for field in kind.fields if field.encode_name == word), None)
    return ", ".join(map(str, kind.values)) if isinstance(kind, msgspec.inspect.LiteralType) else None
