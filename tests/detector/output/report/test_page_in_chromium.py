"""report.html in a real browser: nothing fails, nothing is asked for elsewhere, and the keys do what they say."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from detector.output.report.page import build_report
from helpers.axe import axe_source, serious_violations
from helpers.chromium import Browser, Page, missing
from helpers.storms import MadeRun, long_storm, made_flash, write_curve

pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
BERLIN = ZoneInfo("Europe/Berlin")
LOAD_SECONDS = 2.0
ACTIVE = "document.activeElement.closest('.card')?.id"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_source(tmp_path_factory.mktemp("axe"))


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """Two cameras, six confirmed flashes, two of one instant, one rejected, one without a verdict."""
    made = MadeRun(tmp_path_factory.mktemp("storm"))
    for at, camera in (
        (5.0, "ridge"),
        (12.0, "ridge"),
        (20.0, "harbour"),
        (30.0, "ridge"),
        (30.1, "harbour"),
        (44.0, "ridge"),
    ):
        made.add(made_flash(at, camera, pulses=2), still=True, clip=True)
    made.add(made_flash(50.0, "ridge", state="rejected", reason="it grew slowly (suddenness 0.1)"))
    made.add(made_flash(55.0, "ridge", state="unverified", reason="the model did not answer", probability=None))
    made.write()
    for camera in ("ridge", "harbour"):
        write_curve(made.folder, camera, 60, made.flashes)
    return made


@pytest.fixture(scope="module")
def report(storm: MadeRun) -> Path:
    return build_report(storm.folder, zone=BERLIN)


@pytest.fixture
def opened(chromium: Browser, report: Path) -> Iterator[Callable[..., Page]]:
    """Opens the report; at the end no page may have failed or asked for anything elsewhere."""
    pages: list[Page] = []

    def start(hash_: str = "", *, width: int = 1440, height: int = 900, **features: str) -> Page:
        page = chromium.page()
        page.size(width, height)
        page.media(**features)
        page.open(report.as_uri() + hash_)
        pages.append(page)
        return page

    yield start
    for page in pages:
        assert page.errors == []
        assert [one for one in page.requests if not one.startswith(("file://", "data:"))] == []


def count(page: Page, query: str) -> int:
    return int(page.run(f"[...document.querySelectorAll({query!r})].filter(n => n.offsetParent).length"))


def test_the_first_view_shows_confirmed_flashes_by_rank(opened: Callable[..., Page]) -> None:
    page = opened()
    assert count(page, ".card") == 6
    ranks = page.run("[...document.querySelectorAll('.card:not([hidden]) .rank')].map(n => n.textContent)")
    assert ranks == [f"#{n}" for n in range(1, 7)]
    assert count(page, ".mk") == 8
    assert page.run("document.querySelector('#count').textContent") == "6 of 6 shown"


def test_the_curve_is_drawn_and_hatched_where_nothing_was_recorded(opened: Callable[..., Page]) -> None:
    page = opened(prefers_color_scheme="dark")
    assert page.run("document.querySelector('#plot canvas').width") > 1000
    drawn = """(() => { const c = document.querySelector('#plot canvas'), w = c.width, h = c.height * .6 | 0;
        const d = c.getContext('2d').getImageData(0, 0, w, h).data, n = [0, 0];
        for (const [i, x0] of [[0, .088], [1, .3]]) for (let y = 0; y < h; y++)
            for (let x = x0 * w | 0; x < (x0 + .008) * w; x++)
            n[i] += d[(y * w + x) * 4 + 3] > 0;
        return n; })()"""
    before_the_recording, in_it = page.run(drawn)
    assert before_the_recording > 2 * in_it


def test_the_whole_way_with_keys_alone(opened: Callable[..., Page]) -> None:
    page = opened(prefers_reduced_motion="reduce")
    page.run("document.querySelector('.shot[tabindex=\"0\"]').focus()")
    first = page.run(ACTIVE)
    page.press("ArrowRight")
    second = page.run(ACTIVE)
    assert second != first
    page.press("Enter")
    page.wait("document.querySelector('.detail video')?.readyState >= 2")
    assert page.run("location.hash") == f"#{second}"
    assert page.run("document.querySelector('video').paused") is True
    page.press(" ")
    page.wait("!document.querySelector('video').paused")
    page.press(" ")
    page.wait("document.querySelector('video').paused")
    page.run("document.querySelector('video').currentTime = 1")
    page.wait("!document.querySelector('video').seeking")
    page.press(".")
    page.wait("Math.abs(document.querySelector('video').currentTime - 1.05) < .011")
    page.press(",")
    page.wait("Math.abs(document.querySelector('video').currentTime - 1.01) < .011")
    page.press("j")
    assert page.run("document.querySelector('.card.open').id") not in (first, second)
    page.press("Escape")
    assert page.run("document.querySelector('.detail')") is None
    assert page.run("document.activeElement.className") == "shot"
    page.press("?", shift=True)
    assert page.run("document.querySelector('#help').open") is True


def test_a_clip_starts_right_before_its_flash_and_repeats_it_slowly(
    opened: Callable[..., Page], storm: MadeRun
) -> None:
    page = opened("#" + storm.flashes[0].id)
    page.wait("document.querySelector('video')?.readyState >= 2 && !document.querySelector('video').paused")
    assert page.run("document.querySelector('video').playbackRate") == 0.25
    assert 1.5 < page.run("document.querySelector('video').currentTime") < 3.0
    page.run("[...document.querySelectorAll('.trans button')].at(-1).click()")
    page.wait("!document.querySelector('video').seeking")
    assert page.run("document.querySelector('video').currentTime") == pytest.approx(2.0, abs=0.05)


def test_an_address_with_an_id_opens_that_flash_rejected_ones_too(opened: Callable[..., Page], storm: MadeRun) -> None:
    page = opened("#" + storm.flashes[3].id)
    assert page.run("document.querySelector('.card.open').id") == storm.flashes[3].id
    page = opened("#" + storm.flashes[6].id)
    assert page.run("document.querySelector('#rejected').open") is True
    assert page.run("document.activeElement.id") == storm.flashes[6].id


def test_a_storm_is_a_bar_over_the_marks_and_its_line_zooms_to_it(opened: Callable[..., Page]) -> None:
    page = opened()
    bar, first, last = page.run(
        """['.storm', '.mk[data-id^="ridge-5."]', '.mk[data-id^="ridge-44."]'].map(query => {
        const box = document.querySelector(query).getBoundingClientRect(); return [box.left, box.right]; })"""
    )
    assert first[0] <= bar[0] <= first[1]
    assert last[0] <= bar[1] <= last[1]
    line = "document.querySelector('#storms li').textContent"
    assert page.run(line).startswith("21:14:25 to 21:15:04")
    page.run("document.querySelector('#storms button').click()")
    assert page.run("document.querySelector('#inview').hidden") is False


def test_dragging_in_the_plot_zooms_and_filters_the_grid(opened: Callable[..., Page]) -> None:
    page = opened()
    page.run("window.box = document.querySelector('#plot canvas').getBoundingClientRect()")
    left, top, wide = page.run("[box.left, box.top, box.width]")
    page.drag((left + 0.12 * wide, top + 60), (left + 0.35 * wide, top + 60))
    assert 0 < count(page, ".card") < 6
    assert page.run("document.querySelector('#inview').hidden") is False
    page.press("0")
    assert count(page, ".card") == 6


def test_filters_say_when_nothing_matches_and_how_to_get_back(opened: Callable[..., Page]) -> None:
    page = opened()
    for _ in range(2):
        page.run("document.querySelector('#cams [aria-pressed=true]').click()")
    assert count(page, ".card") == 0
    assert "No flash matches" in page.run("document.querySelector('.empty').textContent")
    page.run("document.querySelector('.empty button').click()")
    assert count(page, ".card") == 6
    page.run("document.querySelector('#state [data-v=unverified]').click()")
    assert count(page, ".card") == 1


def test_local_times_become_utc_everywhere(opened: Callable[..., Page]) -> None:
    page = opened()
    assert page.run("document.querySelector('.card .t b').textContent").startswith("21:")
    page.run("document.querySelectorAll('#zone button')[1].click()")
    assert {
        text[:2] for text in page.run("[...document.querySelectorAll('time[data-t]')].map(n => n.textContent)")
    } == {"19"}
    assert "local" not in page.run("document.querySelector('#when').textContent")


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_no_width_scrolls_sideways_open_or_not(opened: Callable[..., Page], width: int) -> None:
    page = opened(width=width, height=844)
    assert page.run("document.documentElement.scrollWidth") == width
    page.run("document.querySelector('.shot').click()")
    assert page.run("document.documentElement.scrollWidth") == width


def test_an_inline_page_works_under_its_own_policy(chromium: Browser, storm: MadeRun) -> None:
    page = chromium.page()
    page.open(build_report(storm.folder, zone=BERLIN, inline=True, target=storm.folder / "inline.html").as_uri())
    assert count(page, ".mk") == 8
    assert page.errors == []


def test_a_storm_across_the_change_to_winter_time_shows_both_offsets(chromium: Browser, tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    change = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()  # 03:00 becomes 02:00
    for at in (-600.0, 600.0):
        made.add(made_flash(700 + at, utc=change - 700))
    page = chromium.page()
    page.open(build_report(made.write(), zone=BERLIN).as_uri())
    texts = page.run("[...document.querySelectorAll('.card .t b')].map(n => n.textContent).sort()")
    assert texts == ["02:10:00.000", "02:50:00.000"]
    assert page.errors == []


def test_a_storm_of_300_flashes_in_two_hours_loads_in_two_seconds(chromium: Browser, tmp_path: Path) -> None:
    report = build_report(long_storm(tmp_path), zone=BERLIN)
    page = chromium.page()
    page.size(1440, 900)
    seconds = min(page.open(report.as_uri()) for _ in range(3))
    assert count(page, ".card") == 300
    assert page.errors == []
    assert seconds < LOAD_SECONDS


def test_a_run_without_times_of_day_offers_no_zones(chromium: Browser, tmp_path: Path) -> None:
    made = MadeRun(tmp_path)
    made.add(made_flash(65.5, "storm", file="storm.mp4", utc=None))
    page = chromium.page()
    page.open(build_report(made.write(), zone=BERLIN).as_uri())
    assert page.run("document.querySelector('#zone').hidden") is True
    assert page.run("document.querySelector('.mk .sr').textContent") == "confirmed flash at 1:05.500, storm"
    assert page.errors == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_nothing_serious_stands_in_the_way_of_anybody(
    opened: Callable[..., Page], axe: str, storm: MadeRun, scheme: str
) -> None:
    page = opened(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    assert serious_violations(page, axe) == []
    page = opened("#" + storm.flashes[6].id, prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    page.run("document.querySelector('.shot').click()")
    page.wait("document.querySelector('.detail video')?.readyState >= 2")
    assert serious_violations(page, axe) == []
