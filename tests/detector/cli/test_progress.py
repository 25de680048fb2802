"""What a person sees on a terminal while cameras are watched and files replayed."""

import re
from io import StringIO
from pathlib import Path

from rich.console import Console

from detector.cli.progress import ReplayProgress, WatchDisplay
from detector.output.tables import FlashCounter, FlashTable
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
    with WatchDisplay(console, console, FlashCounter()).shown() as display:
        display.show([CameraStatus("roof", "live", frames=1234, late=77, skipped=538)])
    heads, row = (line.split() for line in lines(written)[:2])
    assert row[heads.index("late")] == "77"
    assert row[heads.index("skipped")] == "538"


def test_an_address_in_brackets_is_shown_as_it_is() -> None:
    console, written = terminal()
    with WatchDisplay(console, console, FlashCounter()).shown() as display:
        display.show([CameraStatus("roof", "down", last_error="rtsp://[fe80::1]/cam: [fe80::1]:554 refused")])
    assert "rtsp://[fe80::1]/cam: [fe80::1]:554 refused" in written.getvalue()


def test_a_file_name_in_brackets_is_shown_as_it_is_while_it_is_watched() -> None:
    console, written = terminal()
    with ReplayProgress(console, 1, FlashTable()).shown() as progress:
        progress.begin(Path("Big storm [dQw4w9WgXcQ].mp4"), 7.0)
    assert "Big storm [dQw4w9WgXcQ].mp4" in written.getvalue()


def test_a_file_that_never_began_adds_nothing_to_the_time_that_was_watched() -> None:
    console, _ = terminal()
    with ReplayProgress(console, 2, FlashTable()).shown() as progress:
        progress.begin(Path("two.ts"), 2.0)
        progress.advance(2.0)
        progress.end(None)
        assert progress.reached == "100 %"
        progress.end("bad.mp4: not a video")
    assert progress.watched_seconds == 2.0
    assert progress.reached == "0:00:00"


def test_where_cameras_are_more_than_lines_those_in_trouble_are_shown_and_the_closing_table_has_all() -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=True, no_color=True, width=120, height=10, highlight=False)
    statuses = [CameraStatus(f"cam-{n:02d}", "down" if n == 28 else "live", frames=5) for n in range(30)]
    display = WatchDisplay(console, console, FlashCounter())
    with display.shown():
        display.show(statuses)
    shown = "\n".join(lines(written))
    assert "cam-28" in shown
    assert "cam-29" not in shown
    assert "and 23 more cameras, all of them live; no flashes" in shown
    display.close(statuses)
    closing = lines(written)[-30:]
    assert [line.split()[0] for line in closing] == [status.camera for status in statuses]
