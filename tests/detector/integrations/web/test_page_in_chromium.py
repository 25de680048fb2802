"""The live page in a real browser, fed by real feeds: five situations, keys, phones, restarts."""

import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.events import Media, event_schema
from helpers.axe import axe_source, serious_violations
from helpers.chromium import Browser, Page, missing
from helpers.feed import free_endpoint, options_for
from helpers.live_page import PageServer, made_status, publish_camera, publish_flash, serving
from helpers.ports import free_port
from helpers.storms import made_clip, made_flash, made_still
from helpers.waiting import wait_until
from stream import CameraStatus, Publisher

pytestmark = [pytest.mark.web, pytest.mark.skipif(missing() is not None, reason=str(missing()))]
LATE = "late: no verdict within 30 s"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_source(tmp_path_factory.mktemp("axe"))


@dataclass
class Site:
    """A feed of made events, and its page."""

    folder: Path
    endpoint: str = field(default_factory=free_endpoint)
    port: int = field(default_factory=free_port)
    status: dict[str, Any] = field(default_factory=lambda: made_status("roof", "harbour", site="observatory"))
    stack: ExitStack = field(default_factory=ExitStack)
    feed: Publisher | None = None
    page: PageServer | None = None

    def publish(self) -> Publisher:
        options = options_for(self.endpoint, self.folder / "journal.db", site="observatory", status=lambda: self.status)
        self.feed = self.stack.enter_context(Publisher(options, event_schema()))
        return self.feed

    def serve(self) -> PageServer:
        self.page = self.stack.enter_context(serving(self.endpoint, out=self.folder, port=self.port))
        return self.page

    def image(self, camera: str) -> None:
        """Write what `watch` writes of a camera."""
        made_still(self.folder / "live" / f"{camera}.jpg", 3, (480, 270))
        about = {
            "camera": camera,
            "time": time.time(),
            "step_seconds": 0.4,
            "levels": [20.0] * 140 + [90.0] + [20.0] * 9,
        }
        (self.folder / "live" / f"{camera}.json").write_bytes(msgspec.json.encode(about))

    def flash(self, ago: float, camera: str = "roof", **more: Any) -> str:
        """Publish a flash as it would be now, `ago` seconds old, with still and clip; return its id."""
        assert self.feed is not None
        at = time.time() - ago
        flash = made_flash(at, camera, utc=0.0, clock="rtcp", utc_error_ms=3.0, **{"pulses": 2} | more)
        if flash.state == "confirmed":
            name = flash.id.replace(".", "-")
            made_still(self.folder / "stills" / f"{name}.jpg", int(at))
            if not (self.folder / "clips" / "one.mp4").exists():
                made_clip(self.folder / "clips" / "one.mp4", size=(640, 360))
            shutil.copy(self.folder / "clips" / "one.mp4", self.folder / "clips" / f"{name}.mp4")
            flash = msgspec.structs.replace(flash, media=Media(still=f"stills/{name}.jpg", clip=f"clips/{name}.mp4"))
        publish_flash(
            self.feed, msgspec.structs.replace(flash, state="detected", revision=1, verdict=None, media=Media())
        )
        if flash.state != "detected":
            publish_flash(self.feed, flash)
        return flash.id


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    with made.stack:
        yield made


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page of a site; at the end nothing may have failed or been asked for elsewhere."""
    pages: list[tuple[Page, Site]] = []

    def start(site: Site, path: str = "/", *, width: int = 1440, height: int = 900, **features: str) -> Page:
        page = chromium.page()
        page.size(width, height)
        page.media(**{"prefers_color_scheme": "dark", "prefers_reduced_motion": "no-preference"} | features)
        page.open(f"http://127.0.0.1:{site.port}{path}")
        pages.append((page, site))
        return page

    yield start
    for page, site in pages:
        allowed = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
        assert [one for one in page.errors if not (site.page is None and any(word in one for word in allowed))] == []
        here = (f"http://127.0.0.1:{site.port}/", "data:")
        assert [one for one in page.requests if not one.startswith(here)] == []


def text(page: Page, query: str) -> str:
    return str(page.run(f"document.querySelector({query!r})?.textContent ?? ''"))


def count(page: Page, query: str) -> int:
    return int(page.run(f"[...document.querySelectorAll({query!r})].filter(n => n.offsetParent).length"))


def storm(site: Site) -> Site:
    """A site in a storm: six flashes, one of them on both cameras, one rejected, one unverified."""
    site.publish()
    site.image("roof")
    site.image("harbour")
    for ago in (900.0, 420.0, 180.0, 40.0):
        site.flash(ago)
    site.flash(39.9, "harbour")
    site.flash(100.0, "harbour", state="rejected", reason="it shone evenly, as lamps do (steadiness 0.95)")
    site.flash(300.0, "harbour", state="unverified", reason=LATE, probability=None)
    site.serve()
    return site


def test_a_storm_is_shown_with_cameras_flashes_rates_and_health(site: Site, opened: Callable[..., Page]) -> None:
    page = opened(storm(site))
    page.wait("document.querySelectorAll('.fl').length === 6")
    page.wait("document.querySelectorAll('.cam').length === 2")
    assert text(page, "#sv") == "Storm"
    assert page.run("document.title") == "Storm, 3 in 10 min - observatory"
    assert text(page, "#camn") == "2 of 2 live"
    assert "Live" in text(page, "#feed")
    assert "harbour and roof" in text(page, ".item")
    assert text(page, ".item.rejected .why") == "Doubt: it shone evenly, as lamps do"
    assert text(page, ".item.unverified .why").startswith("Not judged: late")
    assert page.run("document.querySelectorAll('#minutes rect').length") >= 3
    assert [text(page, f"#health li:nth-child({n}) span") for n in range(1, 5)] == [
        "Journal",
        "Disk",
        "Verifier",
        "Page",
    ]
    assert count(page, ".trouble") == 0
    page.wait("document.querySelector('.cam img').naturalWidth === 480")
    assert page.run("document.querySelector('.cam .spark path').getAttribute('d').split('L').length") == 150


def test_the_strongest_flashes_come_first_where_that_is_chosen(site: Site, opened: Callable[..., Page]) -> None:
    site.publish()
    for ago, rank in ((900.0, 0.3), (400.0, 0.9), (90.0, 0.6)):
        site.flash(ago, rank=rank)
    site.flash(50.0, state="rejected", rank=0.95)
    site.serve()
    page = opened(site)
    page.wait("document.querySelectorAll('.fl').length === 4")
    newest = page.run("[...document.querySelectorAll('.fl')].map(n => n.dataset.id)")
    page.run("document.querySelectorAll('#order button')[1].click()")
    strongest = page.run("[...document.querySelectorAll('.fl')].map(n => n.dataset.id)")
    assert strongest == [newest[n] for n in (2, 1, 3, 0)]
    page.run("document.querySelectorAll('#order button')[0].click()")
    assert page.run("[...document.querySelectorAll('.fl')].map(n => n.dataset.id)") == newest


def test_a_flash_appears_within_a_second_and_is_confirmed_in_place(site: Site, opened: Callable[..., Page]) -> None:
    site.publish()
    site.serve()
    page = opened(site)
    page.wait("document.querySelectorAll('.cam').length === 2")
    assert "No flash yet" in text(page, ".empty")
    began = time.monotonic()
    flash = site.flash(0.0, state="detected")
    page.wait("document.querySelector('.item.detected')", 5)
    assert time.monotonic() - began < 1.0
    assert "hit" in page.run("document.querySelector('[data-c=\"observatory roof\"]').className")
    assert site.feed is not None
    at = float(flash.split("-")[1].removesuffix("s"))
    publish_flash(site.feed, msgspec.structs.replace(made_flash(at, utc=0.0, camera="roof"), id=flash))
    page.wait("document.querySelector('.item.confirmed')")
    assert count(page, ".item") == 1
    assert "Flash confirmed, roof" in text(page, "#say")


def test_a_flash_opens_in_place_and_plays_its_clip_with_keys_alone(site: Site, opened: Callable[..., Page]) -> None:
    page = opened(storm(site))
    page.wait("document.querySelectorAll('.fl').length === 6")
    page.run("document.querySelectorAll('.fl')[1].focus()")
    page.press("ArrowUp")
    page.press("Enter")
    page.wait(
        "document.querySelector('.player video')?.readyState >= 2 && !document.querySelector('.more video').paused"
    )
    begin = page.run("document.querySelector('.player video').currentTime")
    page.wait(f"Math.abs(document.querySelector('.player video').currentTime - {begin}) > .05")
    assert 1.4 < page.run("document.querySelector('.player video').currentTime") < 3.2  # about the onset at 2 s
    assert page.run("document.querySelector('.scrub canvas').width") > 100
    site.flash(0.0)
    page.wait("!document.querySelector('#held').hidden")
    assert text(page, "#held") == "1 new flash"
    assert page.run("document.querySelector('.player video') !== null")
    page.press("Escape")
    assert page.run("document.querySelector('.more')") is None
    assert page.run("document.activeElement.className").startswith("fl")
    page.run("document.querySelector('#held button').click()")
    assert count(page, ".item") == 7


def test_trouble_says_what_why_and_for_how_long_red_before_amber(site: Site, opened: Callable[..., Page]) -> None:
    feed = storm(site).feed
    page = opened(site)
    page.wait("document.querySelectorAll('.cam').length === 2")
    assert feed is not None
    for camera, state in (("roof", "down"), ("harbour", "stalled")):
        site.status["cameras"][camera] = site.status["cameras"][camera] | {"state": state}
    publish_camera(feed, CameraStatus("harbour", "stalled", time.time() - 9, "harbour: no frame for 6 s"))
    publish_camera(feed, CameraStatus("roof", "down", time.time() - 70, "the camera refused the connection"))
    site.status = site.status | {"free_mb": {"journal": 50, "out": 50}}
    page.wait("document.querySelectorAll('.trouble').length === 3", 10)
    marks = page.run("[...document.querySelectorAll('.trouble')].map(n => n.className)")
    assert marks == ["trouble bad", "trouble bad", "trouble warn"]
    assert "refused the connection" in text(page, ".trouble")
    assert text(page, ".trouble time").startswith("for 1 min 1")
    assert text(page, "#camn") == "0 of 2 live"
    assert "down for" in text(page, ".cam.down .tag")


def test_a_lost_feed_says_was_live_and_not_live(site: Site, opened: Callable[..., Page]) -> None:
    with ExitStack() as publishing:
        site.stack, outer = publishing, site.stack
        site.publish()
        site.stack = outer
        site.serve()
        page = opened(site)
        page.wait("document.querySelectorAll('.cam').length === 2")
    page.wait("document.body.classList.contains('stale')", 10)
    assert "lost, reconnecting" in text(page, ".trouble")
    assert text(page, "#camn") == "state not known"
    assert text(page, ".cam .tag") == "was live"
    assert text(page, "#sk").startswith("As of ")
    site.publish()
    page.wait("!document.body.classList.contains('stale')", 15)
    assert count(page, ".trouble") == 0


def test_the_page_survives_its_own_restart_and_that_of_watch(site: Site, opened: Callable[..., Page]) -> None:
    first = ExitStack()
    site.stack, outer = first, site.stack
    site.publish()
    site.flash(30.0)
    site.serve()
    page = opened(site)
    page.wait("document.querySelectorAll('.fl').length === 1")
    first.close()
    site.page = None
    page.wait("document.querySelector('.trouble')?.textContent.includes('Page lost')", 15)
    site.stack = outer
    site.publish()
    site.flash(1.0)
    page_server = site.serve()
    page.wait("document.querySelectorAll('.fl').length + (document.querySelector('#held').hidden ? 0 : 1) === 2", 20)
    page.wait("!document.querySelector('.trouble')", 10)
    assert page_server.process.poll() is None
    site.page = None  # what the browser said about the time between is allowed


def test_before_anything_is_heard_it_says_so(site: Site, opened: Callable[..., Page]) -> None:
    site.serve()
    page = opened(site)
    page.wait("document.querySelector('.trouble')", 10)
    assert "No feed at" in text(page, ".trouble")
    assert text(page, "#sv") == "Quiet"


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_no_width_scrolls_sideways_open_or_not(site: Site, opened: Callable[..., Page], width: int) -> None:
    site.status = made_status("a-name-of-thirty-two-letters-xxx", "roof", "harbour", site="observatory")
    page = opened(storm(site), width=width, height=844)
    page.wait("document.querySelectorAll('.fl').length === 6")
    assert page.run("document.documentElement.scrollWidth") == width
    page.run("document.querySelector('.fl').click()")
    page.wait("document.querySelector('.player')")
    assert page.run("document.documentElement.scrollWidth") == width


def test_local_times_become_utc_everywhere(site: Site, opened: Callable[..., Page]) -> None:
    page = opened(storm(site))
    page.wait("document.querySelectorAll('.fl').length === 6")
    page.run("document.querySelectorAll('#zone button')[1].click()")
    utc = text(page, ".fl .tm b")[:5]
    page.run("document.documentElement.dataset.zone = 'Asia/Kolkata'; document.querySelector('#zone button').click()")
    local = text(page, ".fl .tm b")[:5]
    minutes = [int(t[:2]) * 60 + int(t[3:]) for t in (local, utc)]
    assert (minutes[0] - minutes[1]) % 1440 == 330


def test_a_polygon_drawn_with_mouse_or_keys_gives_lines_that_the_program_reads(
    site: Site, opened: Callable[..., Page]
) -> None:
    storm(site)
    page = opened(site, "/mask?camera=roof")
    page.wait("document.querySelector('#image').width >= 960")
    left, top, wide, high = page.run(
        "(b => [b.left, b.top, b.width, b.height])(document.querySelector('#image').getBoundingClientRect())"
    )
    for x, y in ((0.5, 0.5), (0.9, 0.5), (0.9, 0.9), (0.5, 0.5)):
        place = (left + x * wide, top + y * high)
        page.drag(place, place)
    mask = tomllib.loads(page.run("document.querySelector('#toml').value"))["mask"]
    assert [[round(v, 1) for v in corner] for corner in mask[0]["polygon"]] == [[0.5, 0.5], [0.9, 0.5], [0.9, 0.9]]
    assert "8" in text(page, "#share")
    page.run("document.querySelector('#image').focus()")
    for key in (" ", "ArrowUp", " ", "ArrowLeft", " ", "Enter"):
        page.press(key)
    mask = tomllib.loads(page.run("document.querySelector('#toml').value"))["mask"]
    assert mask[1]["polygon"] == [[0.5, 0.5], [0.5, 0.49], [0.49, 0.49]]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_nothing_serious_stands_in_the_way_of_anybody(
    site: Site, opened: Callable[..., Page], axe: str, scheme: str
) -> None:
    page = opened(storm(site), prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    page.wait("document.querySelectorAll('.fl').length === 6 && document.querySelectorAll('.cam').length === 2")

    assert serious_violations(page, axe) == []
    page.run("document.querySelector('.fl').click()")
    page.wait("document.querySelector('.player')")
    assert serious_violations(page, axe) == []
    assert site.feed is not None
    publish_camera(site.feed, CameraStatus("roof", "down", time.time() - 70, "the camera refused the connection"))
    page.wait("document.querySelector('.trouble')")
    assert serious_violations(page, axe) == []
    mask = opened(site, "/mask", prefers_color_scheme=scheme)
    mask.wait("document.querySelector('#image').width >= 960")
    assert serious_violations(mask, axe) == []


def test_forty_cameras_are_shown_and_kept_up_to_date(site: Site, opened: Callable[..., Page]) -> None:
    names = [f"camera-{n:02d}" for n in range(40)]
    site.status = made_status(*names, site="observatory")
    site.publish()
    page_server = site.serve()
    wait_until(lambda: len(page_server.ask("/api/cameras").json["cameras"]) == 40, 10, "all are known")
    page = opened(site)
    page.wait("document.querySelectorAll('.cam').length === 40")
    shown = page.run("[...document.querySelectorAll('.cam')].map(n => n.textContent)")
    assert [name for name in names if not any(name in one for one in shown)] == []
    assert text(page, "#camn") == "40 of 40 live"
    site.status["cameras"]["camera-07"] = site.status["cameras"]["camera-07"] | {"state": "down"}
    page.wait("document.querySelectorAll('.cam.down').length === 1", 8)
    assert "camera-07" in text(page, ".cam.down")
    assert text(page, "#camn") == "39 of 40 live"
