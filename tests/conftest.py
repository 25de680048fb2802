"""What tests of several rooms share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips, which are not part of the project."""
    folder = Path(os.environ.get("LIGHTNING_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage"))
    if not (folder / "labels.json").is_file():
        pytest.skip(f"no real footage at {folder}; set LIGHTNING_FOOTAGE to its folder")
    return folder
