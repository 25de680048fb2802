"""Lines for people: no wider than their terminal, with local times beside UTC."""

import io
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from detector.events import FlashMessage
from detector.output.text import EventLines, flash_line, plural
from helpers.feed import flash
from stream import Message, WireMessage

VIENNA = ZoneInfo("Europe/Vienna")


def message_of(camera: str, changed: tuple[str, ...] = ("state",)) -> bytes:
    """A message that tells of a confirmed flash."""
    told = msgspec.structs.replace(flash(), start_utc="2026-11-22T21:29:03.412Z", changed=changed)
    message = FlashMessage(
        id="m", source="urn:lightning-detector:site", type="lightning.flash.v1", subject=camera,
        time="2026-11-22T21:29:03.501221Z", dataschema="urn:lightning-detector:flash:1", feed="f", run="r",
        sequence="1", data=msgspec.structs.replace(told, camera=camera),
    )  # fmt: skip
    return msgspec.json.encode(message)


def lines(width: int, *, terminal: bool = True) -> list[str]:
    """Heads and one event, on a terminal of `width` columns."""
    file = io.StringIO()
    told = EventLines(Console(file=file, width=width, force_terminal=terminal, color_system=None), VIENNA)
    told.add(msgspec.json.decode(message_of("the-camera-on-the-north-tower"), type=Message[dict[str, Any]]))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [200, 132, 100, 80])
def test_no_line_of_events_is_wider_than_the_terminal(width: int) -> None:
    head, row = lines(width)
    assert max(cell_len(head), cell_len(row)) <= width
    assert "confirmed" in row
    assert "2026-11-22 21:29:03.412" in row
    assert ("22:29:03 CET" in row) == ("local" in head) == (width >= 100)
    assert "the-cam" in row


def test_what_is_no_terminal_gets_every_column() -> None:
    head, row = lines(80, terminal=False)
    assert head.split()[-1] == "id"
    assert "the-camera-on-the-n…" in row


def test_the_line_of_a_watch_has_both_times_and_a_clip_that_follows_has_no_line() -> None:
    told = message_of("roof")
    line = flash_line(WireMessage("ev.flash.roof", 1, told), VIENNA)
    assert str(line).startswith("2026-11-22 21:29:03.412Z (22:29:03 CET)  roof  confirmed")
    assert "1 pulse " in str(line)
    later = message_of("roof", changed=("media.clip",))
    assert flash_line(WireMessage("ev.flash.roof", 2, later), VIENNA) is None


def test_one_is_not_many() -> None:
    counts = [plural(1, "flash", "flashes"), plural(0, "flash", "flashes"), plural(2, "file")]
    assert counts == ["1 flash", "0 flashes", "2 files"]
