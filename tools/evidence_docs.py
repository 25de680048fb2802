#!/usr/bin/env python3
"""Write the tables of docs/evidence.md from the program's own lists, or with --check compare them."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from detector.events import MODEL_EVIDENCE, QUALITY_WORDS
from detector.verify.photometric.registry import CLUES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "evidence.md"


def clue_table() -> str:
    """Return the table of the photometric clues."""
    rows = (
        (f"`{clue.key}`", clue.meaning, f"{clue.against:g}", f"{clue.clear:g}", f"{clue.cost:g}", clue.doubt)
        for clue in CLUES
    )
    return table(("name", "what it is", "against", "clear", "cost", "held against it"), rows)


def word_table(heading: tuple[str, str], words: Mapping[str, str]) -> str:
    """Return a table of words and their meaning."""
    return table(heading, ((f"`{word}`", meaning) for word, meaning in words.items()))


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heading), *lines[1:]]) + "\n"


TABLES = {
    "clues": clue_table,
    "model": lambda: word_table(("name", "what it is"), MODEL_EVIDENCE),
    "quality": lambda: word_table(("word", "what happened"), QUALITY_WORDS),
}


def with_tables(page: str) -> str:
    """Return `page` with each table between its two marks replaced."""
    for name, made in TABLES.items():
        begin, end = f"<!-- {name}: written by tools/evidence_docs.py -->\n", f"<!-- end of {name} -->"
        before, rest = page.split(begin)
        page = f"{before}{begin}{made()}{end}{rest.split(end)[1]}"
    return page


def main() -> int:
    """Write the page; with --check leave it, and return 1 if it would change."""
    page = PAGE.read_text(encoding="utf-8")
    new = with_tables(page)
    if "--check" in sys.argv[1:]:
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
