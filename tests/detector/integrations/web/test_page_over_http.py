"""The page's answers to programs, with a real feed behind them."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from detector.events import Media, event_schema
from helpers.feed import free_endpoint, options_for
from helpers.live_page import PageServer, made_status, publish_camera, publish_flash, serving
from helpers.storms import made_clip, made_flash, made_still
from helpers.waiting import wait_until
from stream import CameraStatus, Publisher

WRONG = (
    "since=yesterday", "since=nan", "since=1e999", "limit=0", "limit=99999999999", "limit=1&limit=2", "state=nonsense",
)  # fmt: skip


class Site:
    """A feed that says what it is told to."""

    def __init__(self, endpoint: str, journal: Path) -> None:
        self.endpoint = endpoint
        self.status: dict[str, Any] = made_status("roof", "harbour")
        self.options = options_for(endpoint, journal, status=lambda: self.status)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Site, Publisher]]:
    one = Site(free_endpoint(), tmp_path / "journal.db")
    with Publisher(one.options, event_schema()) as feed:
        yield one, feed


@pytest.fixture
def page(site: tuple[Site, Publisher], tmp_path: Path) -> Iterator[PageServer]:
    with serving(site[0].endpoint, out=tmp_path) as running:
        wait_until(lambda: running.ask("/api/cameras").json["cameras"], 10, "cameras are known")
        yield running


def metrics(page: PageServer) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples by name and values of labels, read by the reference parser."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(page.ask("/metrics").body.decode()):
        for sample in family.samples:
            labels = tuple(value for key, value in sorted(sample.labels.items()) if key != "site")
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_a_flash_is_listed_in_its_last_revision_with_its_media(
    site: tuple[Site, Publisher], page: PageServer, tmp_path: Path
) -> None:
    _, feed = site
    made_still(tmp_path / "stills" / "a.jpg", 1)
    flash = made_flash(time.time(), "roof", utc=0.0, media=Media(still="stills/a.jpg", clip="clips/gone.mp4"))
    publish_flash(feed, msgspec.structs.replace(flash, state="detected", revision=1, verdict=None, media=Media()))
    publish_flash(feed, flash)
    wait_until(
        lambda: [f for f in page.ask("/api/flashes").json["flashes"] if f["flash"]["revision"] == 2], 10, "it is there"
    )
    (only,) = page.ask("/api/flashes").json["flashes"]
    assert only["flash"]["state"] == "confirmed"
    assert only["media"]["still"] == "/media/test/stills/a.jpg"
    assert only["media"]["clip"] is None
    assert page.ask(only["media"]["still"]).body[:2] == b"\xff\xd8"


def test_flashes_are_filtered_and_a_wrong_filter_is_explained(site: tuple[Site, Publisher], page: PageServer) -> None:
    _, feed = site
    now = time.time()
    for n, camera in enumerate(("roof", "harbour", "roof")):
        publish_flash(feed, made_flash(now - 100 + n, camera, utc=0.0))
    publish_flash(
        feed, made_flash(now - 10, "roof", utc=0.0, state="rejected", reason="it grew slowly (suddenness 0.1)")
    )
    wait_until(lambda: len(page.ask("/api/flashes").json["flashes"]) == 4, 10, "all are there")

    def count(query: str) -> int:
        return len(page.ask(f"/api/flashes?{query}").json["flashes"])

    assert (count("camera=roof"), count("state=confirmed"), count("limit=1")) == (3, 3, 1)
    assert count(f"since={now - 50}") == 1
    assert count(f"since={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now - 50))}") == 1
    assert page.ask("/api/flashes?state=rejected").json["flashes"][0]["words"] == ["it grew slowly"]
    for wrong in (
        "since=yesterday",
        "limit=0",
        "limit=99999999999",
        "state=nonsense",
        "since=nan",
        "limit=1&limit=2",
        "since=1e999",
    ):
        answer = page.ask(f"/api/flashes?{wrong}")
        assert (answer.code, bool(answer.json["error"])) == (400, True)


def test_health_turns_bad_with_a_camera_and_good_again(site: tuple[Site, Publisher], page: PageServer) -> None:
    one, feed = site
    assert page.ask("/health").code == 200
    publish_camera(feed, CameraStatus("roof", "down", time.time(), "roof: the camera closed the connection"))
    wait_until(lambda: page.ask("/health").code == 503, 5, "it is known")
    assert "closed the connection" in page.ask("/health").json["sites"]["test"]["cameras"]["roof"]["text"]
    publish_camera(feed, CameraStatus("roof", "live", time.time()))
    wait_until(lambda: page.ask("/health").code == 200, 5, "it is known")
    one.status = made_status("roof", "harbour", free_mb={"journal": 20, "out": 20})
    wait_until(lambda: page.ask("/health").code == 503, 5, "a full disk is known")


def test_a_camera_that_falls_silent_without_a_word_is_unhealthy(site: tuple[Site, Publisher], page: PageServer) -> None:
    one, _ = site
    one.status = made_status("roof")
    assert page.ask("/health").code == 200
    one.status["cameras"]["roof"] = one.status["cameras"]["roof"] | {"age": 9.0}
    wait_until(lambda: page.ask("/health").code == 503, 5, "it is known")
    assert page.ask("/health").json["sites"]["test"]["cameras"]["roof"]["mark"] == "bad"


def test_a_feed_that_is_not_heard_is_unhealthy_within_five_seconds(tmp_path: Path) -> None:
    one = Site(free_endpoint(), tmp_path / "journal.db")
    with ExitStack() as publishing, serving(one.endpoint) as page:
        publishing.enter_context(Publisher(one.options, event_schema()))
        wait_until(lambda: page.ask("/health").code == 200, 10, "it is well")
        publishing.close()
        wait_until(lambda: page.ask("/health").code == 503, 5, "it is known")
        state = page.ask("/api/state").json
        assert state["sites"][0]["away"] is True
        assert state["cameras"][0]["mark"] == "bad"


def test_metrics_are_read_by_the_reference_parser(site: tuple[Site, Publisher], page: PageServer) -> None:
    _, feed = site
    flash = made_flash(time.time(), "roof", utc=0.0, latency_ms=120.0)
    publish_flash(feed, msgspec.structs.replace(flash, state="detected", revision=1, verdict=None))
    publish_flash(feed, flash)
    wait_until(lambda: ("roof", "confirmed") in metrics(page).get("lightning_flashes_total", {}), 10, "it is counted")
    found = metrics(page)
    assert found["lightning_camera_up"] == {("harbour",): 1, ("roof",): 1}
    assert found["lightning_camera_frames_total"]["roof",] == 1000
    assert 0 <= found["lightning_camera_last_frame_age_seconds"]["roof",] < 5
    assert found["lightning_flashes_total"] == {("roof", "confirmed"): 1, ("roof", "detected"): 1}
    assert found["lightning_detected_latency_seconds_bucket"]["0.1",] == 0
    assert found["lightning_detected_latency_seconds_bucket"]["0.15",] == 1
    assert found["lightning_detected_latency_seconds_count"][()] == 1
    assert found["lightning_free_bytes"]["journal",] == 5e10
    assert (found["lightning_feed_up"][()], found["lightning_feed_durable"][()]) == (1, 1)
    assert found["lightning_feed_sequence"][()] == 2


def test_what_happened_before_the_page_began_is_shown_and_not_counted(tmp_path: Path) -> None:
    one = Site(free_endpoint(), tmp_path / "journal.db")
    with Publisher(one.options, event_schema()) as feed:
        publish_flash(feed, made_flash(time.time(), "roof", utc=0.0))
        with serving(one.endpoint) as page:
            wait_until(lambda: page.ask("/api/flashes").json["flashes"], 10, "it is shown")
            assert "lightning_flashes_total" not in metrics(page)


def test_the_curve_of_a_clip_is_measured_about_its_onset(
    site: tuple[Site, Publisher], page: PageServer, tmp_path: Path
) -> None:
    _, feed = site
    made_clip(tmp_path / "clips" / "a.mp4", before=2.0)
    flash = made_flash(time.time(), "roof", utc=0.0, media=Media(clip="clips/a.mp4"))
    publish_flash(feed, flash)
    wait_until(lambda: page.ask("/api/flashes").json["flashes"], 10, "it is there")
    curve = page.ask(f"/api/flashes/{flash.id}/curve").json
    assert curve["clip_start"] == pytest.approx(-2.0, abs=0.05)
    brightest = curve["seconds"][curve["levels"].index(max(curve["levels"]))]
    assert brightest == pytest.approx(0.0, abs=0.05)
    assert page.ask("/api/flashes/nothing/curve").code == 404


def test_two_sites_are_shown_side_by_side(tmp_path: Path) -> None:
    first, second = Site(free_endpoint(), tmp_path / "a.db"), Site(free_endpoint(), tmp_path / "b.db")
    second.status = made_status("roof") | {"site": "coast"}
    with (
        Publisher(first.options, event_schema()),
        Publisher(replace(second.options, site="coast"), event_schema()),
        serving(first.endpoint, second.endpoint) as page,
    ):
        wait_until(lambda: len(page.ask("/api/cameras").json["cameras"]) == 3, 10, "both are known")
        assert {(c["site"], c["name"]) for c in page.ask("/api/cameras").json["cameras"]} == {
            ("coast", "roof"), ("test", "harbour"), ("test", "roof"),
        }  # fmt: skip
        assert set(page.ask("/health").json["sites"]) == {"coast", "test"}


def test_a_stream_of_events_begins_with_the_state_and_brings_a_flash_at_once(
    site: tuple[Site, Publisher], page: PageServer
) -> None:
    _, feed = site
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    connection.request("GET", "/api/events")
    stream = connection.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")

    def next_event(kind: str) -> Any:
        while True:
            line = stream.readline().decode()
            if line == f"event: {kind}\n":
                return json.loads(stream.readline().decode().removeprefix("data: "))

    assert {c["name"] for c in next_event("state")["cameras"]} == {"roof", "harbour"}
    began = time.monotonic()
    publish_flash(feed, made_flash(time.time(), "roof", utc=0.0))
    assert next_event("flash")["flash"]["camera"] == "roof"
    assert time.monotonic() - began < 1.0
    connection.close()
