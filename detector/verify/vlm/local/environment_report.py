"""The installed packages and devices for the model, found in a separate process so that torch never loads here."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from detector.errors import VerifierError

_PROBE_SECONDS = 180.0  # limit; torch's first import from a cold disk is slow


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One graphics card as torch sees it."""

    name: str
    memory_gib: float
    free_gib: float
    capability: str


class EnvironmentReport(msgspec.Struct, frozen=True, kw_only=True):
    """Versions (None: not installed) and devices.

    Attributes:
        backends: each attention backend with "" or why it cannot work.
        broken: modules asked about that cannot be imported, each with the reason; "" if it is not installed.
    """

    python: str
    torch: str | None = None
    torch_error: str | None = None
    cuda: str | None = None
    cxx11_abi: bool | None = None
    gpus: list[Gpu] = []
    transformers: str | None = None
    transformers_error: str | None = None
    torchvision_error: str | None = None
    flash_attention: str | None = None
    flash_linear_attention: str | None = None
    cpu_bf16: bool = False
    backends: dict[str, str] = {}
    broken: dict[str, str] = {}


def installed(distribution: str) -> str | None:
    """Return the installed version of a distribution, without importing it."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - most runs ask for no model

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def cpu_multiplies_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether this CPU has instructions for bf16 products (AVX512-BF16, AMX, or ARM's BF16)."""
    try:
        words = set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return False
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def may_have_gpu(devices: Path = Path("/dev")) -> bool:
    """Return whether the system shows a card that torch may be able to use; this is fast, without asking torch."""
    # Files of NVIDIA, Jetson, AMD, and of Windows in WSL; other systems have no such files.
    names = ("nvidia*", "nvmap", "kfd", "dxg")
    return sys.platform != "linux" or any(True for name in names for _ in devices.glob(name))


def environment_report(
    python: Sequence[str] = (sys.executable,),
    modules: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> EnvironmentReport:
    """Ask a new process what is installed; this takes seconds.

    Args:
        python: the command of the Python to ask.
        modules: further ones that it shall try to import.
        environment: its environment variables; this process's own if omitted.

    Returns:
        what is installed, and which devices torch can use.

    Raises:
        VerifierError: the process does not answer.
    """
    command = [*python, "-m", "detector.verify.vlm.local.probe", *modules]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_PROBE_SECONDS, env=environment)
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=EnvironmentReport)
    except subprocess.TimeoutExpired as error:
        raise VerifierError(f"torch did not answer within {_PROBE_SECONDS:.0f} s; is its driver hanging?") from error
    except (OSError, subprocess.CalledProcessError, msgspec.DecodeError, IndexError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise VerifierError(f"torch cannot be asked what it can do: {' '.join(last)[:300]}") from error
