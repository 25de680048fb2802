"""A table of text that fits a terminal."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.table import Table

_GAP = 2  # between two columns
_LEAST = 20  # the first column is cut to this before another one is left out
_TAIL = 0.4  # share of a shortened name that its end gets: there it differs from its neighbours


def fitted_table(
    columns: Mapping[str, Sequence[str]], width: int, *, left_out: Sequence[str], right: Sequence[str]
) -> Table:
    """`columns` (head, cells) side by side in `width`, none broken or cut but the first, which holds names.

    left_out: what is left out for want of room, the least important first. right: what is aligned there.
    """
    shown = {head: max(map(cell_len, (head, *cells))) for head, cells in columns.items()}
    first = next(iter(shown))
    wanted = min(shown.pop(first), _LEAST)
    for head in left_out:
        if wanted + sum(shown.values()) + _GAP * len(shown) <= width:
            break
        shown.pop(head, None)
    room = max(1, width - sum(shown.values()) - _GAP * len(shown))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in (first, *shown):
        table.add_column(head, justify="right" if head in right else "left", no_wrap=True)
    names = [shortened(name, room) for name in columns[first]]
    for row in zip(names, *(columns[head] for head in shown), strict=True):
        table.add_row(*row)
    return table


def shortened(name: str, width: int) -> str:
    """`name` in at most `width` columns of a terminal, with a dot for what is missing in its middle."""
    if cell_len(name) <= width:
        return name
    tail = ""
    for letter in reversed(name):
        if cell_len(letter + tail) > _TAIL * width:
            break
        tail = letter + tail
    return f"{set_cell_size(name, width - 1 - cell_len(tail))}…{tail}"
