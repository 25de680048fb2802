"""Attention backends: which work here, and why a requested one cannot."""

from detector.errors import VerifierError
from detector.verify.vlm.local.environment_report import EnvironmentReport

ALWAYS = ("sdpa", "eager")
_FLASH = ("flash_attention_2", "flash_attention_3", "flash_attention_4")
_LOWEST_FLASH_2 = (2, 3, 3)  # the lowest version of flash-attn that transformers supports


def check_attention(backend: str, report: EnvironmentReport) -> None:
    """Check that `backend` can work in the environment of `report`, before any weights are read.

    Raises:
        VerifierError: it cannot; the advice names the actual versions.
    """
    if backend in ALWAYS:
        return
    if backend not in _FLASH:
        raise VerifierError(
            f"--attn {backend}: MiniCPM-V knows {', '.join((*ALWAYS, *_FLASH))} here; sdpa needs nothing further"
        )
    why = _why_no_flash(backend, report)
    if why is not None:
        raise VerifierError(f"--attn {backend}: {why}; {setup(report)}. --attn sdpa works without it")


def setup(report: EnvironmentReport) -> str:
    """Return this Python's versions for the advice."""
    cuda = f"CUDA {report.cuda}" if report.cuda else "no CUDA"
    cards = ", ".join(gpu.name for gpu in report.gpus) or "no GPU"
    return f"this is Python {report.python}, torch {report.torch}, {cuda}, {cards}"


def _why_no_flash(backend: str, report: EnvironmentReport) -> str | None:
    """Return what prevents flash attention, the deepest cause first; None if nothing does."""
    too_old = [gpu.name for gpu in report.gpus if int(gpu.capability.partition(".")[0]) < 8]
    hindrances = (
        (report.torch is None, "torch is not installed"),
        (report.torch_error is not None, f"torch does not work: {report.torch_error}"),
        (report.cuda is None, "it needs a torch built for CUDA; pytorch.org has one for each driver"),
        (not report.gpus, "it needs an NVIDIA GPU that torch can see; look at nvidia-smi"),
        (bool(too_old), f"it needs a GPU of the Ampere generation or later, not {''.join(too_old[:1])}"),
    )
    for holds, why in hindrances:
        if holds:
            return why
    return _why_no_wheel(backend, report)


def _why_no_wheel(backend: str, report: EnvironmentReport) -> str | None:
    if backend == "flash_attention_2":
        if report.flash_attention is None:
            return "the package flash-attn is not installed; tools/install_flash_attn.sh looks for a matching wheel"
        if _numbers(report.flash_attention) < _LOWEST_FLASH_2:
            lowest = ".".join(map(str, _LOWEST_FLASH_2))
            return f"flash-attn {report.flash_attention} is too old; {lowest} or later is needed"
    reason = report.backends.get(backend, "transformers does not offer it here")
    if reason:
        return f"{reason} (flash-attn {report.flash_attention}); a wheel must match torch, CUDA and Python exactly"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.partition("+")[0].split(".")
    return tuple(int(part) for part in parts[:3] if part.isdigit())
