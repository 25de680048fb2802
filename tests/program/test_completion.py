"""A shell completes commands, flags and file names by the script that `completion` prints."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMPLETE = """
eval "$(cat script)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
name=$(complete -p lightning-detector | sed -E 's/.*-F ([^ ]+).*/\\1/')
$name lightning-detector "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    program = [sys.executable, "-m", "detector", "completion", "bash"]
    script = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60).stdout
    (folder / "script").write_text(script)
    (folder / "storm.mp4").touch()
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["rep"], {"replay", "report"}),
        (["replay", "--verif"], {"--verifier"}),
        (["completion", "ba"], {"bash"}),
        (["replay", "sto"], {"storm.mp4"}),
    ],
)
def test_what_is_typed_half_is_completed(folder: Path, typed: list[str], offered: set[str]) -> None:
    words = ["bash", "-c", COMPLETE, "bash", "lightning-detector", *typed]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, cwd=folder)
    assert set(done.stdout.split()) == offered
