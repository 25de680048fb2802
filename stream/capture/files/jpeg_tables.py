"""Damage in a JPEG's tables: a flipped bit there changes the whole frame, and no decoder can detect it."""

_MARKER = 0xFF
_TABLES = frozenset({0xDB, 0xDD, 0xDA, *range(0xC0, 0xC4)})  # Huffman codes (C4) differ a little in intact frames
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN = 0xDA
_FEW_BYTES = 3  # a change of quality changes nearly all of a table


class JpegTables:
    """Compare the tables of each frame of a stream with those of the last intact frame."""

    def __init__(self) -> None:
        self._reference = b""
        self._previous = b""

    def are_damaged(self, data: bytes | memoryview) -> bool:
        """Return whether only a few bytes differ from the tables of the last intact frame, and not for good.

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
    """Return the segments of `data` that describe its coding, one after the other, up to its scan."""
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
    """Return how many bytes differ; -1 if the lengths do."""
    if len(one) != len(other):
        return -1
    return 0 if one == other else sum(a != b for a, b in zip(one, other, strict=True))
