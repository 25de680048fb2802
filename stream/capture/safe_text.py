"""Text from outside, made safe to print: names of files, cameras and servers may hold anything."""

import re

# Control characters can rewrite a terminal or forge a line of a log; bidirectional ones show text in another order.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    r"""Return `str(text)` on one line, with what a terminal or a log could take for a command written as \x1b or so.

    Use it where text from outside goes to a terminal, a log or a table.
    """
    return _UNSAFE.sub(_escaped, str(text))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode("ascii")
