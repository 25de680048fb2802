"""A verifier of another package: found by its name, and the example in tools/examples is one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.plugins import offer_verifiers
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

EXAMPLES = ROOT / "tools" / "examples"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    flashes = (FlashPlan(kind="sheet", at=1.0),)
    write_clip(Scene(Plan(seconds=2.0, size=(320, 180), flashes=flashes)), tmp_path / "storm.mp4", ClipFormat())
    return tmp_path / "storm.mp4"


def replay(clip: Path, packages: Path, verifier: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join((str(ROOT), str(packages), str(EXAMPLES)))
    command = [sys.executable, "-m", "detector", "replay", "--json", "--quiet", str(clip), "--verifier", verifier]
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_the_example_verifier_judges_a_replay_by_its_name(clip: Path, tmp_path: Path) -> None:
    packages = offer_verifiers(tmp_path / "packages", wide_glow="own_verifier:WideGlow")
    done = replay(clip, packages, "wide-glow")
    assert done.returncode == 0, done.stderr
    *_, last = (json.loads(line)["data"] for line in done.stdout.splitlines())
    assert (last["state"], last["verdict"]["verifier"]) == ("confirmed", "wide-glow")
    assert set(last["verdict"]["evidence"]) == {"lit_fraction"}


def test_a_name_that_nobody_offers_is_wrong_use_and_lists_who_is_there(clip: Path, tmp_path: Path) -> None:
    packages = offer_verifiers(tmp_path / "packages", wide_glow="own_verifier:WideGlow")
    done = replay(clip, packages, "wide-glo")
    assert done.returncode == 2
    assert "must be one of auto, none, photometric" in done.stderr
    assert "of other packages: wide-glow" in done.stderr
