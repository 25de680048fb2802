"""The command line: what is asked in a wrong way ends with 2 and one clear reason."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detector.cli.commands import COMMANDS
from detector.cli.main import main
from helpers import ROOT

ROOT_IMPORTS = """
import sys
from detector.cli.commands import COMMANDS
from detector.cli.main import main
try:
    main(["--help"])
finally:
    print({"numpy", "msgspec", "rich", "av", "zmq"} & set(sys.modules), file=sys.stderr)
"""


def test_the_help_of_the_program_imports_no_command_and_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", ROOT_IMPORTS], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == "set()\n"
    assert COMMANDS.keys() <= set(done.stdout.split())


def test_the_list_of_commands_is_that_of_the_modules_and_of_what_they_say_of_themselves() -> None:
    modules = {path.stem: path for path in (ROOT / "detector" / "cli" / "commands").glob("[!_]*.py")}
    said = {name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for name, path in modules.items()}
    assert {name.replace("_", "-"): (text or "").splitlines()[0] for name, text in said.items()} == COMMANDS


@pytest.mark.parametrize(
    "command", ["history", "subscribe", "relay", "keys", "schema", "pull", "doctor", "replay", "watch"]
)
def test_flags_and_their_help_load_neither_pyav_nor_opencv(command: str) -> None:
    program = f"import sys; from detector.cli.main import build_parser; build_parser({command!r})"
    program += "; print({'av', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"


def ended(words: list[str]) -> int:
    """The exit code, also where argparse leaves by itself."""
    try:
        return main(words)
    except SystemExit as left:
        return int(left.code or 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch"], "no camera to watch"),
        (["watch", "rtsp://127.0.0.1:1/cam", "--set", "foo"], "--set 'foo': expected section.key=value"),
        (["replay", "storm.mp4", "--set", "foo"], "--set 'foo': expected section.key=value"),
        (["watch", "rtsp://127.0.0.1:1/cam", "--seconds", "nan"], "'nan' is not a number of seconds above 0"),
        (["watch", "rtsp://127.0.0.1:1/cam", "--seconds", "-1"], "'-1' is not a number of seconds above 0"),
        (["replay", "storm.mp4", "--follow", "soon"], "'soon' is not a number of seconds above 0"),
        (["replay", "storm.mp4", "--start", "9999-12-31T23:59:58Z"], "is not in the years 1900 to 8999"),
        (["replay", "storm.mp4", "--start", "0001-01-01T00:00:00+14:00"], "is not in the years 1900 to 8999"),
        (["replay", "storm.mp4", "--start", "2026-11-22"], "is a day without its time"),
        (
            ["subscribe", "tcp://127.0.0.1:5556", "--state", "confirmd"],
            "no event is ever 'confirmd'; choose of detected,",
        ),
        (
            ["history", "events.db", "--state", "stoped"],
            "unverified, connecting, live, stalled, down, started, stopped",
        ),
        (["relay", "tcp://127.0.0.1:5556"], "relay: needs --publish"),
        (
            ["relay", "tcp://localhost:5556", "--publish", "tcp://127.0.0.1:5556", "--journal", "all.db"],
            "relay: tcp://localhost:5556 is where --publish tcp://127.0.0.1:5556 will be",
        ),
        (["keys", "list"], "Give --keys DIR"),
        (["replay", "storm.mp4", "--out", ""], "no folder is named"),
        (["replay", "storm.mp4", "--keys", "keys"], "--keys keys: nothing is published that could be read"),
        (["replay", "storm.mp4", "--overwrite"], "--overwrite: without --out nothing is written"),
        (["rtsp://joe:pa55@10.0.0.1/cam"], "rtsp://***@10.0.0.1/cam"),
        (["repaly", "storm.mp4"], "there is no command 'repaly'; did you mean replay?"),
        (["serve45"], "did you mean serve-45?"),
        (["storm.mp4"], "there is no command 'storm.mp4'; choose of calibrate, "),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_expected(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ended(words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert "pa55" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["keys", "list", "--keys", "nokeys"], "nokeys: no such folder"),
        (
            ["subscribe", "tcp://127.0.0.1:5556", "--cursor", "/nowhere/c"],
            "/nowhere/c: no cursor can be kept in /nowhere",
        ),
        (["subscribe", "tcp://127.0.0.1:5556", "--cursor", "."], ".: cannot keep the cursor: it is a folder"),
        (["serve-45", "--port", "99999"], "command line: minicpm45.port = 99999: expected `int` <= 65535"),
    ],
)
def test_what_cannot_be_done_ends_with_1_and_one_line_that_says_why(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "closed", "code", "said"),
    [
        ("schema", ">&-", 0, ""),
        ("watch rtsp://127.0.0.1:1/cam --seconds 0.1 --quiet", ">&-", 1, "127.0.0.1"),
        ("replay nowhere.mp4 --quiet", ">&-", 1, "nowhere.mp4"),
        ("keys list --keys nokeys", "2>&-", 1, ""),
    ],
)
def test_a_stream_that_the_shell_closed_takes_what_is_written_to_it(
    words: str, closed: str, code: int, said: str
) -> None:
    command = ["sh", "-c", f'exec "$0" -m detector {words} {closed}', sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["replay storm.mp4", "watch rtsp://127.0.0.1:1/", "tune storm.mp4", "doctor"])
def test_on_a_server_without_the_libraries_of_opencv_every_command_says_what_to_install(
    command: str, tmp_path: Path
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    done = subprocess.run(
        [sys.executable, "-m", "detector", *command.split()],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "lightning-detector: OpenCV cannot be loaded, libGL.so.1 is missing on this machine: apt-get install libgl1"
    )
    assert "Traceback" not in done.stderr
    assert ("opencv" in done.stdout) == (command == "doctor")  # which goes on to say what else there is


def test_what_is_typed_wrong_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["replay", "storm.mp4", "--start", "yesterday"])
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("lightning-detector replay: error: argument --start: 'yesterday' is not a time")
    assert line.endswith("(see lightning-detector replay --help)")


def test_a_replay_starts_no_threads_of_blas_and_loads_only_what_it_uses(camera_clip: Path) -> None:
    program = f"""
import os, sys, time
from detector.cli.main import main
main(["replay", {str(camera_clip)!r}, "--quiet"])
unused = {{"zmq", "jinja2", "detector.output.report.page", "filelock", "importlib.metadata", "PIL"}}
def running():
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1
until = time.monotonic() + 5
while running() > 1 and time.monotonic() < until:  # a thread that was joined is there for a moment; those of BLAS stay
    time.sleep(0.01)
threads = running()
print(unused & set(sys.modules), threads, file=sys.stderr)
"""
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=plain, capture_output=True, text=True, check=True, timeout=60)
    assert "confirmed" in done.stdout
    assert done.stderr == "set() 1\n"
