"""Reading the cameras again while they are watched: only what changed is stopped or started."""

import logging
from collections.abc import Callable, Sequence

import msgspec

from detector.errors import DetectorError
from detector.run.allocator import return_freed_memory
from detector.run.cameras import CameraEntry
from detector.run.session import Session
from detector.run.snapshots import Snapshots
from detector.run.watch import CameraPool, CameraSpec
from detector.settings import Settings
from stream import redact

_log = logging.getLogger(__name__)

_AT_ONCE = ("capture", "prefilter")
"""Sections that a reload brings into force, since they belong to a camera; the others do so at the next start."""


class CameraReload:
    """Brings what the settings file says now into force.

    Args:
        started: settings and cameras of the run, as it was started.
        read: reads flags and file again.
        specs: makes what the pool watches.
        pool: the cameras.
        session: publishes what happened.
        snapshots: forgets cameras that are gone.
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
        """The cameras that are watched now."""
        return [entry.name for entry in self.cameras]

    def run(self) -> bool:
        """Read again and apply; False if the file is wrong, and then everything stays as it was."""
        try:
            settings, cameras = self._read()
        except DetectorError as error:
            problem = redact(str(error))
            _log.error("the cameras are not read again, all goes on as before: %s", problem)
            self._session.publish_system("reload_refused", self.names, problem)
            return False
        changes = self._pool.replace(self._specs(cameras))
        return_freed_memory()
        self.cameras = tuple(cameras)
        for name in changes.removed:
            if self._snapshots is not None:
                self._snapshots.remove(name)
        later = _changed_sections(self._settings, settings)
        detail = str(changes)
        if later:
            detail += f"; [{'], ['.join(later)}] will change at the next start"
        _log.info("the cameras were read again: %s", detail)
        self._session.publish_system("reloaded", self.names, detail)
        return True


def _changed_sections(before: Settings, after: Settings) -> list[str]:
    """Return the sections that a reload cannot bring into force."""
    return [
        field.name
        for field in msgspec.structs.fields(Settings)
        if field.name not in _AT_ONCE and getattr(before, field.name) != getattr(after, field.name)
    ]


def camera_identity(entry: CameraEntry) -> object:
    """Return what must stay equal for a camera to go on untouched through a reload."""
    return (entry.name, entry.address, entry.capture, entry.settings.prefilter, entry.mask, entry.region)
