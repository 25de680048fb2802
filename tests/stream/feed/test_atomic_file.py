"""A file is written whole or not at all, and nothing else is left beside it."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.full_disk import full_disk
from stream import write_atomically


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for content in (b"first, and longer", b"second"):
        write_atomically(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_on_a_full_disk_the_old_content_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with full_disk(1000), pytest.raises(OSError, match="too large"):
        write_atomically(tmp_path / "a", b"x" * 5000)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_name_that_is_taken_by_a_folder_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "a", b"x")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_without_overwrite_a_file_that_is_there_stays(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "a", b"second", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o644)
    write_atomically(tmp_path / "a", b"secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from stream import write_atomically
path = Path(sys.argv[1])
for number in range(10**9):
    write_atomically(path, b"%d " % (number % 10) * 100_000, sync=False)
    if number == 3:
        print("started", flush=True)
"""


def test_a_kill_leaves_one_whole_content(tmp_path: Path) -> None:
    program = [sys.executable, "-c", WRITES_UNTIL_KILLED, tmp_path / "a"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "started\n"
        for _ in range(200):
            assert len(set((tmp_path / "a").read_bytes().split())) == 1
        writer.kill()
    content = (tmp_path / "a").read_bytes()
    assert len(content) == 200_000
    assert len(set(content.split())) == 1
