"""The verifier `minicpm`: asks the model's process about each batch of candidates."""

import os
from collections.abc import Sequence

from detector.candidate import Candidate
from detector.errors import VerifierError
from detector.events import Verdict
from detector.settings import MinicpmSettings, Settings
from detector.verify.vlm.local.attention import ALWAYS, check_attention
from detector.verify.vlm.local.device import devices_of, quick_report
from detector.verify.vlm.local.environment_report import environment_report, installed, may_have_gpu
from detector.verify.vlm.local.models import known_models
from detector.verify.vlm.local.pool import WorkerPool
from detector.verify.vlm.local.protocol import Load
from detector.verify.vlm.local.snapshot import Snapshot
from detector.verify.vlm.question import ModelIdentity, Question
from detector.verify.vlm.sheet import sheet_of
from stream import redact

_TRANSFORMERS = ">=5.19,<6"  # for models that the matrix does not know
_ON_A_GPU = 32  # candidates of a batch while many wait: on a card a large batch costs each of them less
_EXTRA = "pip install 'lightning-detector[minicpm]'"


class MinicpmVerifier:
    """Judges with a MiniCPM-V model in a process of its own for each device, which begin to load at once.

    A failure of the model or its process gives verdicts without an answer that name the reason.
    """

    name = "minicpm"

    def __init__(self, settings: Settings, snapshot: Snapshot) -> None:
        minicpm = settings.minicpm
        self._side_pixels = settings.batcher.picture_side_pixels
        self._question = Question(settings.question, self._side_pixels)
        self.identity = ModelIdentity(self.name, snapshot.model, snapshot.revision, mode_of(minicpm))
        self.pool = WorkerPool(
            loads_of(minicpm, snapshot),
            load_limit_seconds=minicpm.load_limit_seconds,
            answer_limit_seconds=minicpm.answer_limit_seconds,
        )
        self.workers, self.calls = self.pool.workers, self.pool.calls
        self.largest_batch = settings.batcher.largest_batch or (_ON_A_GPU if _is_on_gpu(minicpm) else 0)

    @property
    def calibration_key(self) -> str:
        """Return what a calibration of this model holds for."""
        return self._question.calibration_key(self.identity)

    @property
    def note(self) -> str:
        """Return what the line logged at start should add."""
        return f"prompt {self._question.prompt.label}, {self._question.calibration_note(self.identity)}"

    def verify(self, candidates: Sequence[Candidate]) -> list[Verdict]:
        """Return a verdict for each, with log-odds and answer mass as evidence and its share of the batch's seconds.

        Raises:
            MemoryError: the batch is too large for the device.
        """
        inputs = [self._question.show(candidate) for candidate in candidates]
        try:
            reply = self.pool.ask(inputs)
        except VerifierError as error:
            return [self._question.unanswered(self.identity, redact(error)) for _ in candidates]
        seconds = reply.seconds / len(candidates)
        return [self._question.verdict(self.identity, s.log_odds, s.answer_mass, seconds) for s in reply.scores]

    def sheet(self, candidate: Candidate) -> bytes:
        """Return a JPEG of what the model is shown of a candidate."""
        return sheet_of(self._question, candidate, self._side_pixels)

    def close(self) -> None:
        """End the model's process."""
        self.pool.close()


def check_installed(minicpm: MinicpmSettings) -> None:
    """Check that torch, a fitting transformers and the attention backend are installed, without importing torch.

    Raises:
        VerifierError: one is missing, or of a version that does not fit.
    """
    check_versions(minicpm)
    if minicpm.attention not in ALWAYS:
        check_attention(minicpm.attention, quick_report())  # most is known without torch, which takes half a minute
        check_attention(minicpm.attention, environment_report())


def check_versions(minicpm: MinicpmSettings) -> None:
    """Check that torch and a fitting transformers are installed, without importing either.

    Raises:
        VerifierError: one is missing or of a version that does not fit the model.
    """
    missing = [name for name in ("torch", "transformers") if installed(name) is None]
    if missing:
        raise VerifierError(f"verifier minicpm: {' and '.join(missing)} not installed; install with: {_EXTRA}")
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - comes with transformers

    known = known_models().get(minicpm.model)
    wanted = known.transformers if known is not None and known.runs == "native" else _TRANSFORMERS
    found = installed("transformers") or ""
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        raise VerifierError(
            f"verifier minicpm: transformers {found} is installed, {minicpm.model} needs {wanted}; "
            f"install with: pip install 'transformers{wanted}'"
        )


def threads_of(minicpm: MinicpmSettings) -> int:
    """Return the CPU threads of each worker: as set, or together half of the cores that this process may use."""
    half = len(os.sched_getaffinity(0)) // 2
    return minicpm.threads or max(1, half // len(devices_of(minicpm)))


def _is_on_gpu(minicpm: MinicpmSettings) -> bool:
    """Return whether the model will run on a GPU, as far as can be said before torch is asked."""
    first, *_ = devices_of(minicpm)
    return first.startswith("cuda") or (first == "auto" and may_have_gpu())


def mode_of(minicpm: MinicpmSettings) -> str:
    """Return the settings that change the model's answers."""
    return f"{minicpm.downsample_mode} {minicpm.picture_side_pixels}px"


def loads_of(minicpm: MinicpmSettings, snapshot: Snapshot) -> list[Load]:
    """Return what each worker is told to load, one for each device."""
    return [
        Load(
            folder=str(snapshot.folder),
            device=device,
            precision=minicpm.precision,
            attention=minicpm.attention,
            downsample_mode=minicpm.downsample_mode,
            picture_side_pixels=minicpm.picture_side_pixels,
            threads=threads_of(minicpm),
        )
        for device in devices_of(minicpm)
    ]
