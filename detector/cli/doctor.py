"""Checks of the installation: what is installed, what is missing and what to do about it."""

import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

import stream
from detector.errors import DetectorError, VerifierError
from detector.settings import Settings
from detector.verify.vlm.local.attention import ALWAYS, check_attention
from detector.verify.vlm.local.device import check_device
from detector.verify.vlm.local.environment_report import EnvironmentReport, Gpu, environment_report, installed
from detector.verify.vlm.local.hub import find_or_fetch
from detector.verify.vlm.local.models import known_models, verified_here
from detector.verify.vlm.local.snapshot import Snapshot, damaged_files, find_snapshot
from detector.verify.vlm.local.verifier import check_versions
from detector.verify.vlm.server45.environment import Environment, environment_folder
from stream import feed_capabilities, load_opencv, read_host_clock, redact

_MODEL_KINDS = ("minicpm", "photometric+minicpm")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. ok: true; false if the settings need it and it cannot work; null if it is only reported."""

    name: str
    ok: bool | None
    text: str


class Doctor:
    """Check everything that `settings` may need; torch is asked once, in a separate process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        kind, endpoint = settings.verifier.kind, settings.served.endpoint
        self._wants_model = kind in _MODEL_KINDS or (kind == "fused" and not endpoint)
        self.report: EnvironmentReport | None = None
        self.snapshot: Snapshot | None = None

    def checks(self) -> Iterator[Check]:
        """Yield all findings, each as soon as it is known."""
        yield Check(name="python", ok=True, text=f"{platform.python_version()} on {platform.platform()}")
        yield _told("ffmpeg", _ffmpeg)
        yield _told("opencv", lambda: str(load_opencv().__version__))
        yield _told("zeromq", _zeromq)
        yield _udp()
        yield _clock()
        yield self._torch()
        yield self._gpu()
        yield self._transformers()
        yield self._attention()
        yield self._linear_attention()
        yield from self._snapshot()
        yield self._second_environment()
        yield self.verifier_check()

    def _torch(self) -> Check:
        if installed("torch") is None:
            return Check(
                name="torch",
                ok=self._no_model(),
                text="not installed; pip install 'lightning-detector[minicpm]'",
            )
        try:
            self.report = environment_report()
        except VerifierError as error:
            return Check(name="torch", ok=self._no_model(), text=str(error))
        if self.report.torch_error is not None:
            return Check(name="torch", ok=self._no_model(), text=f"does not work: {self.report.torch_error}")
        cuda = f"CUDA {self.report.cuda}" if self.report.cuda else "built without CUDA"
        bf16 = "bf16 products on the CPU" if self.report.cpu_bf16 else "no bf16 products on the CPU"
        return Check(name="torch", ok=True, text=f"{self.report.torch}, {cuda}, {bf16}")

    def _gpu(self) -> Check:
        gpus = self.report.gpus if self.report else []
        text = "; ".join(map(_gpu_text, gpus)) or "none that torch can see"
        if self.report is not None:
            try:
                check_device(self._settings.minicpm.device, self.report)
            except VerifierError as error:
                return Check(name="gpu", ok=self._no_model(), text=f"{text}; {error}")
        return Check(name="gpu", ok=True if gpus else None, text=text)

    def _transformers(self) -> Check:
        report = self.report
        if report is None or report.transformers is None:
            return Check(name="transformers", ok=self._no_model(), text="not installed")
        if report.transformers_error is not None:
            hint = (
                f"; torchvision is broken ({report.torchvision_error}): uninstall it"
                if report.torchvision_error
                else ""
            )
            return Check(name="transformers", ok=self._no_model(), text=f"{report.transformers_error}{hint}")
        try:
            check_versions(self._settings.minicpm)
        except VerifierError as error:
            return Check(name="transformers", ok=self._no_model(), text=str(error))
        known = known_models().get(self._settings.minicpm.model)
        wanted = f" (the matrix wants {known.transformers})" if known is not None else ""
        return Check(name="transformers", ok=True, text=f"{report.transformers}{wanted}")

    def _attention(self) -> Check:
        if self.report is None or not self.report.backends:
            return Check(name="attention", ok=None, text="not looked at: torch and transformers must work first")
        text = ", ".join(f"{name}: {why or 'works'}" for name, why in self.report.backends.items())
        backend = self._settings.minicpm.attention
        try:
            check_attention(backend, self.report)
        except VerifierError as error:
            return Check(name="attention", ok=self._no_model(), text=f"{error}. Here: {text}")
        if backend not in ALWAYS:
            text += f"; {backend} is set"
        return Check(name="attention", ok=True, text=text)

    def _linear_attention(self) -> Check:
        found = self.report.flash_linear_attention if self.report else None
        if found:
            return Check(name="linear-attention", ok=True, text=f"flash-linear-attention {found}")
        on_gpu = bool(self.report and self.report.gpus)
        hint = "; pip install 'flash-linear-attention[cuda]' makes 18 of the model's 24 layers faster on this GPU"
        return Check(
            name="linear-attention",
            ok=None,
            text=f"flash-linear-attention is not installed{hint if on_gpu else ' (of use on a GPU only)'}",
        )

    def _snapshot(self) -> Iterator[Check]:
        minicpm = self._settings.minicpm
        try:
            self.snapshot = find_or_fetch(minicpm) if self._wants_model else find_snapshot(minicpm)
        except VerifierError as error:
            yield Check(name="snapshot", ok=self._no_model(), text=str(error))
            return
        passed = verified_here().get(self.snapshot.model)
        here = passed is not None and passed.revision == self.snapshot.revision
        smoke = f"passed the smoke check: {passed.verified}" if passed and here else "no smoke check was run here"
        yield Check(name="snapshot", ok=True, text=f"{self.snapshot.label} in {self.snapshot.folder}; {smoke}")
        damaged = list(damaged_files(self.snapshot.folder))
        advice = "; delete the snapshot's folder and run lightning-detector pull"
        yield Check(
            name="integrity",
            ok=not damaged,
            text="; ".join(damaged) + advice if damaged else _hashed_text(self.snapshot.folder),
        )

    def _second_environment(self) -> Check:
        """Return whether `serve-45` could run; it is only reported, since only that command needs it."""
        wanted = self._settings.minicpm45.environment
        environment = Environment(Path(wanted) if wanted else environment_folder())
        try:
            problem = environment.problem()
        except VerifierError as error:
            problem = str(error)
        if problem is None:
            return Check(name="minicpm-4.5", ok=True, text=f"its environment is in {environment.folder}")
        text = f"for serve-45 only: {environment.folder}: {problem}; lightning-detector setup-45 makes it"
        return Check(name="minicpm-4.5", ok=None, text=text)

    def verifier_check(self) -> Check:
        """Return which verifier a run would use, without starting a model."""
        from detector.verify.factory import choose_verifier, why_no_gpu_model  # noqa: PLC0415 - it builds on doctor's parts

        kind = self._settings.verifier.kind
        try:
            if self._wants_model:
                check_versions(self._settings.minicpm)
                check_device(self._settings.minicpm.device, self.report)
                if self.report is not None:
                    check_attention(self._settings.minicpm.attention, self.report)
                if self.snapshot is None:
                    raise VerifierError(f"{kind}: the snapshot is missing or not whole, see above")
                return Check(name="verifier", ok=True, text=f"{kind} (asked for)")
            if kind == "auto" and not self._settings.served.endpoint:
                why_not = why_no_gpu_model(self._settings, self.report)
                text = (
                    f"photometric (auto: {why_not})"
                    if why_not
                    else "fused with minicpm (auto: torch, a GPU and the model are here)"
                )
                return Check(name="verifier", ok=True, text=text)
            verifier, line = choose_verifier(self._settings)
            verifier.close()
            return Check(name="verifier", ok=True, text=line.removeprefix("verifier: "))
        except DetectorError as error:
            return Check(name="verifier", ok=False, text=redact(error))

    def _no_model(self) -> bool | None:
        """Return the result for a model that cannot run: a failure only if the settings ask for it by name."""
        return False if self._wants_model else None


def _hashed_text(folder: Path) -> str:
    hashed = sum(path.is_symlink() for path in folder.rglob("*"))
    return f"complete, {hashed} files equal their hash" if hashed else "complete; without links into the hub's store"


def _told(name: str, look: Callable[[], str]) -> Check:
    """Return whether a part that every run needs works, or the error of its import."""
    try:
        return Check(name=name, ok=True, text=look())
    except Exception as error:  # noqa: BLE001 - a broken wheel raises anything; what it says is the finding
        return Check(name=name, ok=False, text=f"does not work: {type(error).__name__}: {redact(error)}")


def _ffmpeg() -> str:
    import av  # noqa: PLC0415 - inside the guard: a broken wheel must not keep doctor from starting

    decoders = [name for name in ("h264", "hevc", "mjpeg", "av1") if name in av.codecs_available]
    return f"{av.ffmpeg_version_info} in PyAV {av.__version__}, decodes {', '.join(decoders)}, {os.cpu_count()} cores"


def _udp() -> Check:
    try:
        return udp_check(stream.granted_receive_bytes())
    except ImportError as error:  # its module needs PyAV, and doctor works without
        return Check(name="udp", ok=None, text=f"not looked at: {error}")
    except OSError as error:
        return Check(name="udp", ok=None, text=f"no UDP socket can be made here: {error}; cameras over TCP need none")


def udp_check(granted_bytes: int) -> Check:
    """Return whether a camera over UDP gets the receive buffer that the program requests."""
    room = f"receive buffer of {granted_bytes / 1e6:.1f} MB"
    if granted_bytes >= stream.RECEIVE_BYTES:
        return Check(name="udp", ok=True, text=room)
    lost = (
        f"instead of {stream.RECEIVE_BYTES / 1e6:.1f} MB: cameras over UDP lose key frames while the computer is busy"
    )
    return Check(
        name="udp", ok=None, text=f"{room} {lost}; sysctl -w net.core.rmem_max={stream.RECEIVE_BYTES}, or use TCP"
    )


def _clock() -> Check:
    """Return whether this computer's clock is synchronised; times by arrival are no better than it."""
    clock = read_host_clock()
    return Check(name="clock", ok=True if clock.synchronised else None, text=str(clock))


def _zeromq() -> str:
    found = feed_capabilities()
    curve = "CURVE keys work" if found.curve else "built without CURVE: feeds cannot be encrypted"
    return f"{found.zeromq} in pyzmq {found.pyzmq}, {curve}"


def _gpu_text(gpu: Gpu) -> str:
    return f"{gpu.name}, {gpu.free_gib:g} of {gpu.memory_gib:g} GiB free, compute capability {gpu.capability}"
