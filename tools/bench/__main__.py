"""Run one benchmark: `python tools/bench NAME [--json FILE] ...`; `python tools/bench NAME --help` tells its flags."""

import argparse
import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path[0] = str(TOOLS)  # not this folder: its files would hide the standard library's
sys.path[1:1] = [str(TOOLS.parent / "tests"), str(TOOLS.parent)]

from bench.result import Result  # noqa: E402 - found through the path above

NAMES = (
    "accuracy",
    "fast",
    "feed",
    "jobs",
    "latency",
    "live",
    "loss",
    "model",
    "model_host",
    "page",
    "prefilter",
    "reliability",
    "replay",
    "soak",
    "start",
)
"""The benchmarks: each is a module of this folder with `add_arguments` and `measure`."""


def main(words: Sequence[str]) -> int:
    """Run the benchmark that is named first; 0 if what must hold did."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="tools/bench", description=__doc__, epilog=_listing(), add_help=False, allow_abbrev=False,
        formatter_class=form,
    )  # fmt: skip
    parser.add_argument("name", choices=NAMES, metavar="NAME", help="one of those below")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the result to this file, a line of JSON")
    parser.add_argument("--note", default="", help="what a reader of the result should know")
    if not words or words[0] in {"-h", "--help"}:
        parser.print_help()
        return 0 if words else 2
    given, rest = parser.parse_known_args(words)
    module = importlib.import_module(f"bench.{given.name}")  # torch is loaded only by those that need it
    own = argparse.ArgumentParser(prog=f"tools/bench {given.name}", description=module.__doc__, formatter_class=form)
    module.add_arguments(own)
    result = Result(given.name, [given.name, *rest], given.note)
    good = module.measure(own.parse_args(rest), result)
    if given.json is not None:
        result.add_to(given.json)
    return 0 if good else 1


def _listing() -> str:
    """Return the benchmarks and the first line of what each says of itself."""
    texts = {name: (TOOLS / "bench" / f"{name}.py").read_text(encoding="utf-8") for name in NAMES}
    docs = {name: ast.get_docstring(ast.parse(text)) or "" for name, text in texts.items()}
    return "\n".join(f"  {name:<11} {doc.splitlines()[0]}" for name, doc in docs.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
