"""The page that `tune` writes, as a file and in a real browser."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import OutputError
from detector.evaluate.diagnose import Trace, near_misses, trace_frames
from detector.evaluate.tune_images import NearFrames
from detector.evaluate.tune_page import write_page
from detector.settings import Settings, load_settings
from helpers.axe import axe_source, serious_violations
from helpers.chromium import Browser, Page, missing
from helpers.scenes import Picture, frames, lit, patch, sky_light

SETTINGS = load_settings()
in_chromium = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def evening(when: float, quiet: Picture) -> Picture:
    """A flash, a lamp that comes on with the next one, a lamp that blinks, and a light that is nearly found."""
    picture = lit((2.0, 2.08))(when, quiet)
    picture = lit((6.0, 6.08), light=sky_light(120))(when, lit((6.08, 99.0), light=sky_light(24))(when, picture))
    picture = lit((10.0, 10.4), light=patch(90, (150, 175), (100, 150)))(when, picture)
    return lit((14.0, 14.04), light=sky_light(1.9))(when, picture)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return trace_frames("roof", frames(evening, seconds=17), SETTINGS, images=True)


@pytest.fixture(scope="module")
def page_file(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tune") / "roof.html"
    write_page(trace, SETTINGS, path, "roof <b>", ["# worth trying", "prefilter.min_rise_levels = 1"])
    return path


def data_of(path: Path) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())
    read: dict[str, Any] = json.loads(text)
    return read


def test_the_page_holds_what_was_found_nearly_found_and_cut_away(page_file: Path, trace: Trace) -> None:
    lights = data_of(page_file)["lights"]
    assert [(one["state"], round(one["a"], 2)) for one in lights] == [
        ("confirmed", 2.0),
        ("confirmed", 6.0),
        ("rejected", 10.0),
        ("near", 14.0),
    ]
    assert [one["cut"] and round(one["cut"], 2) for one in lights] == [None, 6.08, None, None]
    text = page_file.read_text()
    assert "Cut away: light from 0:06.080 on" in text
    assert str(trace.found[2].verdict.reason).partition(" (")[0] in text
    assert "of the strength needed" in text


def test_every_light_has_its_frames_and_nothing_lies_outside_the_file(page_file: Path) -> None:
    articles = page_file.read_text().split("<article ")[1:]
    assert [article.count("<img ") for article in articles] == [3, 3, 3, 1]
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page_file.read_text())
    assert all(one.startswith(("data:image/", "#")) for one in addresses)


def test_a_lights_clues_say_what_each_adds_to_the_log_odds_and_the_sum_is_its_verdict(
    page_file: Path, trace: Trace
) -> None:
    article = page_file.read_text().split("<article ")[3]
    added = [float(one) for one in re.findall(r"<td>([+-]\d+\.\d\d)</td>", article)]
    probability = 1 / (1 + np.exp(-sum(added)))
    assert probability == pytest.approx(trace.found[2].verdict.probability, abs=0.01)
    assert added[1:] == sorted(added[1:])


def test_a_name_from_outside_stays_text(page_file: Path) -> None:
    assert "<h1>roof &lt;b&gt;</h1>" in page_file.read_text()


def test_a_long_recording_keeps_every_frame_about_lights_alone(tmp_path: Path) -> None:
    count = 25 * 3600 * 2
    seconds = np.arange(count) / 25
    calm = np.zeros(count)
    strength = calm.copy()
    strength[90_000] = 0.8
    long = Trace(seconds, strength, calm + 1, calm + 20, 3.0, (), {})
    assert near_misses(long, SETTINGS.prefilter) == [90_000]
    write_page(long, SETTINGS, tmp_path / "long.html", "long", [])
    assert (tmp_path / "long.html").stat().st_size < 1_000_000
    (piece, *_) = (one["piece"] for one in data_of(tmp_path / "long.html")["curves"])
    assert len(piece["t"]) * 3 // 4 // 4 == pytest.approx(100, abs=3)


def test_a_recording_without_a_frame_makes_a_page_too(tmp_path: Path) -> None:
    nothing = trace_frames("roof", [], Settings(), images=True)
    write_page(nothing, Settings(), tmp_path / "x.html", "roof", [])
    assert "Nothing was found, nor nearly" in (tmp_path / "x.html").read_text()


def test_of_what_was_nearly_found_only_the_strongest_keep_an_image() -> None:
    many = NearFrames(gap_seconds=0.5)
    for number, frame in enumerate(frames(lambda _when, quiet: quiet, seconds=620, rate=1)):
        many.see(number, frame, 0.5 + number / 10_000)
    assert sorted(many.images()) == list(range(320, 620))


def test_a_page_that_cannot_be_written_is_one_line(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the page: No such file"):
        write_page(trace, SETTINGS, tmp_path / "nowhere" / "x.html", "roof", [])


def test_an_image_without_matplotlib_says_what_to_install_before_a_frame_is_read(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\nfrom detector.cli.main import main\n"
        "sys.exit(main(['tune', '/nowhere/storm.mp4', '--png', 'x.png']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'lightning-detector[plot]'" in done.stderr


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def opened(chromium: Browser, page_file: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page; at the end none may have failed or asked for anything."""
    pages: list[Page] = []

    def start(*, width: int = 1440, **features: str) -> Page:
        page = chromium.page()
        page.size(width, 844)
        page.media(**features)
        page.open(page_file.as_uri())
        pages.append(page)
        return page

    yield start
    for page in pages:
        assert page.errors == []
        assert [one for one in page.requests if not one.startswith(("file://", "data:"))] == []


INK = """(() => { const c = document.querySelector('#plot canvas'), whole = [0, 0, c.width, c.height];
    return c.getContext('2d').getImageData(...whole).data.filter((v, i) => i % 4 === 3 && v).length; })()"""
DRAWN = "document.querySelector('#plot canvas').toDataURL()"
SHOWN = "[...document.querySelectorAll('.light')].filter(n => n.offsetParent).length"


@in_chromium
@pytest.mark.slow
def test_the_curve_is_drawn_and_every_light_has_its_mark(opened: Callable[..., Page]) -> None:
    page = opened()
    assert page.run(INK) > 5000
    lanes = page.run("[...document.querySelectorAll('.lane')].map(n => n.textContent)")
    assert [one.partition("found")[0] for one in lanes][1:] == ["nearly ", "cut awaylight cut away from 0:06.080 on"]
    assert page.run("document.querySelectorAll('.mk').length") == 5


@in_chromium
@pytest.mark.slow
def test_zooming_in_leaves_the_lights_in_view_and_keys_walk_them(opened: Callable[..., Page]) -> None:
    page = opened(prefers_reduced_motion="reduce")
    assert page.run(SHOWN) == 4
    page.run("document.querySelector('.light:nth-of-type(2) .look').click()")
    assert page.run(SHOWN) == 1
    assert page.run("document.querySelector('#inview').textContent").startswith("0:04.0 to 0:08.1")
    page.press("0")
    assert page.run(SHOWN) == 4
    page.press("j")
    assert page.run("document.activeElement.id") == page.run("document.querySelector('.light:nth-of-type(3)').id")
    page.run("document.querySelector('#state [data-v=near]').click()")
    assert page.run(SHOWN) == 1
    before = page.run(DRAWN)
    page.run("document.querySelectorAll('#measure button')[2].click()")
    assert page.run(DRAWN) != before


@in_chromium
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_nothing_serious_stands_in_the_way_of_anybody(opened: Callable[..., Page], scheme: str, tmp_path: Path) -> None:
    axe = axe_source(tmp_path)
    page = opened(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    page.run("document.querySelectorAll('details').forEach(n => n.open = true)")
    assert serious_violations(page, axe) == []


@in_chromium
@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 1440])
def test_no_width_scrolls_sideways(opened: Callable[..., Page], width: int) -> None:
    page = opened(width=width)
    page.run("document.querySelectorAll('details').forEach(n => n.open = true)")
    page.wait(f"document.documentElement.scrollWidth === {width}")  # the canvas follows the width a frame later
