"""Watch many files at once for `replay`; loaded only where it does."""

import logging
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli.console import progress_console
from detector.cli.jobs_progress import ManyFilesProgress
from detector.errors import UsageError
from detector.output.tables import FlashTable
from detector.run.at_once import ClusterOptions, with_cameras
from detector.run.cameras import distinct_names
from detector.run.cluster import replay_on_cluster
from detector.run.job_results import JobHooks
from detector.run.job_worker import WorkerSetup
from detector.run.jobs import replay_in_processes
from detector.run.parts import in_parts
from detector.run.replay import Outcome
from detector.run.session import longest_flash
from detector.settings import Settings

if TYPE_CHECKING:
    from detector.cli.run_replay import ReplayRun

_LOADING_MODELS = ("minicpm", "cascade", "fused")  # where no server has the model


def as_watched(run: "ReplayRun", settings: Settings, split_minutes: int | None) -> "ReplayRun":
    """Return the run with the names of its cameras, and long recordings in parts if so asked."""
    names = distinct_names([one.camera or str(one.path) for one in run.recordings])
    recordings = with_cameras(run.recordings, names)
    if split_minutes is not None:
        recordings = in_parts(recordings, 60.0 * split_minutes, run.options, longest_flash(settings))
    return replace(run, recordings=recordings)


def shown_progress(run: "ReplayRun", table: FlashTable, *, quiet: bool) -> AbstractContextManager[ManyFilesProgress]:
    """Return a block that shows one bar for all files."""
    return ManyFilesProgress(progress_console(), [one.path for one in run.recordings], table, quiet=quiet).shown()


def replay_at_once(
    run: "ReplayRun", settings: Settings, out: Path | None, at_once: int | ClusterOptions, progress: ManyFilesProgress
) -> tuple[Outcome, int]:
    """Replay a run, as `as_watched` gave it, in so many processes, or on this cluster.

    Returns:
        the outcome, and the number of stills and clips that could not be written.

    Raises:
        UsageError: each process would load a model.
        DetectorError: the run cannot go on.
    """
    session, results = run.session, run.results
    if session.verifier_name in _LOADING_MODELS and not settings.served.endpoint:
        raise UsageError(
            f"--jobs, --engine: each process would load the model of the verifier {session.verifier_name}; serve it "
            "(--verifier served), or leave out --jobs and --engine"
        )
    options = replace(run.options, cameras=frozenset(one.camera for one in run.recordings))
    level = logging.getLogger().level
    setup = WorkerSetup(settings, options, out, session.run, level)
    hooks = JobHooks(
        first_opened=lambda: None if results is None else results.folder.begin(),
        begun=lambda recording, camera: None if results is None else results.begin(recording, camera),
        flash=session.take,
        finished=run.finished,
    )
    if isinstance(at_once, int):
        return replay_in_processes(run.recordings, setup, at_once, hooks, progress, run.stop)
    return replay_on_cluster(run.recordings, setup, at_once, hooks, progress, run.stop)
