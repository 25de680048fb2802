"""Check the GPU that the settings ask for, and report what torch can do, without importing torch if possible."""

import platform
import re
from importlib.util import find_spec
from pathlib import Path

import msgspec

from detector.errors import VerifierError
from detector.settings import MinicpmSettings
from detector.verify.vlm.local.environment_report import (
    EnvironmentReport,
    Gpu,
    environment_report,
    installed,
    may_have_gpu,
)

_CUDA_LINE = re.compile(r"^(?:cuda|hip)\b[^=]*=\s*['\"](.+?)['\"]\s*$", re.MULTILINE)


def devices_of(minicpm: MinicpmSettings) -> tuple[str, ...]:
    """Return the devices of the setting `minicpm.device`, for one worker each."""
    return tuple(device.strip() for device in minicpm.device.split(","))


def check_device(device: str, report: EnvironmentReport | None = None, devices: Path = Path("/dev")) -> None:
    """Check that the device of the setting `minicpm.device` exists; only a named GPU may be missing.

    Args:
        device: auto, cpu, cuda or cuda:N, or several with commas.
        report: torch's report, if it was asked already.
        devices: folder in which the system shows its cards.

    Raises:
        VerifierError: it does not exist; the message says what to set.
    """
    named = [one.strip() for one in device.split(",") if one.strip().startswith("cuda")]
    if not named:
        return
    wanted = max(int(one.partition(":")[2] or 0) for one in named)
    if report is None:
        report = quick_report(devices)
        if report.gpus and report.cuda is not None:  # there may be a GPU; only torch knows how many
            report = environment_report()
        elif report.gpus:
            report = msgspec.structs.replace(report, gpus=[])
    if report.torch_error is not None:
        raise VerifierError(f"minicpm.device = {device!r}: torch does not work: {report.torch_error}")
    if wanted < len(report.gpus):
        return
    built = "" if report.cuda else " (built without CUDA)"
    why = f"torch {report.torch}{built} sees {len(report.gpus)} GPUs"
    raise VerifierError(
        f"minicpm.device = {device!r}: {why}; set minicpm.device to auto or cpu, or install a torch build for this "
        "machine's driver"
    )


def quick_report(devices: Path = Path("/dev")) -> EnvironmentReport:
    """Return a report within milliseconds; it contains a GPU of unknown kind if the system shows any card."""
    card = Gpu(name="a GPU", memory_gib=0.0, free_gib=0.0, capability="99.0")
    flash = installed("flash-attn")
    return EnvironmentReport(
        python=platform.python_version(),
        torch=installed("torch"),
        cuda=_cuda_of_torch(),
        gpus=[card] if may_have_gpu(devices) else [],
        transformers=installed("transformers"),
        flash_attention=flash,
        backends={f"flash_attention_{number}": "" for number in (2, 3, 4)},
    )


def _cuda_of_torch() -> str | None:
    """Return the CUDA (or HIP) version that the installed torch was built for, from its file; "?" if it has none."""
    found = find_spec("torch")
    for folder in () if found is None else found.submodule_search_locations or ():
        try:
            line = _CUDA_LINE.search((Path(folder) / "version.py").read_text(encoding="utf-8"))
        except OSError:
            continue
        return None if line is None else line[1]
    return None if found is None else "?"
