"""Tables that tools write between two marks of a page of docs/."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heading), *lines[1:]]) + "\n"


def filled(page: str, tables: Mapping[str, Callable[[], str]], tool: str) -> str:
    """Return `page` with what stands between the two marks of each name replaced.

    Args:
        page: its text, with `<!-- NAME: written by TOOL -->` and `<!-- end of NAME -->`.
        tables: what makes the text of each name.
        tool: the path of the tool, as in the marks.
    """
    for name, made in tables.items():
        begin, end = f"<!-- {name}: written by {tool} -->\n", f"<!-- end of {name} -->"
        before, rest = page.split(begin)
        page = f"{before}{begin}{made()}{end}{rest.split(end)[1]}"
    return page


def write(page: Path, text: str, *, check: bool) -> int:
    """Write the page; with `check` leave it, and return 1 if it would change."""
    if check:
        return int(text != page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
    return 0
