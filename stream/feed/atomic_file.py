"""Write a file whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

_WINDOWS = os.name == "nt"


def write_atomically(
    path: Path, content: bytes, *, mode: int = 0o666, overwrite: bool = True, sync: bool = True
) -> None:
    """Write `content` to `path` atomically: a reader, a kill or a full disk never sees or leaves half of it.

    A temporary file beside `path` is written, synced and renamed. A kill may leave it behind (`.NAME.XXXXXXXX.new`).

    Args:
        path: the file; its folder exists.
        content: the whole content.
        mode: permissions, less the umask; 0o600 for secrets.
        overwrite: replace an existing file; otherwise it stays, and FileExistsError is raised.
        sync: wait until the content is on disk, so that a power cut leaves the old or the new content.

    Raises:
        OSError: the file cannot be written; a previous file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(temporary, flags, mode), "wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        elif _WINDOWS:
            temporary.rename(path)  # Windows refuses to overwrite
        else:
            path.hardlink_to(temporary)  # unlike a rename, it refuses to overwrite
            temporary.unlink()
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if sync and not _WINDOWS:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Sync the folder, so that the new name is on disk; ignore file systems that cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
