"""Where the files lie that come with the program; imports nothing heavy, since `--help` names one."""

from pathlib import Path


def configs_folder() -> Path:
    """The folder with default.toml: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


DEFAULT_SETTINGS = configs_folder() / "default.toml"
"""Every setting, its shipped value and its unit."""
