"""Reload the cameras while they are watched: only changed ones are stopped or started."""

import logging
from collections.abc import Callable, Sequence

import msgspec

from detector.errors import DetectorError
from detector.run.allocator import return_freed_memory
from detector.run.cameras import CameraEntry
from detector.run.session import Session
from detector.run.snapshots import Snapshots
from detector.run.watch import CameraPool, CameraSpec, PoolChanges
from detector.settings import Settings
from stream import redact

_log = logging.getLogger(__name__)

_AT_ONCE = ("capture", "prefilter")
"""Sections that a reload applies, since they belong to a camera; the others apply at the next start."""


class CameraReload:
    """Apply the current content of the settings file.

    Args:
        started: settings and cameras with which the run was started.
        read: reads flags and settings file again.
        specs: makes the camera specifications for the pool.
        pool: the cameras.
        session: publishes the result.
        snapshots: forgets removed cameras.
    """

    def __init__(
        self,
        started: tuple[Settings, tuple[CameraEntry, ...]],
        *,
        read: Callable[[], tuple[Settings, tuple[CameraEntry, ...]]],
        specs: Callable[[Sequence[CameraEntry]], list[CameraSpec]],
        pool: CameraPool,
        session: Session,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._settings, self.cameras = started
        self._read = read
        self._specs = specs
        self._pool = pool
        self._session = session
        self._snapshots = snapshots

    @property
    def names(self) -> list[str]:
        """Names of the cameras that are watched now."""
        return [entry.name for entry in self.cameras]

    def run(self) -> bool:
        """Read and apply the file, and return True; if the file is wrong, change nothing and return False."""
        try:
            settings, cameras = self._read()
        except DetectorError as error:
            problem = redact(str(error))
            _log.error("the cameras are not read again, all goes on as before: %s", problem)
            self._session.publish_system("reload_refused", self.names, problem)
            return False
        changes = self._watch(cameras)
        later = _changed_sections(self._settings, settings)
        detail = str(changes)
        if later:
            detail += f"; [{'], ['.join(later)}] will change at the next start"
        _log.info("the cameras were read again: %s", detail)
        self._session.publish_system("reloaded", self.names, detail)
        return True

    def watch(self, cameras: Sequence[CameraEntry]) -> None:
        """Watch `cameras` from now on, under the settings that are in force."""
        changes = self._watch(cameras)
        _log.info("the cameras that are watched: %s", changes)
        self._session.publish_system("reloaded", self.names, str(changes))

    def _watch(self, cameras: Sequence[CameraEntry]) -> PoolChanges:
        changes = self._pool.replace(self._specs(cameras))
        return_freed_memory()
        self.cameras = tuple(cameras)
        for name in changes.removed:
            if self._snapshots is not None:
                self._snapshots.remove(name)
        return changes


def _changed_sections(before: Settings, after: Settings) -> list[str]:
    """Return the changed sections that a reload cannot apply."""
    return [
        field.name
        for field in msgspec.structs.fields(Settings)
        if field.name not in _AT_ONCE and getattr(before, field.name) != getattr(after, field.name)
    ]


def camera_identity(entry: CameraEntry) -> object:
    """Return the values that must stay equal for a camera to continue without interruption."""
    return (entry.name, entry.address, entry.capture, entry.settings.prefilter, entry.mask, entry.region)
