"""The second environment: when it counts as ready, what it is made of, what it must not touch."""

import sys
from pathlib import Path

import msgspec
import pytest

from detector.cli.main import main
from detector.errors import VerifierError
from detector.verify.vlm.server45.environment import Environment, Stamp, requirements
from helpers.standin45 import ENVIRONMENT

STAMP = "lightning-detector.json"


def pretend(folder: Path, stamp: Stamp | None) -> Environment:
    """An environment's outside, which is all that `problem` looks at."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text("")
    if stamp is not None:
        (folder / STAMP).write_bytes(msgspec.json.encode(stamp))
    return Environment(folder)


def series() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def test_it_is_made_of_the_extra_that_the_package_declares() -> None:
    assert "torch==2.13.0" in requirements()
    assert any(one.startswith("transformers") and "<4.58" in one for one in requirements())


def test_a_folder_that_does_not_exist_is_not_ready_and_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(VerifierError, match=f"has not been made; .*setup-45 --environment {tmp_path}/none"):
        Environment(tmp_path / "none").require()


def test_it_is_ready_when_it_was_finished_with_these_requirements_for_this_python(tmp_path: Path) -> None:
    assert pretend(tmp_path / "a", Stamp(requirements=requirements(), python=series())).problem() is None
    assert "interrupted" in (pretend(tmp_path / "b", None).problem() or "")
    older = Stamp(requirements=requirements()[1:], python=series())
    assert requirements()[0] in (pretend(tmp_path / "c", older).problem() or "")
    other = Stamp(requirements=requirements(), python="3.8")
    assert "Python 3.8" in (pretend(tmp_path / "d", other).problem() or "")


def test_a_package_asked_for_later_is_a_reason_to_make_it_again(tmp_path: Path) -> None:
    environment = pretend(tmp_path / "a", Stamp(requirements=requirements(), python=series(), added=("einops",)))
    assert environment.problem(["einops"]) is None
    assert "decord" in (environment.problem(["decord"]) or "")


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(VerifierError, match="not an empty folder and not an environment"):
        Environment(tmp_path).make()
    assert (tmp_path / "thesis.tex").exists()


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(VerifierError, match=r"/proc/nowhere/env: cannot be made: .*; name another with --environment"):
        Environment(Path("/proc/nowhere/env")).make()


def test_it_is_not_made_again_while_a_server_runs_from_it(tmp_path: Path) -> None:
    environment = pretend(tmp_path / "a", Stamp(requirements=requirements(), python=series()))
    with environment.in_use(), pytest.raises(VerifierError, match="a serve-45 is running from it"):
        environment.make(again=True)
    assert environment.problem() is None


def test_the_environment_that_this_program_runs_in_is_never_made_over() -> None:
    with pytest.raises(VerifierError, match="this program itself runs there"):
        Environment(Path(sys.prefix)).make(again=True)


def test_setup_45_finds_it_up_to_date_and_tells_what_it_holds(
    environment45: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup-45", "--environment", str(environment45)]) == 0
    said = capfd.readouterr().out
    assert "ready" in said
    assert "transformers 4.5" in said


def test_it_holds_nothing_that_the_cameras_side_needs(environment45: Path) -> None:
    report = ENVIRONMENT.probe(["av", "cv2", "zmq", "msgspec", "PIL"])
    assert report.broken == {"av": "", "cv2": "", "zmq": ""}
    assert report.transformers is not None
    assert (4, 51) <= tuple(int(part) for part in report.transformers.split(".")[:2]) < (4, 58)
