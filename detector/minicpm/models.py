"""The compatibility matrix: which models are known, at which commit, with which libraries."""

import tomllib
from functools import cache

import msgspec

from detector.settings import configs_folder

NATIVE_TYPES = ("minicpmv4_6", "minicpmv4_7")


class KnownModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the matrix.

    runs: here (native) or only on a model server (served).
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
    """Each row of configs/models.toml by its id."""
    table = tomllib.loads((configs_folder() / "models.toml").read_text(encoding="utf-8"))
    rows = msgspec.convert(table["model"], list[KnownModel])
    return {row.id: row for row in rows}
