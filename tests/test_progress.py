"""What a person sees on a terminal while cameras are watched and files replayed."""

import re
from io import StringIO

from rich.console import Console

from detector.progress import WatchDisplay
from detector.report import Counts
from stream import CameraStatus


def terminal() -> tuple[Console, StringIO]:
    """A terminal of 160 columns without colours, and what was written on it."""
    written = StringIO()
    return Console(file=written, force_terminal=True, no_color=True, width=160, highlight=False), written


def lines(written: StringIO) -> list[str]:
    """What was written, without the signs that move the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue()).splitlines()


def test_the_display_of_cameras_shows_how_many_pictures_were_late_and_skipped() -> None:
    console, written = terminal()
    with WatchDisplay(console, console, Counts()) as display:
        display.show([CameraStatus("roof", "live", frames=1234, late=77, skipped=538)])
    heads, row = (line.split() for line in lines(written)[:2])
    assert row[heads.index("late")] == "77"
    assert row[heads.index("skipped")] == "538"
