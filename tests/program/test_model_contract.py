"""What users of the models rely on, as data: the matrix, the smoke targets, both workflows and the two branches."""

import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest

from detector.cli.options import lay_verifier_arguments
from detector.verify.vlm.local.snapshot import pinned_revision
from helpers import ROOT
from helpers.models import REVISION_46, model_settings
from helpers.standin45 import REVISION as REVISION_45

STABLE_46 = "HF_HUB_OFFLINE=1 .venv/bin/lightning-detector doctor --smoke --verifier minicpm"
STABLE_45 = "HF_HUB_OFFLINE=1 .venv/bin/lightning-detector serve-45 --smoke --environment .venv45"
EDGE_46 = ".venv/bin/lightning-detector doctor --smoke --verifier minicpm --set minicpm.channel=edge"
EDGE_45 = ".venv/bin/lightning-detector serve-45 --smoke --edge --environment .venv45"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def steps_of(workflow: str) -> list[str]:
    """The commands that a workflow runs, in order."""
    return re.findall(r"^ +- run: (.+)$", text_of(f".github/workflows/{workflow}.yml"), flags=re.MULTILINE)


class Flags:
    """Flags of a command line; those that were not given are missing."""

    def __init__(self, **given: str) -> None:
        self.__dict__.update(given)


@pytest.mark.parametrize(
    ("flags", "variables", "setting", "used"),
    [
        ({"model_revision": "a" * 40}, {"MINICPM_REVISION": "b" * 40}, "c" * 40, "a" * 40),
        ({}, {"MINICPM_REVISION": "b" * 40}, "c" * 40, "b" * 40),
        ({}, {}, "c" * 40, "c" * 40),
        ({}, {}, "", REVISION_46),
    ],
    ids=["flag", "variable", "settings", "matrix"],
)
def test_the_revision_is_the_flags_then_the_variables_then_the_settings_then_the_matrix(
    flags: dict[str, str], variables: dict[str, str], setting: str, used: str
) -> None:
    given: Any = Flags(**flags)
    laid = lay_verifier_arguments(model_settings(minicpm={"revision": setting}), given, variables)
    assert pinned_revision(laid.minicpm) == used


def test_the_matrix_names_each_model_with_its_commit_how_it_runs_and_its_libraries() -> None:
    rows = tomllib.loads(text_of("configs/models.toml"))["model"]
    native = ("native", ">=5.19,<6", ["sdpa", "eager", "flash_attention_2"])
    assert {row["id"]: (row["revision"], row["runs"], row["transformers"], row["attention"]) for row in rows} == {
        "openbmb/MiniCPM-V-4.6": (REVISION_46, *native),
        "openbmb/MiniCPM-V-4.7-1B": ("", *native),
        "openbmb/MiniCPM-V-4.6-Thinking": ("", *native),
        "openbmb/MiniCPM-V-4.7-35B-A3B": ("", *native),
        "openbmb/MiniCPM-V-4_5": (REVISION_45, "serve-45", ">=4.51,<4.58", ["sdpa", "flash_attention_2"]),
    }


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("words", "commands"),
    [
        (["smoke-stable"], [STABLE_46, STABLE_45]),
        (["smoke-stable", "MODELS=4.5", "TRUST=--trust"], [f"{STABLE_45} --trust"]),
        (["smoke-edge"], [EDGE_46, EDGE_45]),
        (["smoke-edge", "MODELS=4.6"], [EDGE_46]),
    ],
    ids=lambda case: "-".join(case) if case[0].startswith("smoke") else "",
)
def test_the_smoke_targets_are_offline_when_stable_and_follow_the_branch_when_edge(
    words: list[str], commands: list[str]
) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *words],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert [line.strip() for line in done.stdout.splitlines() if "--smoke" in line] == commands


def test_the_stable_workflow_tests_every_push_and_smokes_the_pinned_models_after_it() -> None:
    assert steps_of("stable") == [
        ".ci/run",
        "make test",
        "make ${{ matrix.partner }}",
        "python -m pip install --constraint configs/constraints.txt .",
        "python tools/make_storm.py storm.mp4 --labels labels.json --flash sheet --flash bolt",
        "lightning-detector replay storm.mp4 --verifier photometric --out results",
        "lightning-detector score labels.json results",
        "make setup-dev",
        ".venv/bin/lightning-detector pull",
        "make smoke-stable MODELS=4.6",
        "make setup-dev",
        "make smoke-stable MODELS=4.5",
    ]
    text = text_of(".github/workflows/stable.yml")
    assert "branches: [main]" in text
    assert text.count("needs: test") == 2
    assert "continue-on-error" not in text
    assert "make smoke-edge" not in text


def test_the_edge_workflow_runs_weekly_on_its_branch_with_the_newest_libraries_and_may_fail() -> None:
    steps = steps_of("edge")
    assert steps == [
        "make setup-dev",
        ".venv/bin/python -m pip install --upgrade --upgrade-strategy eager --editable '.[minicpm]'",
        "make smoke-edge MODELS=4.6",
        "make setup-dev",
        "make smoke-edge MODELS=4.5",
    ]
    text = text_of(".github/workflows/edge.yml")
    assert 'cron: "17 4 * * 1"' in text
    assert text.count("ref: edge") == text.count("continue-on-error: true") == 2
    assert "--trust" not in text, "nothing that nobody has read is run unattended"


def test_contributing_names_the_two_branches_and_what_each_promises() -> None:
    text = text_of("CONTRIBUTING.md")
    assert "| `main` | `stable` | every model is pinned to a commit of 40 digits and loaded offline" in text
    assert "| `edge` | `edge` | follows the branch `main` of each model's repository" in text
    for word in ("make smoke-stable", "make smoke-edge", "stable.yml", "edge.yml", "git push origin main:edge"):
        assert word in text
