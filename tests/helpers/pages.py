"""The pages of the documentation, and the command lines that they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from helpers import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
HISTORY = ROOT / "CHANGELOG.md"
"""Tells of names that are gone, too."""
TODAY = [page for page in PAGES if page != HISTORY]
NOT_CHECKED = "# not checked"
PROGRAM = "lightning-detector"


def title(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_lines(text: str) -> Iterator[str]:
    """The lines of fenced and indented blocks, those that go on after a backslash as one, and code within sentences."""
    joined = re.sub(r"\\\n\s*", " ", text)
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```", joined, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", joined, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^ {4}(\S.*)$", prose, re.MULTILINE)
    within = re.findall(r"`([^`]+)`", prose)
    for line in (*"\n".join(fenced).splitlines(), *indented, *within):
        if not line.rstrip().endswith(NOT_CHECKED):
            yield line


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command in `line`: parted by pipes, `;`, `&&` and redirections."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    words: list[str] = []
    try:
        for word in reader:
            if set(word) <= set("|&;<>()"):
                yield words
                words = []
            else:
                words.append(word)
    except ValueError:  # an apostrophe: no command
        return
    yield words


def commands_of(page: Path) -> list[list[str]]:
    return [words for line in code_lines(page.read_text(encoding="utf-8")) for words in commands(line) if words]


def typed() -> Iterator[tuple[str, str]]:
    for page in TODAY:
        for words in commands_of(page):
            program, *rest = words
            if Path(program).name == PROGRAM and rest and rest[0] not in ("--help", "--version"):
                yield title(page), shlex.join(rest if len(rest) > 1 else [*rest, "--help"])
