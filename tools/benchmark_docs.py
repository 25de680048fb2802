#!/usr/bin/env python3
"""Write the tables of docs/benchmarks.md from the results in docs/benchmarks/, or with --check compare them.

A result is a line of docs/benchmarks/NAME.jsonl, as `python tools/bench NAME --json FILE` adds it.
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from page_tables import filled, table, write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = PAGE.with_suffix("")
BENCH = Path(__file__).parent / "bench"
_DIGITS = 3


def section(path: Path) -> str:
    """Return the tables of one benchmark, and below them how each of its runs was made.

    Rows whose first column has the same name share a table; each ends with date, version and number of its run.
    """
    runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows: dict[str, list[tuple[dict[str, Any], tuple[str, ...]]]] = {}
    for number, run in enumerate(runs, 1):
        made = (run["time"][:10], _version(run), str(number))
        for figures in run["figures"]:
            rows.setdefault(next(iter(figures)), []).append((figures, made))
    tables = []
    for group in rows.values():
        names = list(dict.fromkeys(name for figures, _ in group for name in figures))
        heading = (*(_heading(name) for name in names), "date", "version", "run")
        tables.append(
            table(heading, ((*(_cell(figures.get(name)) for name in names), *made) for figures, made in group))
        )
    return "\n".join([*tables, "\n".join(_told(number, run) for number, run in enumerate(runs, 1)) + "\n"])


def _version(run: dict[str, Any]) -> str:
    versions = run["versions"]
    commit = f" ({versions['commit']})" if "commit" in versions else ""
    return f"{versions['lightning-detector']}{commit}"


def _told(number: int, run: dict[str, Any]) -> str:
    """Return how a run was made, as one item of a list."""
    day = date.fromisoformat(run["time"][:10])
    name, *flags = run["command"]
    words = ["python", "tools/bench", name, *flags] if (BENCH / f"{name}.py").exists() else run["command"]
    parts = [f"`{shlex.join(words)}`", f"{day.day} {day:%B %Y}", *_machine(run)]
    note = f". {run['note'][:1].upper()}{run['note'][1:]}" if run["note"] else ""
    return f"{number}. {', '.join(parts)}{note}."


def _machine(run: dict[str, Any]) -> Iterator[str]:
    machine = run["machine"]
    yield f"{machine['cores']} cores" + (f" of {machine['cpu']}" if "cpu" in machine else "")
    if "python" in run["versions"]:
        yield f"Python {run['versions']['python']}"
    if "load_before" in run:
        yield f"load {run['load_before']:g} before"


def _heading(name: str) -> str:
    return re.sub(r" (mb|mib)$", lambda unit: {"mb": " MB", "mib": " MiB"}[unit[1]], name.replace("_", " "))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"
    if isinstance(value, list):
        return ", ".join(map(_cell, value)) or "none"
    return re.sub(r"\|", r"\\|", str(value))


def with_tables(page: str) -> str:
    """Return `page` with the tables of each benchmark between its two marks replaced."""
    tables = {path.stem: partial(section, path) for path in sorted(RESULTS.glob("*.jsonl"))}
    return filled(page, tables, "tools/benchmark_docs.py")


if __name__ == "__main__":
    sys.exit(write(PAGE, with_tables(PAGE.read_text(encoding="utf-8")), check="--check" in sys.argv[1:]))
