"""The wheel, built and installed where nothing of the checkout is: what users get."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from helpers import ROOT
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PACKAGES = ("stream", "detector", "lightning_detector")
PYTHON_PAGE = ROOT / "docs" / "python.md"
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "demo", "build", "dist")


def quiet_run(*words: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command that sees none of this process's Python settings."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_CONSTRAINT"))}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=settings, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0 or not check, f"{words}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by `python -m build` from a copy of the sources, by way of the source archive, as for a release."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, folder / "sources", ignore=LEFT_OUT)
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "sources"]
    quiet_run(*words, cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment that holds the wheel; what it needs is lent by this one."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    quiet_run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    (packages,) = folder.glob("lib/python*/site-packages")
    # As a folder of modules only: an editable install in there, which points at the checkout, is not followed.
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    quiet_run(*install, wheel, cwd=folder.parent)
    where = (
        "import detector, stream, lightning_detector as own; print(detector.__file__, stream.__file__, own.__file__)"
    )
    files = quiet_run(python, "-c", where, cwd=folder.parent).stdout.split()
    assert all(Path(file).is_relative_to(packages) for file in files), files
    return folder / "bin"


def test_the_wheel_holds_three_packages_with_their_types_and_the_settings(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {"detector/configs/default.toml", "detector/configs/models.toml"} <= names
    assert not any(name.startswith("detector/lightning_detector/") for name in names)


def test_the_installed_program_replays_a_clip_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    plan = Plan(seconds=4.0, size=(320, 180), flashes=(FlashPlan(kind="bolt", at=2.0),))
    write_clip(Scene(plan), tmp_path / "storm.mp4", ClipFormat())
    done = quiet_run(installed / "lightning-detector", "replay", "storm.mp4", "--verifier", "photometric", cwd=tmp_path)
    assert done.stdout.count("storm.mp4") == 1
    assert "1 confirmed" in done.stderr
    program = (
        "from lightning_detector import find_flashes; print(*[flash.state for flash in find_flashes('storm.mp4')])"
    )
    assert quiet_run(installed / "python", "-c", program, cwd=tmp_path).stdout.split() == ["confirmed"]


@pytest.mark.parametrize("command", [["lightning-detector"], ["python", "-m", "lightning_detector"]])
def test_each_way_to_start_it_tells_its_version(command: list[str], installed: Path, tmp_path: Path) -> None:
    done = quiet_run(installed / command[0], *command[1:], "--version", cwd=tmp_path)
    assert done.stdout.startswith("lightning-detector ")


@pytest.mark.parametrize("foreign", ["stream.py", "detector.py", "stream/__init__.py"])
def test_a_foreign_module_of_one_of_our_names_is_named_in_one_line_and_not_run(
    foreign: str, installed: Path, tmp_path: Path
) -> None:
    file = tmp_path / foreign
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('the foreign module ran')\n")
    for words in (["-c", "import lightning_detector"], ["-m", "lightning_detector", "--version"]):
        done = quiet_run(installed / "python", *words, cwd=tmp_path, check=False)
        assert done.returncode == 1
        assert "the foreign module ran" not in done.stderr
        (told,) = (told for told in done.stderr.splitlines() if "lightning_detector: " in told)
        assert f"ImportError: lightning_detector: {file} is found before this program's package" in told
        assert "rename it" in told


def test_a_foreign_module_that_is_loaded_already_is_named_too(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "stream.py").write_text("")
    program = "import stream, lightning_detector"
    done = quiet_run(installed / "python", "-c", program, cwd=tmp_path, check=False)
    assert f"ImportError: lightning_detector: {tmp_path / 'stream.py'} is found" in done.stderr


TYPED = """
import numpy as np
from {package} import Detector, Settings, find_flashes, load_settings

settings = load_settings()
for flash in find_flashes("storm.mp4", settings):
    reveal_type(flash)
    reveal_type(flash.start_seconds)
    reveal_type(flash.verdict)
    reveal_type(flash.pulses)
detector = Detector(camera="roof")
reveal_type(detector.push(np.zeros((90, 160), np.uint8), 0.0))
reveal_type(detector.finish())
reveal_type(settings.prefilter.gap_seconds)
detector.push(np.zeros((90, 160, 3), np.uint8), 1.0, colour="gbr")
"""
REVEALED = [
    "detector.events.Flash",
    "float",
    "detector.events.Verdict | None",
    "tuple[detector.events.Pulse, ...]",
    "list[detector.events.Flash]",
    "list[detector.events.Flash]",
    "float",
]


@pytest.mark.parametrize("package", ["detector", "lightning_detector"])
def test_a_type_checker_sees_types_in_a_program_that_uses_the_installed_library(
    package: str, installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(TYPED.format(package=package))
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", PYTHON_PAGE.read_text(), re.DOTALL)):
        (tmp_path / f"example{number}.py").write_text(example)
    words = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed / "python", "--no-pretty"]
    told = quiet_run(*words, *sorted(tmp_path.glob("*.py")), cwd=tmp_path, check=False).stdout
    revealed = re.findall(r'Revealed type is "(.*)"', told)
    assert [re.sub(r"builtins\.|Union\[(.*), None\]", "", kind) for kind in revealed] == REVEALED, told
    (error,) = [line for line in told.splitlines() if ": error: " in line]
    assert "gbr" in error
