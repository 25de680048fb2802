"""Make untrusted text safe to print: names of files, cameras and servers may contain anything."""

import re

# Control characters can rewrite a terminal or forge a log line; bidirectional ones reorder the text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    r"""Return `str(text)` on one line, with control characters written as escapes like \x1b.

    Use it for untrusted text that goes to a terminal, a log or a table.
    """
    return _UNSAFE.sub(_escaped, str(text))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode("ascii")
