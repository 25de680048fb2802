"""configs/constraints.txt: exact versions, within the ranges of pyproject.toml, of all but torch."""

import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers import ROOT

LINES = [
    line
    for line in (ROOT / "configs" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_line_is_one_exact_version_and_none_is_of_torch() -> None:
    for line in LINES:
        (only,) = Requirement(line).specifier
        assert only.operator == "==", line
        assert canonicalize_name(Requirement(line).name) not in ("torch", "triton", "lightning-detector"), line
    assert sorted(LINES, key=str.lower) == LINES


def test_what_make_installs_is_constrained_to_a_version_that_the_project_allows() -> None:
    exact = {canonicalize_name(Requirement(line).name): Requirement(line).specifier for line in LINES}
    project = PROJECT["project"]
    asked = [
        *project["dependencies"],
        *project["optional-dependencies"]["minicpm"],
        *PROJECT["dependency-groups"]["dev"],
    ]
    for needed in map(Requirement, asked):
        if needed.name != "torch":
            (version,) = exact[canonicalize_name(needed.name)]
            assert version.version in needed.specifier, needed
