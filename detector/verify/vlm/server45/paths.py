"""Paths of files kept between runs: the second environment and the record of trusted code."""

import os
from pathlib import Path


def _base(variable: str, fallback: str) -> Path:
    """Return the XDG base directory in `variable`; by the specification relative values are ignored."""
    value = os.environ.get(variable, "")
    return Path(value) if Path(value).is_absolute() else Path.home() / fallback


def environment_folder() -> Path:
    """Return the folder of the second environment, unless settings or the command line name another one."""
    return _base("XDG_DATA_HOME", ".local/share") / "lightning-detector" / "minicpm45"


def trust_record() -> Path:
    """Return the file that records the trusted code."""
    return _base("XDG_STATE_HOME", ".local/state") / "lightning-detector" / "trusted-code.json"
