"""A prefilter that records the light curve of what it watches."""

from pathlib import Path

from detector.candidate import Candidate
from detector.output.report.curve_months import CurveMonths
from detector.output.report.curves import STEP_SECONDS, CurveRecorder, record_flash_curve
from detector.prefilter.prefilter import Prefilter
from stream import Frame


class RecordedPrefilter:
    """A prefilter whose light curve is recorded in a run's folder; its candidates are those of the prefilter.

    Args:
        prefilter: fresh, for one source.
        folder: the run's folder.
        camera: the source's name.
        file: what events call the recording; None for a live camera.
        step_seconds, months: see `CurveRecorder`.
    """

    def __init__(
        self,
        prefilter: Prefilter,
        folder: Path,
        camera: str,
        file: str | None = None,
        step_seconds: float = STEP_SECONDS,
        months: CurveMonths | None = None,
    ) -> None:
        self._prefilter = prefilter
        self._folder = folder
        self._months = months
        self._recorder = CurveRecorder(folder, camera, file, step_seconds, months)

    def push(self, frame: Frame) -> list[Candidate]:
        """Return the candidates that open or close with `frame`."""
        found = self._prefilter.push(frame)
        self._recorder.watch(frame, self._prefilter.change, quiet=self._prefilter.quiet)
        return self._recorded(found)

    def flush(self) -> list[Candidate]:
        """Return the candidate that is open at the end of the source, closed."""
        found = self._recorded(self._prefilter.flush())
        self._recorder.close()
        return found

    def _recorded(self, found: list[Candidate]) -> list[Candidate]:
        for candidate in found:
            if not candidate.open:
                record_flash_curve(self._folder, candidate, months=self._months)
        return found
