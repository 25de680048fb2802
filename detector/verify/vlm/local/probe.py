"""A process that imports torch and transformers, checks what works, and prints the result as one line of JSON."""

import importlib
import platform
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import msgspec

from detector.verify.vlm.local.environment_report import EnvironmentReport, Gpu, cpu_multiplies_bf16, installed


def gather(modules: Iterable[str] = ()) -> EnvironmentReport:
    """Return the report about this Python's torch and transformers, and about further `modules`."""
    report: dict[str, object] = {
        "python": platform.python_version(),
        "torch": installed("torch"),
        "transformers": installed("transformers"),
        "flash_attention": installed("flash-attn"),
        "flash_linear_attention": installed("flash-linear-attention"),
    }
    if report["torch"] is not None:
        report |= _torch_report()
    if report["transformers"] is not None and report.get("torch_error") is None:
        report["transformers_error"] = _import_error("transformers.models.auto.modeling_auto")
        if report["transformers_error"] is None:
            report["backends"] = _backends()
    if installed("torchvision") is not None:
        report["torchvision_error"] = _import_error("torchvision")
    report["broken"] = {
        name: reason
        for name in modules
        if (reason := _import_error(name) if find_spec(name) is not None else "") is not None
    }
    return msgspec.convert(report, EnvironmentReport)


def _torch_report() -> dict[str, object]:
    failed = _import_error("torch")
    if failed is not None:
        return {"torch_error": failed}
    import torch  # noqa: PLC0415 - inside the guard

    return {
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "cxx11_abi": bool(torch.compiled_with_cxx11_abi()),
        "gpus": [_gpu(number) for number in range(torch.cuda.device_count())],
        "cpu_bf16": cpu_multiplies_bf16(),
    }


def _gpu(number: int) -> Gpu:
    import torch  # noqa: PLC0415

    free, total = torch.cuda.mem_get_info(number)
    major, minor = torch.cuda.get_device_capability(number)
    return Gpu(
        name=torch.cuda.get_device_name(number),
        memory_gib=round(total / 2**30, 1),
        free_gib=round(free / 2**30, 1),
        capability=f"{major}.{minor}",
    )


def _backends() -> dict[str, str]:
    utils: Any = importlib.import_module("transformers.utils")
    found = {"sdpa": "", "eager": ""}
    for number, package in ((2, "flash_attn"), (3, "flash_attn_interface")):
        check = getattr(utils, f"is_flash_attn_{number}_available", bool)  # of some versions only
        # Only the import tells whether a package fits torch.
        found[f"flash_attention_{number}"] = _import_error(package) or ("" if check() else "no GPU that it can use")
    return found


def _import_error(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - a broken wheel raises anything; what it says is the answer
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(gather(sys.argv[1:])).decode() + "\n")
