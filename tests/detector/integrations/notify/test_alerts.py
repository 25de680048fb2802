"""Which events and heartbeats are worth a message."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from detector.events import FLASH_TYPE, Flash
from detector.integrations.notify.alerts import Alert, AlertFold
from detector.settings import AlertKind, NotifySettings, StormSettings
from detector.storms.events import STORM_TYPE, Storm
from detector.storms.fold import StormFold
from helpers.live_page import made_status
from helpers.storms import made_flash
from stream import Cursor, Heartbeat, Message, Received, WireMessage

START = datetime(2026, 7, 14, 19, 0, tzinfo=UTC).timestamp()
QUIET = 1800.0


class Feed:
    """Makes messages and hands them to a fold, with the storms that follow from the flashes."""

    def __init__(self, settings: NotifySettings | None = None, fold: AlertFold | None = None) -> None:
        self.fold = fold or AlertFold(settings or NotifySettings(), QUIET)
        self.storms = StormFold(StormSettings(), "north")
        self._number = 0

    def say(self, topic: str, kind: str, data: Any) -> list[Alert]:
        self._number += 1
        message = Message(
            id=f"m{self._number}", source="urn:lightning-detector:north", type=kind, subject="x", dataschema="urn:x",
            time=datetime.now(UTC).isoformat(), feed="f", run="r", sequence=f"{self._number:020d}", data=data,
        )  # fmt: skip
        wire = WireMessage(topic, self._number, msgspec.json.encode(message))
        return self.fold.take(Received("tcp://here:1", wire, False, Cursor("r", self._number)))

    def flash(self, at: float, state: str = "confirmed", camera: str = "roof") -> list[Alert]:
        return self.revision(made_flash(at, camera, utc=START, state=state))

    def revision(self, flash: Flash) -> list[Alert]:
        alerts = self.say(f"ev.flash.{flash.camera}", FLASH_TYPE, flash)
        for told in self.storms.take(flash):
            if isinstance(told, Storm):
                alerts += self.say("ev.storm.north", STORM_TYPE, told)
        return alerts

    def quiet_until(self, at: float) -> list[Alert]:
        return [
            alert
            for told in self.storms.advance(START + at)
            if isinstance(told, Storm)
            for alert in self.say("ev.storm.north", STORM_TYPE, told)
        ]

    def hear(self, **more: Any) -> None:
        status = made_status() | {"site": "north"} | more
        self.fold.hear(
            "tcp://here:1",
            Heartbeat(
                feed="f", run="r", run_first=1, run_seconds=1.0, first=1, last=1, time="2026-07-14T19:00:00Z",
                heartbeat_seconds=1.0, durable=True, status=status,
            ),
        )  # fmt: skip


def kinds(alerts: list[Alert]) -> list[AlertKind]:
    return [alert.kind for alert in alerts]


def test_five_hundred_flashes_of_a_storm_are_three_alerts() -> None:
    feed, alerts = Feed(), []
    for number in range(500):
        alerts += feed.flash(number * 2.0)
    alerts += feed.quiet_until(1000 + QUIET + 120)
    assert kinds(alerts) == ["first_flash", "storm_began", "storm_ended"]
    assert alerts[2].facts["flashes"] == 500


def test_a_flash_after_half_an_hour_without_one_is_a_first_flash() -> None:
    feed = Feed()
    assert kinds(feed.flash(0)) == ["first_flash"]
    assert kinds(feed.flash(QUIET - 1)) == []
    assert kinds(feed.flash(2 * QUIET)) == ["first_flash"]


@pytest.mark.parametrize("state", ["detected", "unverified", "rejected"])
def test_only_confirmed_flashes_count(state: str) -> None:
    assert not Feed().flash(0, state)


def test_a_revision_that_adds_a_clip_is_no_news() -> None:
    feed = Feed()
    flash = made_flash(0, utc=START)
    assert kinds(feed.revision(flash)) == ["first_flash"]
    again = msgspec.structs.replace(flash, revision=3, changed=("media.clip",))
    assert not feed.revision(again)


def test_after_a_restart_the_same_message_is_no_news() -> None:
    before = Feed()
    assert kinds([*before.flash(0), *before.flash(5)]) == ["first_flash", "storm_began"]
    kept = msgspec.json.decode(msgspec.json.encode(before.fold.state), type=type(before.fold.state))
    after = Feed(fold=AlertFold(NotifySettings(), QUIET, kept))
    assert not [*after.flash(0), *after.flash(5)]


def test_only_what_is_asked_for_is_told() -> None:
    feed = Feed(NotifySettings(on=("storm_ended",)))
    alerts = [*feed.flash(0), *feed.flash(5), *feed.quiet_until(5 + QUIET + 120)]
    assert kinds(alerts) == ["storm_ended"]


def counters(state: str) -> dict[str, Any]:
    return {"roof": {"state": state, "fps": 25.0, "age": 0.1}}


@pytest.mark.parametrize("state", ["down", "stalled", "connecting"])
def test_a_camera_that_is_down_for_a_minute_is_told_and_so_is_its_return(state: str) -> None:
    feed, now = Feed(), 1000.0
    for second in range(200):
        feed.hear(cameras=counters("live" if second < 10 or second > 100 else state))
        found = kinds(feed.fold.due(now + second, time.monotonic()))
        assert found == {70: ["camera_down"], 101: ["camera_back"]}.get(second, []), second


def test_a_camera_that_is_back_within_a_minute_is_not_told() -> None:
    feed = Feed()
    for second in range(100):
        feed.hear(cameras=counters("down" if 10 < second < 60 else "live"))
        assert not feed.fold.due(1000.0 + second, time.monotonic())


def test_a_program_that_is_not_heard_is_told_and_its_cameras_are_not() -> None:
    feed = Feed()
    feed.hear(cameras=counters("live"))
    assert not feed.fold.due(1000.0, time.monotonic())
    gone = time.monotonic() + 30
    assert not feed.fold.due(1030.0, gone)
    assert kinds(feed.fold.due(1100.0, gone + 70)) == ["site_down"]
    assert not feed.fold.due(1200.0, gone + 170)
    feed.hear(cameras=counters("live"))
    assert kinds(feed.fold.due(1300.0, time.monotonic())) == ["site_back"]


def test_a_disk_is_told_once_until_it_was_well_again() -> None:
    feed, found = Feed(), []
    for second, free in enumerate([5000, 990, 1010, 980, 1400, 900, 2000, 500]):
        feed.hear(cameras=counters("live"), free_mb={"out": free})
        found += [(second, alert.facts["free_mb"]) for alert in feed.fold.due(1000.0 + second, time.monotonic())]
    assert found == [(1, 990), (7, 500)]


def test_words_of_a_later_version_are_no_news() -> None:
    assert not Feed().say("ev.flash.roof", FLASH_TYPE, {"state": "something new"})
    assert not Feed().say("ev.storm.north", STORM_TYPE, {"state": "something new"})
