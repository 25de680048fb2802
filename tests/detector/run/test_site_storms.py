"""Storms of a run, with a real feed, a journal, and a replay that is killed."""

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from detector.cli.main import main
from detector.events import event_schema
from detector.run.site_storms import SiteStorms
from detector.settings import load_settings
from detector.storms.events import GROUP_TYPE, STORM_TYPE, Storm
from helpers.feed import options_for
from helpers.storms import START, made_flash
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip
from stream import HistoryFilter, Publisher, read_history

WORDS = ["--verifier", "photometric", "--quiet"]
MINUTES = (0, 4, 8, 50, 54)
"""When the recordings of a card begin: a storm of three flashes, a pause, and one of two."""


def storms_in(journal: Path) -> list[Storm]:
    records = read_history(journal, HistoryFilter(topics=("ev.storm.",)))
    return [record.data_as(Storm) for record in records if record.message.type == STORM_TYPE]


def final(storms: list[Storm]) -> list[tuple[object, ...]]:
    last = {storm.id: storm for storm in storms}.values()
    return [(one.state, one.first_utc, one.last_utc, one.flash_count, one.all_clear_at) for one in last]


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of one flash each, over an hour."""
    folder = tmp_path_factory.mktemp("card")
    plain = folder.parent / "plain.mp4"
    plan = Plan(seconds=4.0, size=(320, 180), flashes=(FlashPlan(kind="bolt", at=1.5),))
    write_clip(Scene(plan), plain, ClipFormat(key_seconds=1.0))
    for minute in MINUTES:
        began = datetime.fromtimestamp(START + minute * 60, UTC).isoformat().replace("+00:00", "Z")
        with av.open(str(plain)) as source, av.open(str(folder / f"{minute:02}.mp4"), "w") as target:
            target.metadata["creation_time"] = began
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
    return folder


def test_a_replay_of_an_hour_with_a_pause_has_two_storms_also_when_it_is_killed_in_their_midst(
    card: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole.db", tmp_path / "killed.db"
    assert main(["replay", str(card), "--out", str(tmp_path / "whole"), "--journal", str(whole), *WORDS]) == 0
    expected = final(storms_in(whole))
    assert [(one[0], one[3]) for one in expected] == [("ended", 3), ("ended", 2)]

    out = tmp_path / "killed"
    words = ["replay", str(card), "--out", str(out), "--journal", str(killed), *WORDS]
    with subprocess.Popen(
        [sys.executable, "-m", "detector", *words, "--json", "--realtime"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["data"]["file"] != "08.mp4":
            pass
        process.send_signal(signal.SIGKILL)
    assert [storm.state for storm in storms_in(killed)] == ["began"], "killed while the first storm was on"
    assert main([*words, "--resume"]) == 0
    storms = storms_in(killed)
    assert final(storms) == expected
    numbers = [(storm.id, storm.revision) for storm in storms]
    assert len(numbers) == len(set(numbers)), "nothing is told twice"
    assert [storm.state for storm in storms].count("began") == 2


def test_a_watch_that_starts_again_goes_on_with_the_storm_of_its_journal(tmp_path: Path) -> None:
    settings, journal = load_settings(), tmp_path / "j.db"
    began_at = time.time() - 86_400  # a day ago: its all-clear has passed when watching starts again
    flashes = [
        made_flash(at, "roof", utc=began_at, id=f"f{at}", clock="rtcp", utc_error_ms=3.0) for at in (0.0, 30.0, 200.0)
    ]
    with Publisher(options_for(None, journal), event_schema()) as feed:
        before = SiteStorms(feed, settings, journal)
        before.resume_live()
        for flash in flashes[:2]:
            before.publish(flash)
    with Publisher(options_for(None, journal), event_schema()) as feed:
        again = SiteStorms(feed, settings, journal)
        again.resume_live()
        again.publish(flashes[2])
        again.step()
    began, *updated = storms_in(journal)
    assert (began.state, began.flash_count) == ("began", 2)
    assert {storm.id for storm in updated} == {began.id}
    assert (updated[-1].state, updated[-1].flash_count) == ("ended", 3)


def test_a_group_is_published_behind_the_flash_that_made_it(tmp_path: Path) -> None:
    journal = tmp_path / "j.db"
    with Publisher(options_for(None, journal), event_schema()) as feed:
        storms = SiteStorms(feed, load_settings(), journal)
        for camera in ("roof", "yard"):
            storms.publish(made_flash(0.0, camera, clock="rtcp", utc_error_ms=3.0))
    types = [record.message.type for record in read_history(journal, HistoryFilter())]
    assert types == ["lightning.flash.v1", "lightning.flash.v1", GROUP_TYPE]
