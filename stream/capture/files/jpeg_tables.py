"""The tables before a JPEG's data: a flipped bit in one changes the whole frame, and no decoder can tell."""

_MARKER = 0xFF
_TABLES = frozenset({0xDB, 0xDD, 0xDA, *range(0xC0, 0xC4)})  # codes (C4) may differ a little in sound frames
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN = 0xDA
_FEW_BYTES = 3  # a change of quality changes nearly all of a table


class JpegTables:
    """Compares the tables of each frame of a stream with those of the last frame that was in order."""

    def __init__(self) -> None:
        self._reference = b""
        self._previous = b""

    def are_damaged(self, data: bytes | memoryview) -> bool:
        """Return whether a few bytes only differ from the tables of the frame before, and not for good.

        Args:
            data: one coded frame.
        """
        tables = _tables_of(data)
        damaged = 0 < _differing(tables, self._reference) <= _FEW_BYTES and tables != self._previous
        self._previous = tables
        if not damaged:
            self._reference = tables
        return damaged


def _tables_of(data: bytes | memoryview) -> bytes:
    """Return the segments of `data` that say how it is coded, one after the other, up to its scan."""
    found, at = bytearray(), 2
    while at + 4 <= len(data) and data[at] == _MARKER:
        kind = data[at + 1]
        if kind in _NO_LENGTH or kind == _MARKER:
            at += 1 if kind == _MARKER else 2
            continue
        length = data[at + 2] << 8 | data[at + 3]
        if kind in _TABLES:
            found += data[at : at + 2 + length]
        if kind == _SCAN:
            break
        at += 2 + length
    return bytes(found)


def _differing(one: bytes, other: bytes) -> int:
    """Return how many bytes differ; -1 where the lengths do."""
    if len(one) != len(other):
        return -1
    return 0 if one == other else sum(a != b for a, b in zip(one, other, strict=True))
