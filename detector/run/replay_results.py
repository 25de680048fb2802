"""Where a replay's results go: its folder, run.json, and the report at the end."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from detector.errors import OutputError, UsageError
from detector.events import Flash
from detector.output.jsonl import run_lines
from detector.output.local_time import site_zone
from detector.output.run_folder import RunFolder, results_line
from detector.run.recordings import Recording
from detector.run.run_record import Plan, RunLog, read_record
from detector.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplayResults:
    """The folder of a replay's results and what it says of itself.

    Attributes:
        folder: takes the flashes.
        log: run.json.
        settings: of the run.
        adds: whether files are added to those that are there.
        keeps: whether the earlier run's flashes stay.
    """

    folder: RunFolder
    log: RunLog
    settings: Settings
    adds: bool = False
    keeps: bool = False

    def plan(self, recordings: Sequence[Recording]) -> Plan:
        """Return what is to be watched, and have what is watched again forgotten."""
        plan = self.log.plan(recordings, add=self.adds)
        self.folder.forget(plan.forgotten)
        return plan

    def earlier_flashes(self, plan: Plan) -> list[Flash]:
        """Return the flashes of an earlier run that stay, where this one goes on with it or adds to it."""
        forgotten = set(plan.forgotten)
        return [flash for flash in run_lines(self.folder.path) if flash.file not in forgotten] if self.keeps else []

    def begin(self, recording: Recording, camera: str) -> None:
        """A recording is being watched; the folder is made with the first one."""
        self.folder.begin()
        self.log.begin(recording, camera)

    def finish(self, recording: Recording, problem: str | None) -> None:
        """A recording was watched to its end, or as far as it could be."""
        self.log.finish(recording, problem)

    def end(self) -> tuple[str, OutputError | None] | None:
        """Write the report.

        Returns:
            a line with the report's path and content, and why results are missing; None if nothing was replayed.
        """
        if not self.folder.begun and not self.log.record.files:
            return None
        self.log.end()
        path = self.folder.path
        page, failure = path / "report.html", self.folder.failure
        try:
            # Loaded when it is due: what draws pages must not keep the first frame waiting.
            import_module("detector.output.report.page").build_report(path, zone=site_zone(self.settings.site))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the page, the results are there
            _log.debug("%s: the report could not be made", path, exc_info=True)
            page = path / "flashes.csv"
            failure = failure or OutputError(f"{path}: the report could not be made: {error}; try the command report")
        return f"{page}  {results_line(path)}", failure


def replay_results(
    out: Path, settings: Settings, *, overwrite: bool = False, resume: bool = False, add: bool = False
) -> ReplayResults:
    """Return where results go.

    Args:
        out: the folder.
        settings: of the run.
        overwrite: what an earlier run left there goes.
        resume: go on with the earlier run.
        add: add to the earlier run.

    Raises:
        OutputError: the folder cannot be written, or holds flashes that would have to go.
        UsageError: there is nothing to add to.
    """
    earlier = read_record(out) if resume or add else None
    if add and earlier is None:
        raise UsageError(f"--add: {out} holds no results to add to; leave out --add for a first run")
    folder = RunFolder(out, keep_earlier=resume or add, overwrite=overwrite)
    return ReplayResults(folder, RunLog(out, settings, "replay", earlier), settings, adds=add, keeps=resume or add)
