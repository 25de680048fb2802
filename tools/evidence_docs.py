#!/usr/bin/env python3
"""Write the tables of docs/evidence.md from the program's own lists, or with --check compare them."""

import sys
from collections.abc import Mapping
from pathlib import Path

from detector.events import MODEL_EVIDENCE, QUALITY_WORDS
from detector.verify.photometric.registry import CLUES
from page_tables import filled, table, write

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


TABLES = {
    "clues": clue_table,
    "model": lambda: word_table(("name", "what it is"), MODEL_EVIDENCE),
    "quality": lambda: word_table(("word", "what happened"), QUALITY_WORDS),
}


def with_tables(page: str) -> str:
    """Return `page` with each table between its two marks replaced."""
    return filled(page, TABLES, "tools/evidence_docs.py")


if __name__ == "__main__":
    sys.exit(write(PAGE, with_tables(PAGE.read_text(encoding="utf-8")), check="--check" in sys.argv[1:]))
