"""The compatibility matrix: which models are known, at which commit, with which libraries."""

import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from detector.settings import packaged_file

_XDG = {"XDG_STATE_HOME": ".local/state", "XDG_DATA_HOME": ".local/share"}
NATIVE_TYPES = ("minicpmv4_6", "minicpmv4_7")


class KnownModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the matrix.

    Attributes:
        runs: here (native), in the second environment (serve-45), or only elsewhere (served).
        verified: "no", or where and when `doctor --smoke` passed with the real weights.
    """

    id: str
    revision: str
    runs: str
    transformers: str
    attention: tuple[str, ...]
    memory_gib: float
    verified: str
    notes: str


@cache
def known_models() -> dict[str, KnownModel]:
    """Return each row of configs/models.toml by its id."""
    table = tomllib.loads(packaged_file("models.toml").read_text(encoding="utf-8"))
    rows = msgspec.convert(table["model"], list[KnownModel])
    return {row.id: row for row in rows}


def known_good(model: str) -> str:
    """Return the commit of `model` that the matrix names; empty if there is none."""
    row = known_models().get(model)
    return row.revision if row else ""


class VerifiedHere(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the local copy: `revision` of a model passed the smoke check here; `verified` says when and on what."""

    revision: str
    verified: str


def contribution(model: str, revision: str | None, about: Mapping[str, object], seconds_per_clip: float) -> str:
    """Record that the model passed the smoke check here, and return the line to contribute.

    Args:
        model: its id.
        revision: its commit; None for a user's own folder.
        about: device_name, precision, attention, torch and transformers.
        seconds_per_clip: in a batch.

    Returns:
        the line, or why there is none.
    """
    if revision is None or model not in known_models():
        return "a model of your own: nothing to contribute"
    text = (
        f"{datetime.now(UTC):%Y-%m-%d}, {about['device_name']}, {about['precision']}, {about['attention']}, "
        f"torch {about['torch']}, transformers {about['transformers']}, {seconds_per_clip:.3g} s a clip"
    )
    path = record_verified(model, revision, text)
    return f'kept in {path}; please contribute to configs/models.toml, {model}: verified = "{text}"'


def record_verified(model: str, revision: str, text: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Record in the local copy that this commit passed here, and return the path of the copy."""
    path = local_copy(environment)
    rows = verified_here(environment) | {model: VerifiedHere(revision=revision, verified=text)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    return path


def verified_here(environment: Mapping[str, str] = os.environ) -> dict[str, VerifiedHere]:
    """Return the models that passed on this machine, by id; empty if none did."""
    try:
        return msgspec.json.decode(local_copy(environment).read_bytes(), type=dict[str, VerifiedHere])
    except (OSError, msgspec.DecodeError):
        return {}


def local_copy(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the record of this machine's own smoke checks."""
    return own_folder("XDG_STATE_HOME", environment) / "verified.json"


def own_folder(variable: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return this program's folder in the XDG base directory XDG_STATE_HOME or XDG_DATA_HOME.

    By the specification relative values are ignored.
    """
    given = Path(environment.get(variable) or "")
    base = given if given.is_absolute() else Path.home() / _XDG[variable]
    return base / "lightning-detector"
