"""Damage to files, as by broken disks, cables, memory cards and copies."""

from collections.abc import Callable
from random import Random

_HEAD = 4096  # bytes that hold most containers' headers
_HEAD_SHARE = 0.15  # share of the mutants that are damaged there
_LONGEST_RUN = 4096


def mutate(data: bytes, seed: int) -> tuple[str, bytes]:
    """Return (name of the damage, damaged copy of `data`), decided by `seed` alone."""
    dice = Random(seed)
    name = dice.choice(sorted(_DAMAGES))
    damaged = bytearray(data)
    reach = min(_HEAD, len(data)) if dice.random() < _HEAD_SHARE else len(data)
    _DAMAGES[name](damaged, reach, dice)
    return name, bytes(damaged)


def _flip(data: bytearray, reach: int, dice: Random) -> None:
    for _ in range(_some(dice)):
        data[dice.randrange(reach)] ^= 1 << dice.randrange(8)


def _bytes(data: bytearray, reach: int, dice: Random) -> None:
    for _ in range(_some(dice)):
        data[dice.randrange(reach)] = dice.randrange(256)


def _zero(data: bytearray, reach: int, dice: Random) -> None:
    start, length = _run(reach, dice)
    data[start : start + length] = bytes(len(data[start : start + length]))


def _repeat(data: bytearray, reach: int, dice: Random) -> None:
    start, length = _run(reach, dice)
    data[start:start] = data[start : start + length]


def _lose(data: bytearray, reach: int, dice: Random) -> None:
    start, length = _run(reach, dice)
    del data[start : start + length]


def _swap(data: bytearray, reach: int, dice: Random) -> None:
    length = min(_run(reach, dice)[1], len(data) // 2)
    one, other = sorted(dice.randrange(len(data) - length + 1) for _ in range(2))
    data[one : one + length], data[other : other + length] = data[other : other + length], data[one : one + length]


def _cut_short(data: bytearray, reach: int, dice: Random) -> None:
    del data[max(1, dice.randrange(reach)) :]


_DAMAGES: dict[str, Callable[[bytearray, int, Random], None]] = {
    "bytes": _bytes,
    "cut": _cut_short,
    "flip": _flip,
    "lose": _lose,
    "repeat": _repeat,
    "swap": _swap,
    "zero": _zero,
}


def _some(dice: Random) -> int:
    return dice.choice((1, 2, 4, 8, 16, 32, 64))


def _run(reach: int, dice: Random) -> tuple[int, int]:
    return dice.randrange(reach), dice.choice((1, 16, 188, 512, _LONGEST_RUN))
