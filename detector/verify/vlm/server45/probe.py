"""Print the content of a Python environment as JSON; run by path with that environment's own Python."""

import importlib
import importlib.util
import json
import platform
import sys
from importlib import metadata
from typing import Any


def version(name: str) -> str | None:
    """Return the installed version of a distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def broken_imports(modules: list[str]) -> dict[str, str]:
    """Return for each of `modules` that cannot be imported the reason in one line; empty if it is not installed."""
    broken = {}
    for name in modules:
        try:
            if importlib.util.find_spec(name) is None:
                broken[name] = ""
            else:
                importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a package raises while it is imported is the finding
            broken[name] = _line(error)
    return broken


def torch_report() -> dict[str, Any]:
    """Return torch's CUDA version and GPUs, or why torch cannot be imported."""
    try:
        torch = importlib.import_module("torch")
        gpus = [_gpu(torch, number) for number in range(torch.cuda.device_count())]
    except Exception as error:  # noqa: BLE001 - as above
        return {"torch_error": _line(error)}
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "gpus": gpus}


def _gpu(torch: Any, number: int) -> dict[str, Any]:
    free, total = torch.cuda.mem_get_info(number)
    major, minor = torch.cuda.get_device_capability(number)
    return {
        "name": torch.cuda.get_device_name(number),
        "memory_gib": round(total / 2**30, 1),
        "free_gib": round(free / 2**30, 1),
        "capability": f"{major}.{minor}",
    }


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


if __name__ == "__main__":
    broken = broken_imports(sys.argv[1:])
    report = {
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "flash_attention": version("flash-attn"),
        # Only the import decides whether this version fits torch.
        "backends": {"flash_attention_2": broken.get("flash_attn", "")},
    }
    json.dump({"report": report | torch_report(), "broken": broken}, sys.stdout)
