"""make and .ci/run: every group of tests has a target, CI runs them all, and the pages name what is there."""

import re
import shutil
import subprocess
import tomllib

import pytest

from helpers import ROOT

MARKERS = {
    line.split(":")[0]
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
}
TARGETS = {"soak": "soak", "web": "web", "mqtt": "mqtt", "ray": "ray", "vllm": "vllm", "env45": "test-45"}
"""Markers of groups with a target of their own, and the target."""
NEEDS = {"rtsp", "slow", "footage", "model", "alone"}
"""Markers of tests that run with the others, or that no machine of CI can run."""
MARKER_TABLE = (ROOT / "CONTRIBUTING.md").read_text().partition("| marker |")[2].partition("\n\n")[0]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def recipe(target: str) -> str:
    """What make would run for `target`."""
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


def test_every_marker_belongs_to_a_target_or_to_the_core_and_is_described() -> None:
    assert {*TARGETS, *NEEDS} == MARKERS
    assert set(re.findall(r"^\| `(\w+)` \|", MARKER_TABLE, re.MULTILINE)) == MARKERS


@pytest.mark.parametrize("marker", sorted(TARGETS))
def test_what_make_test_leaves_out_has_a_target_that_runs_it(marker: str) -> None:
    left_out = re.search(r'-m "not \(alone or ([^)]+)\)"', recipe("test"))
    assert left_out is not None
    assert marker in left_out[1].split(" or ")
    if f"\n{TARGETS[marker]}:" not in (ROOT / "Makefile").read_text():
        pytest.skip(f"make {TARGETS[marker]} is not there yet")
    assert re.search(rf"pytest .*-m {marker}\b", recipe(TARGETS[marker]))


def test_make_test_runs_what_must_be_alone_after_the_others_also_where_one_failed() -> None:
    together, alone = re.findall(r"-m pytest (.*?) \|\| failed=1", recipe("test"))
    assert "-n" in together
    assert '-m "alone and not (' in alone
    assert "-n" not in alone.split()


def test_ci_runs_every_group() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for target in ("check", "demo"):
        assert f"make {target}\n" in script
    for target in ("test", "test-45", "soak"):
        assert f"\nrun {target} " in script
    assert "for partner in web mqtt ray; do" in script
