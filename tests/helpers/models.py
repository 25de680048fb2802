"""Tiny MiniCPM-V snapshots with random weights, and settings that use them."""

from functools import cache
from pathlib import Path
from typing import Any

from detector.settings import Settings, load_settings

MODEL_46 = "openbmb/MiniCPM-V-4.6"
REVISION_46 = "1740887131c42f667d0ef1d536ab4eda19ef4e2d"
MODEL_47 = "openbmb/MiniCPM-V-4.7-1B"
REVISION_47 = "47" * 20


@cache
def tiny_hub_cache(folder: Path) -> Path:
    """A folder laid out as the hub's client leaves it, with 4.6 and 4.7 under their real names."""
    from random_snapshot import write_hub_cache  # noqa: PLC0415 - imports torch

    write_hub_cache(folder, MODEL_46, REVISION_46, "4.6")
    write_hub_cache(folder, MODEL_47, REVISION_47, "4.7", seed=1)
    return folder


def model_settings(kind: str = "minicpm", **tables: dict[str, Any]) -> Settings:
    """Settings for a tiny model on one CPU thread, small images; random weights hardly ever say Yes or No."""
    base: dict[str, Any] = {
        "verifier": {"kind": kind},
        "minicpm": {"threads": 1, "precision": "fp32", "device": "cpu", "picture_side_pixels": 224},
        "question": {"min_answer_mass": 0.0},
    }
    return load_settings([("tests", base), ("test", tables)])
