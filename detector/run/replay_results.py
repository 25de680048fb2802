"""The results of a replay: its folder, run.json, and the report at the end."""

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
    """The folder of a replay's results, and its run.json.

    Attributes:
        folder: receives the flashes.
        log: writes run.json.
        settings: settings of the run.
        adds: whether files are added to those of an earlier run.
        keeps: whether the earlier run's flashes stay.
    """

    folder: RunFolder
    log: RunLog
    settings: Settings
    adds: bool = False
    keeps: bool = False

    def plan(self, recordings: Sequence[Recording]) -> Plan:
        """Return the recordings to replay, and forget the results of those replayed again."""
        plan = self.log.plan(recordings, add=self.adds)
        self.folder.forget(plan.forgotten)
        return plan

    def earlier_flashes(self, plan: Plan) -> list[Flash]:
        """Return the flashes that stay of an earlier run, if this one continues it or adds to it."""
        forgotten = set(plan.forgotten)
        return [flash for flash in run_lines(self.folder.path) if flash.file not in forgotten] if self.keeps else []

    def begin(self, recording: Recording, camera: str) -> None:
        """Note that a recording starts; create the folder with the first one."""
        self.folder.begin()
        self.log.begin(recording, camera)

    def finish(self, recording: Recording, problem: str | None) -> None:
        """Note that a recording ended, or broke off because of `problem`."""
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
            # Loaded late, so that it does not delay the first frame.
            import_module("detector.output.report.page").build_report(path, zone=site_zone(self.settings.site))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the page, the results are there
            _log.debug("%s: the report could not be made", path, exc_info=True)
            page = path / "flashes.csv"
            failure = failure or OutputError(f"{path}: the report could not be made: {error}; try the command report")
        return f"{page}  {results_line(path)}", failure


def replay_results(
    out: Path, settings: Settings, *, overwrite: bool = False, resume: bool = False, add: bool = False
) -> ReplayResults:
    """Return the results of a replay into `out`.

    Args:
        out: the folder.
        settings: settings of the run.
        overwrite: remove the results of an earlier run.
        resume: continue the earlier run.
        add: add to the earlier run.

    Raises:
        OutputError: the folder cannot be written, or holds flashes that would be lost.
        UsageError: there is no earlier run to add to.
    """
    earlier = read_record(out) if resume or add else None
    if add and earlier is None:
        raise UsageError(f"--add: {out} holds no results to add to; leave out --add for a first run")
    folder = RunFolder(out, keep_earlier=resume or add, overwrite=overwrite)
    return ReplayResults(folder, RunLog(out, settings, "replay", earlier), settings, adds=add, keeps=resume or add)
