"""The examples of docs/python.md run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"## ([^\n]+)\n\n```python\n(.*?)```", PAGE, re.DOTALL))
PRINTED = {
    "The flashes of a recording": r" +1\.\d{3} s  0\.\d\d s  \d pulses  confirmed\n +3\.\d{3} s .* confirmed\n",
    "A table": "",
    "Frames of your own": r"(roof-\S+) detected\n\1 confirmed\n(roof-\S+) detected\n\2 confirmed\n",
    "Settings": r"1\.\d+ \d+\.\d+\n3\.\d+ \d+\.\d+\n",
    "A verifier of your own": r"1\.\d+ confirmed 0\.\d+\n3\.\d+ confirmed 0\.\d+\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    flashes = FlashPlan(kind="sheet", at=1.5), FlashPlan(kind="bolt", at=3.5)
    write_clip(Scene(Plan(seconds=5.0, size=(320, 180), flashes=flashes)), folder / "storm.mp4", ClipFormat())
    return folder


def test_the_page_has_the_examples_that_are_run_here() -> None:
    assert list(EXAMPLES) == list(PRINTED)
    assert PAGE.count("```python") == len(PRINTED)


@pytest.mark.parametrize("title", PRINTED)
def test_an_example_of_the_page_runs_and_prints_the_flashes(title: str, folder: Path) -> None:
    file = folder / "example.py"
    file.write_text(EXAMPLES[title], encoding="utf-8")
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-W", "error", file.name]
    done = subprocess.run(words, cwd=folder, env=settings, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(PRINTED[title], done.stdout), done.stdout


def test_the_table_of_the_example_has_a_row_for_each_flash(folder: Path) -> None:
    test_an_example_of_the_page_runs_and_prints_the_flashes("A table", folder)
    assert len((folder / "flashes.csv").read_text(encoding="utf-8").splitlines()) == 3
