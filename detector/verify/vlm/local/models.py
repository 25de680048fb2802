"""The compatibility matrix: which models are known, at which commit, with which libraries."""

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from detector.settings import packaged_file

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


class VerifiedHere(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the local copy: `revision` of a model passed the smoke check here; `verified` says when and on what."""

    revision: str
    verified: str


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
    state = environment.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "lightning-detector" / "verified.json"
