"""What a benchmark found, with the machine and the versions that it was found on."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

_PACKAGES = (
    "lightning-detector",
    "av",
    "numpy",
    "opencv-python",
    "pyzmq",
    "ray",
    "scenedetect",
    "torch",
    "transformers",
)


@dataclass(slots=True)
class Result:
    """One run of one benchmark.

    Attributes:
        name: of the benchmark.
        command: its name and flags.
        note: what a reader should know.
        figures: one entry a row, by the names of its columns.
        load_before: processes that wanted a core before it began; figures above the number of cores are to be doubted.
    """

    name: str
    command: list[str]
    note: str = ""
    figures: list[dict[str, Any]] = field(default_factory=list)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, **row: Any) -> None:
        """Add a row, and print it."""
        self.figures.append({name: _kept(value) for name, value in row.items()})
        print("  ".join(f"{name} {_short(value)}" for name, value in row.items()), flush=True)

    def add_to(self, path: Path) -> None:
        """Add this result to a file of JSON lines."""
        whole = {
            "name": self.name,
            "command": self.command,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
            "load_before": round(self.load_before, 2),
            "figures": self.figures,
            "note": self.note,
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(whole) + "\n")


def machine() -> dict[str, Any]:
    """Return what this machine is."""
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Return what it was measured with."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    for name, command in (("commit", ["git", "rev-parse", "--short", "HEAD"]), ("ffmpeg", ["ffmpeg", "-version"])):
        try:
            done = subprocess.run(
                command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=20
            )
        except (OSError, subprocess.SubprocessError):
            continue
        found[name] = done.stdout.splitlines()[0].partition(" Copyright")[0]
    return found


def _kept(value: Any) -> Any:
    """Return a figure as a plain value for JSON, floats with five digits."""
    plain = value.item() if isinstance(value, np.generic) else value
    return float(f"{plain:.5g}") if isinstance(plain, float) else plain


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
