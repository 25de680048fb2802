"""Run one benchmark: `python tools/bench NAME [--json FILE] ...`; `python tools/bench NAME --help` tells its flags."""

import argparse
import ast
import contextlib
import io
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path[0] = str(TOOLS)  # not this folder: its files would hide the standard library's
sys.path[1:1] = [str(TOOLS.parent / "tests"), str(TOOLS.parent)]

from bench import fast, jobs, live, replay, start  # noqa: E402 - found through the path above
from bench.result import Result  # noqa: E402

OWN = {"replay": replay, "start": start, "jobs": jobs, "fast": fast, "live": live}
SCRIPTS = {
    "accuracy": "bench_accuracy.py",
    "feed": "bench_feed.py",
    "latency": "bench_watch.py",
    "loss": "bench_loss.py",
    "model": "bench_model.py",
    "model_host": "bench_model_host.py",
    "page": "bench_page.py",
    "prefilter": "bench_prefilter.py",
}
"""These print their figures; with --json their lines are kept."""


def main(words: Sequence[str]) -> int:
    """Run the benchmark that is named first; 0 if what must hold did."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="tools/bench", description=__doc__, epilog=_listing(), add_help=False, formatter_class=form
    )
    parser.add_argument("name", choices=[*OWN, *SCRIPTS], metavar="NAME", help="one of those below")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the result to this file, a line of JSON")
    if not words or words[0] in {"-h", "--help"}:
        parser.print_help()
        return 0 if words else 2
    given, rest = parser.parse_known_args(words)
    result = Result(given.name, [given.name, *rest])
    if given.name in OWN:
        own = argparse.ArgumentParser(prog=f"tools/bench {given.name}", description=OWN[given.name].__doc__)
        OWN[given.name].add_arguments(own)
        good = OWN[given.name].measure(own.parse_args(rest), result)
    else:
        good = run_script(TOOLS / SCRIPTS[given.name], rest, result)
    if given.json is not None:
        result.add_to(given.json)
    return 0 if good else 1


def _listing() -> str:
    """The benchmarks and the first line of what each says of itself."""
    docs = {name: module.__doc__ for name, module in OWN.items()}
    for name, script in SCRIPTS.items():
        docs[name] = ast.get_docstring(ast.parse((TOOLS / script).read_text(encoding="utf-8")))
    return "\n".join(f"  {name:<11} {(text or '').splitlines()[0]}" for name, text in docs.items())


def run_script(path: Path, words: Sequence[str], result: Result) -> bool:
    """Run another benchmark as its own command line would; whether it ended with 0."""
    kept, before = io.StringIO(), sys.argv
    sys.argv = [str(path), *words]
    code: object = 0
    try:
        with contextlib.redirect_stdout(_Both(sys.stdout, kept)):
            runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    result.lines = kept.getvalue().splitlines()
    return not code


class _Both(io.TextIOBase):
    """Writes to a terminal and keeps what was written."""

    def __init__(self, shown: io.TextIOBase, kept: io.StringIO) -> None:
        self._shown = shown
        self._kept = kept

    def write(self, text: str) -> int:
        """Write to both."""
        self._kept.write(text)
        return self._shown.write(text)

    def flush(self) -> None:
        """Flush what is shown."""
        self._shown.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
