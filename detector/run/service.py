"""Services of `watch` beside the cameras: status for heartbeats, snapshots, reload, page, service manager."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from detector.run.cameras import CameraEntry
from detector.run.child_process import ChildProcess
from detector.run.lenses import Lenses
from detector.run.reload import CameraReload
from detector.run.service_manager import ServiceManager
from detector.run.session import Session
from detector.run.snapshots import Snapshots
from detector.run.status import RunStatus
from detector.run.watch import CameraPool, CameraSpec
from detector.settings import Settings

_PAGE_END_SECONDS = 5.0  # grace for its open connections

ReadCameras = Callable[[], tuple[Settings, tuple[CameraEntry, ...]]]
MakeSpecs = Callable[[Sequence[CameraEntry], Session, Snapshots | None], list[CameraSpec]]


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Options of the services of a run.

    Attributes:
        out: folder of the run, if any.
        journal: file of the feed's journal, if any.
        page: arguments of the command `page`; None serves no page.
        read: reads flags and settings file again.
        specs: makes the camera specifications for the pool.
    """

    out: Path | None
    journal: Path | None
    page: Sequence[str] | None
    read: ReadCameras
    specs: MakeSpecs


class WatchService:
    """Run the cameras and the services; call `step` twice a second.

    Attributes:
        status: returns the status for heartbeats.
        reload: once set, the next `step` reloads the cameras.
    """

    def __init__(self, settings: Settings, cameras: Sequence[CameraEntry], options: ServiceOptions) -> None:
        folders = {"out": options.out, "journal": options.journal.absolute().parent if options.journal else None}
        self.status = RunStatus(settings.feed.site, {kind: path for kind, path in folders.items() if path is not None})
        self.reload = Event()
        self._settings = settings
        self._cameras = tuple(cameras)
        self._options = options
        self._manager = ServiceManager()
        page = options.page
        self._page = None if page is None else ChildProcess("the page", lambda: ["page", *page], _PAGE_END_SECONDS)
        self._reloading: CameraReload | None = None
        self._lenses = Lenses()
        self._pool: CameraPool | None = None

    @property
    def names(self) -> list[str]:
        """Names of the cameras that are watched now."""
        return [entry.name for entry in self._cameras] if self._reloading is None else self._reloading.names

    @contextmanager
    def running(self, session: Session) -> Iterator[CameraPool]:
        """Watch inside the block."""
        with ExitStack() as stack:
            stack.callback(self._manager.stopping)
            snapshots = None
            if self._options.out is not None and self._settings.page.snapshot_seconds:
                snapshots = stack.enter_context(Snapshots(self._options.out, self._settings.page).running())

            def specs(cameras: Sequence[CameraEntry]) -> list[CameraSpec]:
                return self._options.specs(cameras, session, snapshots)

            pool = self._pool = stack.enter_context(CameraPool(specs(self._cameras), session.publish_camera).running())
            self.status.attach(lambda: [worker.reading for worker in pool.workers], session.verifier_status)
            self._reloading = CameraReload(
                (self._settings, self._cameras),
                read=self._read,
                specs=specs,
                pool=pool,
                session=session,
                snapshots=snapshots,
            )
            if self._page is not None:
                stack.enter_context(self._page.running())
            self._manager.ready(f"watching {len(self.names)} cameras")
            yield pool

    def step(self) -> None:
        """Do the work that is due."""
        self.status.look()
        self._manager.alive()
        if self._page is not None:
            self._page.check()
        if self.reload.is_set() and self._reloading is not None:
            self.reload.clear()
            self._manager.reloading()
            self._reloading.run()
            self._manager.ready(f"watching {len(self.names)} cameras")
        elif self._reloading is not None and self._is_lens_found():
            self._reloading.watch(self._lenses.expanded(self._cameras))
            self._manager.ready(f"watching {len(self.names)} cameras")

    def _is_lens_found(self) -> bool:
        return self._pool is not None and self._lenses.step(self._cameras, self._pool.workers)

    def _read(self) -> tuple[Settings, tuple[CameraEntry, ...]]:
        settings, self._cameras = self._options.read()
        return settings, self._lenses.expanded(self._cameras)
