"""Text from outside cannot speak to a terminal or forge a line of a log."""

import pytest

from stream import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Dach.mp4", "Dach.mp4"),
        ("Blitz über Zürich 雷.mp4", "Blitz über Zürich 雷.mp4"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nERROR b", r"a\nERROR b"),
        ("a\r\tb\x7f", r"a\r\tb\x7f"),
        ("a\x9b31mb", r"a\x9b31mb"),
        ("gpj\u202e4pm", r"gpj\u202e4pm"),
        ("a\u2028b", r"a\u2028b"),
        ("a\udcffb", r"a\udcffb"),
    ],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown
