"""The bridge beside a real feed and Debian's mosquitto, with password and TLS."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from detector.errors import SettingsError
from detector.events import Media
from detector.integrations.mqtt.broker import parse_broker
from helpers.broker import PASSWORD, Broker, Listener, listening, missing, running_broker
from helpers.feed import take
from helpers.live_page import made_status, publish_camera
from helpers.mqtt_bridge import SITE, Site, bridge, site
from helpers.storms import made_still
from helpers.waiting import wait_until
from stream import CameraStatus, Subscriber

pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


def prefix(name: str) -> tuple[str, str]:
    """Topics of a test's own, and the flags for them."""
    return name, f"mqtt.prefix={name}"


def test_states_are_retained_and_events_are_not(tmp_path: Path, broker: Broker) -> None:
    topics, setting = prefix("retained")
    out = tmp_path / "out"
    made_still(out / "roof" / "still.jpg", 1)
    with (
        site(tmp_path, "roof", "yard") as north,
        bridge(north.endpoint, broker, "--set", setting, "--out", str(out), log=tmp_path / "log"),
        listening(broker, f"{topics}/#", name=topics) as early,
    ):
        early.wait_for(f"{topics}/{SITE}/camera/roof/connected", b"ON")
        assert early.wait_for(f"{topics}/{SITE}/camera/roof/flash") == b"OFF"
        assert early.wait_for(f"{topics}/{SITE}/camera/roof/last_flash") == b"None"
        north.flash("roof", ago=3.0)
        north.flash("roof", media=Media(still="roof/still.jpg"))
        early.wait_for(f"{topics}/{SITE}/storm", b"ON")
        early.wait_for(f"{topics}/{SITE}/camera/roof/flashes_10_min", b"2")
        with listening(broker, f"{topics}/#", name=f"{topics}-late") as late:
            assert late.wait_for(f"{topics}/{SITE}/camera/roof/flash") == b"ON"
            assert late.wait_for(f"{topics}/{SITE}/camera/yard/flash") == b"OFF"
            assert late.wait_for(f"{topics}/{SITE}/camera/roof/still") == (out / "roof" / "still.jpg").read_bytes()
            assert late.wait_for(f"{topics}/{SITE}/rate") != b"0"
            last = datetime.fromisoformat(late.wait_for(f"{topics}/{SITE}/camera/roof/last_flash").decode())
            assert abs(last.timestamp() - time.time()) < 20
            clear = datetime.fromisoformat(late.wait_for(f"{topics}/{SITE}/all_clear").decode())
            assert 1700 < (clear - last).total_seconds() < 1900
            assert not late.of(f"{topics}/{SITE}/event")
            assert all(retained for _, _, retained in late.of(f"{topics}/"))
        assert len(early.of(f"{topics}/{SITE}/event/flash/roof")) == 2
        event = msgspec.json.decode(early.of(f"{topics}/{SITE}/event/storm/{SITE}")[0][1])
        assert (event["type"], event["data"]["state"]) == ("lightning.storm.v1", "began")


def test_an_event_is_the_message_as_it_was_published(tmp_path: Path, broker: Broker) -> None:
    topics, setting = prefix("verbatim")
    with (
        site(tmp_path, "roof") as north,
        bridge(north.endpoint, broker, "--set", setting, log=tmp_path / "log"),
        listening(broker, f"{topics}/#", name=topics) as there,
    ):
        there.wait_for(f"{topics}/{SITE}/camera/roof/connected", b"ON")
        north.flash("roof")
        with Subscriber(north.endpoint, since=0) as events:
            assert there.wait_for(f"{topics}/{SITE}/event/flash/roof") == take(events, 1)[0].body


def test_a_lost_camera_and_a_lost_publisher_are_said(tmp_path: Path, broker: Broker) -> None:
    topics, setting = prefix("lost")
    with bridge_of(tmp_path, broker, topics, setting) as (north, there):
        north.status = made_status("roof", state="down")
        publish_camera(north.feed, CameraStatus(camera="roof", state="down", since=time.time()))
        there.wait_for(f"{topics}/{SITE}/camera/roof/connected", b"OFF")
        assert there.last(f"{topics}/{SITE}/status") == b"online"
        north.end()
        there.wait_for(f"{topics}/{SITE}/status", b"offline")


@contextmanager
def bridge_of(folder: Path, broker: Broker, topics: str, setting: str, *words: str) -> Iterator[tuple[Site, Listener]]:
    """A site with one camera, a bridge and a listener that has seen its states."""
    with (
        site(folder, "roof") as north,
        bridge(north.endpoint, broker, "--set", setting, *words, log=folder / "log"),
        listening(broker, f"{topics}/#", f"{topics}-ha/#", name=topics) as there,
    ):
        there.wait_for(f"{topics}/{SITE}/camera/roof/connected", b"ON")
        yield north, there


def test_the_last_will_says_that_the_bridge_is_gone(tmp_path: Path, broker: Broker) -> None:
    topics, setting = prefix("will")
    status = f"{topics}/bridge/b1/status"
    with (
        site(tmp_path, "roof") as north,
        bridge(north.endpoint, broker, "--set", setting, "--client-id", "b1", log=tmp_path / "log") as process,
        listening(broker, f"{topics}/#", name=topics) as there,
    ):
        there.wait_for(status, b"online")
        process.kill()
        assert there.wait_for(status, b"offline", limit_seconds=120) == b"offline"


def test_devices_are_discovered_and_taken_back(tmp_path: Path, broker: Broker) -> None:
    topics, setting = prefix("found")
    words = ("--discovery", "homeassistant", "--set", f"mqtt.discovery_prefix={topics}-ha", "--client-id", "b2")
    camera = f"{topics}-ha/device/lightning_{SITE}_roof/config"
    with bridge_of(tmp_path, broker, topics, setting, *words) as (north, there):
        device = msgspec.json.decode(there.wait_for(camera))
        assert device["availability"][0]["topic"] == f"{topics}/bridge/b2/status"
        assert "still" not in device["components"]  # without --out there are none
        there.wait_for(f"{topics}-ha/device/lightning_{SITE}/config")
        for part in device["components"].values():
            assert there.wait_for(part["state_topic"]) is not None
        north.status = made_status("yard")
        assert there.wait_for(camera, b"") == b""
        there.wait_for(f"{topics}-ha/device/lightning_{SITE}_yard/config")


def test_a_flash_of_half_a_minute_ago_is_over(tmp_path: Path, broker: Broker) -> None:
    """States only: a bridge that starts later reads the history, and counts without saying ON."""
    topics, setting = prefix("over")
    with site(tmp_path, "roof") as north:
        north.flash("roof", ago=100.0)
        north.flash("roof", ago=900.0)
        with (
            bridge(north.endpoint, broker, "--set", setting, log=tmp_path / "log"),
            listening(broker, f"{topics}/#", name=topics) as there,
        ):
            there.wait_for(f"{topics}/{SITE}/camera/roof/flashes_10_min", b"1")
            assert not there.of(f"{topics}/{SITE}/event")  # without a cursor, events begin with what comes


def test_while_the_broker_is_away_nothing_is_lost(tmp_path: Path) -> None:
    with running_broker(tmp_path / "broker") as broker:
        topics, setting = prefix("away")
        with bridge_of(tmp_path, broker, topics, setting, "--cursor", str(tmp_path / "place")) as (north, there):
            broker.kill()
            for _ in range(50):
                north.flash("roof", state="unverified")
            broker.start()
            wait_until(lambda: len(there.of(f"{topics}/{SITE}/event/flash")) >= 50, 120)
            numbers = [msgspec.json.decode(body)["sequence"] for _, body, _ in there.of(f"{topics}/{SITE}/event/flash")]
            assert numbers == sorted(set(numbers))
            wait_until(lambda: there.last(f"{topics}/{SITE}/status") == b"online", 90)


def test_what_came_while_the_bridge_was_away_follows(tmp_path: Path, broker: Broker) -> None:
    topics, setting = prefix("follows")
    words = ("--set", setting, "--cursor", str(tmp_path / "place"))
    with site(tmp_path, "roof") as north, listening(broker, f"{topics}/#", name=topics) as there:
        with bridge(north.endpoint, broker, *words, log=tmp_path / "log"):
            there.wait_for(f"{topics}/{SITE}/camera/roof/connected", b"ON")
            north.flash("roof", state="unverified")
            wait_until(lambda: len(there.of(f"{topics}/{SITE}/event")) == 1, 90)
        for _ in range(3):
            north.flash("roof", state="unverified")
        with bridge(north.endpoint, broker, *words, log=tmp_path / "log"):
            wait_until(lambda: len(there.of(f"{topics}/{SITE}/event")) >= 4, 90)
            there.wait_for(f"{topics}/{SITE}/status", b"online")
        numbers = [int(msgspec.json.decode(body)["sequence"]) for _, body, _ in there.of(f"{topics}/{SITE}/event")]
        assert numbers == [1, 2, 3, 4]


def test_a_refused_message_is_said_and_kept(tmp_path: Path, broker: Broker) -> None:
    """The broker's access list refuses this prefix: the place must not move."""
    log, place = tmp_path / "log", tmp_path / "place"
    words = ("--set", "mqtt.prefix=forbidden", "--cursor", str(place))
    with site(tmp_path, "roof") as north:
        with bridge(north.endpoint, broker, *words, log=log):
            wait_until(place.exists, 90)
            north.flash("roof")
            wait_until(lambda: "refuses forbidden/test/event/flash/roof" in log.read_text(), 90)
        assert msgspec.json.decode(place.read_bytes())["feeds"] == {
            feed: {"run": cursor["run"], "sequence": 0}
            for feed, cursor in msgspec.json.decode(place.read_bytes())["feeds"].items()
        }
    assert "stopped before the broker took the last 1 messages" in log.read_text()


@pytest.mark.parametrize(("change", "words"), [("password", "check user and password"), ("ca", "certificate")])
def test_a_broker_that_refuses_is_named_without_the_secret(
    tmp_path: Path, broker: Broker, change: str, words: str
) -> None:
    log = tmp_path / "log"
    more = ("--broker-ca", "/etc/ssl/certs/ca-certificates.crt") if change == "ca" else ()
    wrong = "not-the-secret-1" if change == "password" else PASSWORD
    with site(tmp_path, "roof") as north, bridge(north.endpoint, broker, *more, log=log, password=wrong) as process:
        wait_until(lambda: words in log.read_text(), 90)
        assert wrong not in " ".join(process.cmdline())
        assert wrong not in log.read_text()
        assert f"localhost:{broker.tls_port}" in log.read_text()


@pytest.mark.parametrize(
    "address",
    ["http://host", "mqtt://", "mqtts://host:port", "mqtts://host/topic", "mqtts://u:{NOT_SET_ANYWHERE}@host"],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="--broker"):
        parse_broker(address, {})


def test_a_password_may_hold_any_sign() -> None:
    found = parse_broker("mqtts://me:{SECRET}@host", {"SECRET": "a/b@c:d#e?"})
    assert (found.host, found.port, found.user, found.password) == ("host", 8883, "me", "a/b@c:d#e?")
    assert "a/b" not in repr(found)
    assert "a/b" not in str(found)
