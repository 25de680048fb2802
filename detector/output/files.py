"""How files and stdout are written: whole or not at all, and without waiting in a buffer."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from detector.errors import OutputError


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write `chunks` to `path`, one after the other: all of them, or what was there before stays.

    Raises:
        OSError: it cannot be written; nothing new is left.
    """
    scratch = path.with_name(f"{path.name}.new")
    try:
        with scratch.open("wb") as file:
            file.writelines(chunks)
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def write_out(text: bytes) -> None:
    """Write to stdout at once, others may be reading along; not through Python's buffer.

    Its lock would be held by a thread that waits for a reader, and the program could not end.
    """
    left = memoryview(text)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def check_writable(path: Path) -> None:
    """Raise unless a folder can be made or written at `path`.

    Raises:
        OutputError: it cannot; nothing has been touched.
    """
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise OutputError(f"--out {path}: {there} is a file, not a folder; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"--out {path}: no permission to write in {there}; choose another folder")
