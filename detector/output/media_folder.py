"""Files of media in a run's folder: named by camera, day and time, staged, then committed or removed."""

import logging
import re
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from detector.output.files import make_folder, write_whole

_log = logging.getLogger(__name__)

_UNDECIDED = ".new"  # ending of staged files, by which leftovers of a killed run are recognised


def media_name(camera: str, flash_id: str, start_seconds: float, utc: float | None) -> str:
    """Return the path of a flash's media, relative to the run's folder and without file ending.

    Args:
        camera: name of the camera.
        flash_id: id of the flash, which keeps names apart.
        start_seconds: its start on the source's clock, used if UTC is unknown.
        utc: its start in seconds since 1970, or None.
    """
    if utc is None:
        return f"{_safe(camera)}/{max(0.0, start_seconds):010.3f}s_{_safe(flash_id)}"
    when = datetime.fromtimestamp(utc, UTC)
    time = f"{when:%H-%M-%S}.{when.microsecond // 1000:03d}Z"
    return f"{_safe(camera)}/{when:%Y-%m-%d}/{time}_{_safe(flash_id)}"


def _safe(name: str) -> str:
    """Return a name that is a single path component on every system."""
    return re.sub(r"[^\w.-]", "_", name).strip(".") or "_"


class MediaFolder:
    """The folder of a run, for media. A failure is logged, and affects only the file.

    Attributes:
        path: the folder.
        lost: number of files that could not be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = 0
        self._lock = threading.Lock()

    def stage(self, name: str, data: bytes, kind: str) -> str | None:
        """Write a file under its staged name, and return why it failed, if it did."""
        path = self._staged(name)
        try:
            make_folder(path.parent)
            write_whole(path, [data])
        except OSError as error:
            self._fail(self.path / name, f"cannot write the {kind}", error)
            return f"it could not be written: {error.strerror}"
        return None

    def commit(self, name: str, kind: str) -> bool:
        """Rename a staged file to its own name, and return whether it has it."""
        staged = self._staged(name)
        try:
            staged.replace(self.path / name)
        except OSError as error:
            self._fail(staged, f"the {kind} cannot be renamed to {PurePosixPath(name).name}", error)
            return False
        return True

    def write(self, name: str, data: bytes, kind: str) -> bool:
        """Write a file atomically, and return whether it was written."""
        path = self.path / name
        try:
            make_folder(path.parent)
            write_whole(path, [data])
        except OSError as error:
            self._fail(path, f"cannot write the {kind}", error)
            return False
        with suppress(OSError):
            self._staged(name).unlink(missing_ok=True)
        return True

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, staged or not."""
        for path in (self._staged(name), self.path / name):
            with suppress(OSError):
                return path.read_bytes()
        return None

    def remove(self, name: str) -> int:
        """Remove a file, staged or not, and the folders that it leaves empty, and return its size in bytes."""
        size = 0
        try:
            for path in (self._staged(name), self.path / name):
                if path.is_file():
                    size += path.stat().st_size
                    path.unlink(missing_ok=True)
        except OSError as error:
            _log.error("%s: cannot be removed: %s", error.filename, error.strerror)
        for parent in list(PurePosixPath(name).parents)[:-1]:
            try:
                (self.path / parent).rmdir()
            except OSError:
                break  # the folder is not empty
        return size

    def count_lost(self, kind: str, why: str) -> None:
        """Count and log media that could not be made."""
        with self._lock:
            self.lost += 1
        _log.error("%s: cannot write a %s: %s", self.path, kind, why)

    def _staged(self, name: str) -> Path:
        return self.path / f"{name}{_UNDECIDED}"

    def _fail(self, path: Path, what: str, error: OSError) -> None:
        with self._lock:
            self.lost += 1
        _log.error("%s: %s: %s", path, what, error.strerror)


def inside(folder: Path, name: str) -> Path | None:
    """Return the full path of a name in an event; None if it leads out of the folder."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else None
