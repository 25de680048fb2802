"""Write files atomically, and stdout without a buffer."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from detector.errors import OutputError


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write `chunks` to `path` atomically: all of them, or the previous file stays.

    Raises:
        OSError: the file cannot be written; nothing new is left.
    """
    scratch = path.with_name(f"{path.name}.new")
    try:
        with open(scratch, "wb", opener=open_private) as file:
            file.writelines(chunks)
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def open_private(path: str, flags: int) -> int:
    """Open like `os.open`, for `open(opener=...)`: a new file can be read by its owner and group only, less the umask.

    Where a camera stands and what it sees is private.

    Returns:
        the file descriptor.
    """
    return os.open(path, flags, 0o640)


def make_folder(path: Path) -> None:
    """Create the folder at `path` and missing parents, accessible to owner and group only.

    Raises:
        OSError: the folder cannot be created.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o750)


def write_out(text: bytes) -> None:
    """Write to stdout at once, for programs that read along, and not through Python's buffer.

    The buffer's lock would be held by a thread that waits for a reader, and the program could not end.
    """
    left = memoryview(text)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def check_writable(path: Path) -> None:
    """Raise OutputError unless a folder can be created or written at `path`.

    Raises:
        OutputError: it cannot; nothing was changed.
    """
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise OutputError(f"--out {path}: {there} is a file, not a folder; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(f"--out {path}: no permission to write in {there}; choose another folder")
