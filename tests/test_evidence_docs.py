"""What docs/evidence.md explains is what events hold."""

import re

from detector.verify.photometric.verifier import WEIGHTS
from helpers import ROOT

PAGE = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")


def rows(title: str) -> dict[str, list[str]]:
    """The table under `title`: its first cells without quotes, each with the others of its row."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if "| `" in line]
    return {first.strip("| `"): rest for first, *rest in cells}


def test_every_clue_is_explained_with_its_bounds_and_its_doubt() -> None:
    explained = rows("What the photometric verifier measures")
    assert list(explained) == [weight.name for weight in WEIGHTS]
    for weight in WEIGHTS:
        what, *bounds, doubt = explained[weight.name]
        assert what
        assert bounds == [f"{weight.against:g}", f"{weight.clear:g}"]
        assert doubt.strip("| ") == weight.doubt


def test_every_word_of_quality_is_explained() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "stream").rglob("*.py"))
    words = set(re.findall(r'self\._add\("(\w+)"\)|quality=\("(\w+)",\)', source))
    assert set(rows("Why pictures may not be trusted")) == {first or second for first, second in words}


def test_what_a_model_says_is_explained() -> None:
    source = (ROOT / "detector" / "verify" / "vlm" / "question.py").read_text(encoding="utf-8")
    (said,) = re.findall(r"finite = \{(.+)\}", source)
    names = set(re.findall(r'"(\w+)":', said)) | {"photometric_probability"}
    assert set(rows("What a model answered")) == names
