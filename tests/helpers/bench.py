"""Benchmarks, run as a person runs them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers import ROOT

BENCH = (sys.executable, str(ROOT / "tools" / "bench"))


def bench(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run `tools/bench` with these words in `folder`, and return what its line of JSON says."""
    out = folder / "result.jsonl"
    done = subprocess.run(
        [*BENCH, *words, "--json", str(out)], cwd=folder, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode in codes, done.stderr
    (line,) = out.read_text(encoding="utf-8").splitlines()
    result: dict[str, Any] = json.loads(line)
    return result
