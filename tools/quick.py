#!/usr/bin/env python3
"""Run the quick tests of a folder, or of what was changed since the last commit; those that failed come first.

For example `python tools/quick.py stream/feed`, which `make quick FOLDER=stream/feed` runs.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALWAYS = "tests/test_import_rules.py"
DOCS = "tests/test_docs_commands.py"
LEFT_OUT = "slow or alone or soak or web or mqtt or ray or vllm or env45"


def main(words: list[str] | None = None) -> int:
    """Run pytest on the tests chosen; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="such as stream/feed; what git calls changed if omitted")
    parser.add_argument("--jobs", default="auto", help="processes at the same time")
    arguments = parser.parse_args(words)
    chosen = tests_of(arguments.folders or changed())
    print("quick:", *chosen, flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "--failed-first", "-m", f"not ({LEFT_OUT})"]
    return subprocess.call([*command, "-n", arguments.jobs, "--dist", "loadfile", *chosen], cwd=ROOT)


def changed() -> list[str]:
    """Return the files that differ from the last commit, and those that git does not know."""
    listed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all", "--no-renames"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line[3:] for line in listed.stdout.splitlines()]


def tests_of(paths: Iterable[str]) -> list[str]:
    """Return the tests of files or folders, as paths from the root: of a module, those of its folder."""
    found = {ALWAYS}
    for path in paths:
        where = Path(path.rstrip("/"))
        parts = where.parts
        if parts[:1] == ("tests",) and where.name.startswith("test_") and (ROOT / where).is_file():
            found.add(str(where))
        elif parts[:1] == ("docs",) or where.suffix == ".md":
            found.add(DOCS)
        else:
            folder = where.parent if where.suffix else where
            mirror = folder if parts[:1] == ("tests",) else Path("tests") / folder
            if parts[:2] != ("tests", "helpers") and mirror != Path("tests") and (ROOT / mirror).is_dir():
                found.add(str(mirror))
    return sorted(one for one in found if not any(str(parent) in found for parent in Path(one).parents))


if __name__ == "__main__":
    sys.exit(main())
