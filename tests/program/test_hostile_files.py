"""`replay` of what a stranger may hand in: names that speak to a terminal, and whose eyes may see the results."""

import csv
import os
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from detector.cli.main import main
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

NAME = "a\x1b[2J\nERROR forged\u202e.mp4"
SHOWN = r"a\x1b[2J\nERROR forged\u202e.mp4"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A second with one flash."""
    path = tmp_path_factory.mktemp("made") / "storm.mp4"
    write_clip(
        Scene(Plan(seconds=3.0, size=(320, 180), flashes=(FlashPlan(kind="sheet", at=1.5),))), path, ClipFormat()
    )
    return path.read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
def test_a_name_with_control_characters_is_spelled_out_wherever_it_is_shown(clip: bytes, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / NAME).write_bytes(clip)
    (folder / f"broken{NAME}").write_bytes(clip[:3000])
    words = [sys.executable, "-m", "detector", "replay", str(folder), "--verifier", "photometric", "--out", str(out)]
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 1
    printed = done.stdout + done.stderr
    for raw in (b"\x1b[2J", "\u202e".encode(), b"\nERROR"):
        assert raw not in printed
    assert SHOWN in done.stderr.decode()
    rows = list(csv.DictReader((out / "flashes.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == [SHOWN]
    assert b"\x1b" not in (out / "flashes.jsonl").read_bytes()


def _two_ports() -> int:
    """A port that is free now, the one above it too."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            with suppress(OSError):
                other.bind(("127.0.0.1", port + 1))
                return port


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_results_and_journal_are_for_owner_and_group_only(clip: bytes, tmp_path: Path) -> None:
    (tmp_path / "storm.mp4").write_bytes(clip)
    out, journal = tmp_path / "run", tmp_path / "feed.journal"
    before = os.umask(0o002)
    try:
        given = ["--publish", f"tcp://127.0.0.1:{_two_ports()}", "--journal", str(journal)]
        words = ["replay", str(tmp_path / "storm.mp4"), "--verifier", "photometric", "--out", str(out), *given]
        assert main(words) == 0
    finally:
        os.umask(before)
    made = [journal, *(path for path in tmp_path.glob("feed.journal.*")), *out.rglob("*")]
    assert len(made) > 4
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0, path


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_a_stricter_umask_is_respected(clip: bytes, tmp_path: Path) -> None:
    (tmp_path / "storm.mp4").write_bytes(clip)
    out = tmp_path / "run"
    before = os.umask(0o077)
    try:
        assert main(["replay", str(tmp_path / "storm.mp4"), "--verifier", "photometric", "--out", str(out)]) == 0
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file()} == {0o600}
