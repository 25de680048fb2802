"""A run's folder: flashes.jsonl and flashes.csv hold each flash once, in its last revision."""

import csv
import os
import tracemalloc
from collections import Counter
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.console import Console

from detector.errors import OutputError
from detector.events import Flash, FlashMessage, Media, Pulse, Verdict
from detector.output.files import check_writable
from detector.output.run_folder import RunFolder
from detector.output.tables import FlashTable
from detector.output.text import clock_text, flash_line
from helpers.full_disk import full_disk
from stream import WireMessage

MONTH = "flashes-2026-11.jsonl"
"""The file of the month in which the messages of these tests were published."""


def flash(flash_id: str = "cam-1.000s-aaaa", state: str = "confirmed", revision: int = 2) -> Flash:
    verdict = Verdict(lightning=state == "confirmed", probability=0.97, verifier="photometric")
    return Flash(
        id=flash_id, camera="cam", file="storm.mp4", state=state, revision=revision, start_seconds=1.0,
        peak_seconds=1.04, end_seconds=1.2, duration_seconds=0.2, start_utc=None, clock="none", utc_error_ms=None,
        quality=(), pulses=(Pulse(offset_seconds=0.0, duration_seconds=0.2, rise_levels=40.0),), peak_rise_levels=40.0,
        lit_fraction=0.4, box=(0.0, 0.0, 1.0, 0.5), centroid=(0.5, 0.25),
        verdict=None if state == "detected" else verdict, media=Media(), latency_ms=3.0, software="test",
    )  # fmt: skip


def body(content: Flash, sequence: int = 1) -> bytes:
    message = FlashMessage(
        id=f"m{sequence}", source="urn:lightning-detector:site", type="lightning.flash.v1", subject="cam",
        time="2026-11-22T21:29:03.501221Z", dataschema="urn:lightning-detector:flash:1", feed="f", run="r",
        sequence=str(sequence), data=content,
    )  # fmt: skip
    return msgspec.json.encode(message)


def test_each_flash_stands_once_in_its_last_revision(tmp_path: Path) -> None:
    with closing(RunFolder(tmp_path / "run")) as folder:
        folder.add(WireMessage("ev.flash.cam", 1, body(flash(state="detected", revision=1))))
        folder.add(WireMessage("ev.flash.cam", 2, body(flash(state="unverified", revision=2))))
        folder.add(WireMessage("ev.flash.cam", 3, body(flash(state="confirmed", revision=3))))
        folder.add(WireMessage("ev.camera.cam", 4, b"{}"))
    lines = (tmp_path / "run" / "flashes.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=FlashMessage).data.state for line in lines] == ["confirmed"]
    with (tmp_path / "run" / "flashes.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(row["state"], row["pulses"], row["probability"]) for row in rows] == [("confirmed", "1", "0.97")]


def test_why_a_light_was_rejected_is_said_in_the_table_and_in_the_line_of_a_watch(tmp_path: Path) -> None:
    why = "nothing about it glows (reach 0.04)"
    verdict = Verdict(lightning=False, probability=0.1, verifier="photometric", reason=why)
    rejected = body(msgspec.structs.replace(flash(state="rejected"), verdict=verdict))
    with closing(RunFolder(tmp_path)) as folder:
        folder.add(WireMessage("ev.flash.cam", 1, rejected))
    with (tmp_path / "flashes.csv").open(newline="") as table:
        assert next(csv.DictReader(table))["reason"] == why
    assert str(flash_line(WireMessage("ev.flash.cam", 1, rejected))).endswith(f"10%  {why}")
    assert str(flash_line(WireMessage("ev.flash.cam", 1, body(flash())))).endswith("97%")


def test_a_folder_that_never_began_is_never_made(tmp_path: Path) -> None:
    with closing(RunFolder(tmp_path / "run")):
        pass
    assert not (tmp_path / "run").exists()


def test_results_are_on_disk_as_soon_as_a_flash_has_its_verdict(tmp_path: Path) -> None:
    with closing(RunFolder(tmp_path)) as folder:
        folder.add(WireMessage("ev.flash.cam", 1, body(flash())))
        assert (tmp_path / "flashes.jsonl").read_bytes() == body(flash()) + b"\n"


def test_a_watch_goes_on_where_an_earlier_one_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / MONTH).write_bytes(body(flash("cam-a")) + b"\n" + body(flash("cam-b"))[:50] + b"\n")
    with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as folder:
        folder.add(WireMessage("ev.flash.cam", 1, body(flash("cam-c"))))
    lines = (tmp_path / MONTH).read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=FlashMessage).data.id for line in lines] == ["cam-a", "cam-c"]


def ids(folder: Path) -> list[str]:
    """The flashes that stand in the folder of a watch."""
    lines = (folder / MONTH).read_bytes().splitlines()
    return [msgspec.json.decode(line, type=FlashMessage).data.id for line in lines]


def test_a_line_that_a_power_cut_left_unfinished_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / MONTH).write_bytes(body(flash("cam-a")) + b"\n" + body(flash("cam-b"))[:50])
    with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as folder:
        folder.begin()
        folder.add(WireMessage("ev.flash.cam", 1, body(flash("cam-c"))))
    assert ids(tmp_path) == ["cam-a", "cam-c"]


@pytest.mark.parametrize("gone", ["the file moved", "the folder deleted"])
def test_results_that_are_taken_away_during_a_watch_are_begun_anew(
    gone: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, old = tmp_path / "out", tmp_path / "old.jsonl"
    with closing(RunFolder(out, keep_earlier=True, by_month=True)) as folder:
        folder.add(WireMessage("ev.flash.cam", 1, body(flash("cam-a"))))
        (out / MONTH).rename(old)
        if gone == "the folder deleted":
            out.rmdir()
        folder.add(WireMessage("ev.flash.cam", 2, body(flash("cam-b"))))
        folder.add(WireMessage("ev.flash.cam", 3, body(flash("cam-c"))))
    assert (ids(out), folder.failure) == (["cam-b", "cam-c"], None)
    assert [record.getMessage() for record in caplog.records] == [
        f"{out / MONTH}: was moved or deleted while in use; further flashes go into a new file"
    ]


def test_two_watches_that_share_a_folder_lose_no_flash_when_one_ends(tmp_path: Path) -> None:
    with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as folder:
        folder.add(WireMessage("ev.flash.cam", 1, body(flash("cam-a"))))
        with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as other:
            other.add(WireMessage("ev.flash.cam", 1, body(flash("cam-b"))))
        folder.add(WireMessage("ev.flash.cam", 2, body(flash("cam-c"))))
    assert ids(tmp_path) == ["cam-a", "cam-b", "cam-c"]


def test_the_end_of_a_watch_of_years_takes_little_memory(tmp_path: Path) -> None:
    kept = 10_000
    with (tmp_path / MONTH).open("wb") as file:
        file.writelines(body(flash(f"cam-{number % kept}")) + b"\n" for number in range(kept + 500))
    size = (tmp_path / MONTH).stat().st_size
    tracemalloc.start()
    try:
        with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as folder:
            folder.add(WireMessage("ev.flash.cam", 1, body(flash("cam-0"))))
        assert tracemalloc.get_traced_memory()[1] < size / 3
    finally:
        tracemalloc.stop()
    assert set(ids(tmp_path)) == {f"cam-{number}" for number in range(kept)}
    assert (tmp_path / "flashes.csv").read_bytes().count(b"\n") == kept + 1


def test_flashes_that_come_while_the_disk_is_full_follow_once_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = len(body(flash("cam-a"))) + 1
    with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as folder:
        with full_disk(2 * size + size // 2):
            for name in "abcd":
                folder.add(WireMessage("ev.flash.cam", 1, body(flash(f"cam-{name}"))))
            assert folder.failure is not None
            assert ids(tmp_path) == ["cam-a", "cam-b"]
        folder.add(WireMessage("ev.flash.cam", 1, body(flash("cam-e"))))
    assert (ids(tmp_path), folder.failure) == ([f"cam-{name}" for name in "abcde"], None)
    assert ["what waits in memory follows" in caplog.messages[0], "lacks nothing" in caplog.messages[1]] == [True, True]


def test_flashes_of_each_month_have_a_file_of_their_own_and_the_table_has_all(tmp_path: Path) -> None:
    (tmp_path / "flashes.jsonl").write_bytes(body(flash("of-an-earlier-version")) + b"\n")
    months = {"cam-a": "2026-11-30T23:59:59.9Z", "cam-b": "2026-12-01T00:00:00.1Z"}
    with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as folder:
        for state, revision in (("unverified", 2), ("confirmed", 3)):
            for name, start in months.items():
                told = msgspec.structs.replace(flash(name, state, revision), start_utc=start)
                folder.add(WireMessage("ev.flash.cam", 1, body(told)))
    for name, start in months.items():
        (line,) = (tmp_path / f"flashes-{start[:7]}.jsonl").read_bytes().splitlines()
        kept = msgspec.json.decode(line, type=FlashMessage).data
        assert (kept.id, kept.revision) == (name, 3)
    with (tmp_path / "flashes.csv").open(newline="") as table:
        assert {row["id"] for row in csv.DictReader(table)} == {"of-an-earlier-version", *months}


def test_recordings_that_are_watched_again_lose_what_an_earlier_run_found_in_them_and_no_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "cam").mkdir(exist_ok=True)
        (tmp_path / "cam" / f"{name}.jpg").write_bytes(b"x")
    with closing(RunFolder(tmp_path)) as folder:
        for name in ("a", "b"):
            told = msgspec.structs.replace(pictured(name, Media(still=f"cam/{name}.jpg")), file=f"{name}.mp4")
            folder.add(WireMessage("ev.flash.cam", 1, body(told)))
    (tmp_path / "curves.jsonl").write_text('{"file": "a.mp4"}\n{"file": "b.mp4"}\n{"file": "b')
    (tmp_path / "flash-curves.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    with closing(RunFolder(tmp_path, keep_earlier=True)) as folder:
        folder.forget(["a.mp4"])
        assert (tmp_path / "cam" / "a.jpg").exists(), "until there is something to watch"
        folder.begin()
    assert [path.name for path in (tmp_path / "cam").iterdir()] == ["b.jpg"]
    lines = (tmp_path / "flashes.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=FlashMessage).data.id for line in lines] == ["b"]
    assert (tmp_path / "curves.jsonl").read_text() == '{"file": "b.mp4"}\n'
    assert (tmp_path / "flash-curves.jsonl").read_text() == '{"id": "b"}\n'


def test_a_run_that_overwrites_takes_the_place_of_the_earlier_one_with_its_pictures_once_it_begins(
    tmp_path: Path,
) -> None:
    for kind in ("stills", "clips"):
        (tmp_path / kind).mkdir()
    still, clip = tmp_path / "stills" / "old.jpg", tmp_path / "clips" / "old.mp4"
    kept = tmp_path / "stills" / "mine.jpg", tmp_path / "outside.jpg"
    for file in (still, clip, *kept):
        file.write_bytes(b"")
    with closing(RunFolder(tmp_path)) as folder:
        folder.add(
            WireMessage("ev.flash.cam", 1, body(pictured("cam-a", Media(still="stills/old.jpg", clip="clips/old.mp4"))))
        )
        folder.add(WireMessage("ev.flash.cam", 2, body(pictured("cam-b", Media(still="../outside.jpg")))))
    with closing(RunFolder(tmp_path, overwrite=True)) as folder:
        assert folder.clips == {clip.resolve()}
        assert still.exists(), "until there is something to watch"
        folder.begin()
        folder.add(WireMessage("ev.flash.cam", 1, body(flash("cam-c"))))
    lines = (tmp_path / "flashes.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=FlashMessage).data.id for line in lines] == ["cam-c"]
    assert not still.exists()
    assert not clip.exists()
    assert all(file.exists() for file in kept)


def pictured(flash_id: str, media: Media) -> Flash:
    return msgspec.structs.replace(flash(flash_id), media=media)


def test_a_folder_that_holds_flashes_is_refused_unless_they_may_be_replaced(tmp_path: Path) -> None:
    with closing(RunFolder(tmp_path)) as folder:
        folder.begin()
    with closing(RunFolder(tmp_path)) as folder:  # none were found before
        folder.add(WireMessage("ev.flash.cam", 1, body(flash())))
    with pytest.raises(
        OutputError, match=r"holds the flashes of an earlier run; choose another folder, or .*--overwrite"
    ):
        RunFolder(tmp_path)
    assert len((tmp_path / "flashes.jsonl").read_bytes().splitlines()) == 1


def test_earlier_flashes_that_cannot_be_read_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "flashes.jsonl").mkdir()  # which nobody can read as a file, root neither
    with pytest.raises(OutputError, match=r"flashes\.jsonl: cannot be read, and so not be overwritten: Is a directory"):
        RunFolder(tmp_path, overwrite=True)


def test_results_that_cannot_be_written_cost_themselves_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / MONTH).mkdir()
    with closing(RunFolder(tmp_path, keep_earlier=True, by_month=True)) as folder:
        folder.add(WireMessage("ev.flash.cam", 1, body(flash())))
        folder.add(WireMessage("ev.flash.cam", 2, body(flash("b"))))
    assert "cannot write results: Is a directory" in str(folder.failure)
    assert len(caplog.records) == 1


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match="is a file"):
        RunFolder(file / "run")
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(OutputError, match="no permission"):
            check_writable(tmp_path / "locked" / "run")


def test_the_table_counts_rejected_flashes_but_does_not_list_them() -> None:
    flashes = FlashTable()
    flashes.add(WireMessage("ev.flash.cam", 1, body(flash("a", "detected", 1))))
    flashes.add(WireMessage("ev.flash.cam", 2, body(flash("a", "rejected", 2))))
    flashes.add(WireMessage("ev.flash.cam", 3, body(flash("b", "confirmed", 2))))
    assert flashes.counts == Counter(confirmed=1, rejected=1)
    assert flashes.table().row_count == 1


LONG_NAME = "2026-07-14 Gewitter über dem Starnberger See, Blick nach Westen, A7S III.mp4"


def table_in(width: int, file: str, start_utc: str | None = "2026-07-14T20:04:36.502881Z") -> list[str]:
    """The lines of a run's table with one flash, on a terminal of `width` columns."""
    flashes = FlashTable(ZoneInfo("Europe/Vienna"))
    flashes.add(WireMessage("ev.flash.cam", 1, body(msgspec.structs.replace(flash(), file=file, start_utc=start_utc))))
    console = Console(width=width)
    with console.capture() as captured:
        console.print(flashes.table(width))
    return captured.get().splitlines()


def test_a_long_file_name_is_shortened_in_its_middle_and_pushes_no_other_column_off_the_terminal() -> None:
    head, row = table_in(80, LONG_NAME)
    assert head.split() == ["file", "start", "UTC", "state", "sure"], "what matters less is left out"
    assert row.startswith("2026-07-14 Gew")
    assert "…S III.mp4  0:00:01.000  2026-07-14 20:04:36.502Z  confirmed   97%" in row
    assert len(row) == 80


def test_a_file_name_that_has_room_is_shown_whole_in_one_line() -> None:
    head, row = table_in(250, LONG_NAME)
    assert head.split() == ["file", "start", "UTC", "local", "state", "seconds", "pulses", "rise", "area", "sure"]
    assert "2026-07-14 20:04:36.502Z  22:04:36 CEST" in row
    assert row.split("  ")[0] == LONG_NAME
    head, row = table_in(80, "DSC_20260714_220436_0001_MVI.MOV", start_utc=None)
    assert head.split() == ["file", "start", "state", "seconds", "pulses", "rise", "area", "sure"]
    assert "DSC_20260714" in row
    assert "_MVI.MOV" in row


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00:00.000"), (3725.5, "1:02:05.500"), (-1, "0:00:00.000")])
def test_positions_are_shown_as_players_show_them(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text
