"""Pictures and films to share: what they show, and what is left out."""

from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import numpy as np
import pytest
from PIL import Image

from detector.errors import OutputError
from detector.output.report.model import Report, make_report
from detector.output.report.source import read_run
from detector.output.share import ShareOptions, is_washed_out, share_composites, share_films, share_reel
from helpers.storms import MadeRun, made_flash


def report_of(run: MadeRun) -> Report:
    return make_report(read_run(run.write()), ZoneInfo("Europe/Berlin"))


def levels(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]


def test_a_composite_holds_every_bolt_and_no_washed_out_still(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    for n in range(4):
        run.add(made_flash(5.0 + 10 * n), still=True)
    white = run.add(made_flash(60.0, rise=250.0), still=True)
    Image.new("RGB", (640, 360), (255, 255, 255)).save(tmp_path / str(white.media.still))
    (path,) = share_composites(report_of(run), ShareOptions(best=10))
    made = np.asarray(Image.open(path).convert("L"), np.int16)
    assert made.mean() < 60
    for flash in run.flashes[:4]:
        still = np.asarray(Image.open(tmp_path / str(flash.media.still)).convert("L"), np.int16)
        assert made[still > 200].min() > 150


def test_a_composite_of_each_hour_is_made_where_a_storm_lasts_longer(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    for hour in (0, 1):
        for n in range(2):
            run.add(made_flash(5.0 + 10 * n + 3600 * hour), still=True)
    names = [path.name for path in share_composites(report_of(run), ShareOptions())]
    assert names == [
        "composite-west-ridge.jpg",
        "composite-west-ridge-2026-07-14-19h.jpg",
        "composite-west-ridge-2026-07-14-20h.jpg",
    ]


def test_a_white_still_is_known_and_a_dark_one_with_a_lamp_is_not() -> None:
    dark = np.full((100, 100, 3), 20, np.uint8)
    lamp = dark.copy()
    lamp[:20, :20] = 255
    assert is_washed_out(np.full((100, 100, 3), 255, np.uint8))
    assert not is_washed_out(lamp)


def test_a_film_slows_the_stroke_and_lets_it_glow(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.add(made_flash(5.0), clip=True)
    plain, slow = (
        levels(share_films(report_of(run), ShareOptions(slow=times))[0]) for times in (1.0, 4.0)
    )  # fmt: skip
    assert len(slow) > len(plain) + 3 * 0.4 * 25
    assert max(slow) > 120
    lit = [n for n, level in enumerate(slow) if level > 60]
    assert lit == list(range(lit[0], lit[-1] + 1))
    assert len(lit) > 8
    assert slow[-1] < 40


def test_a_reel_shows_the_best_in_the_order_of_time(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    for at, rise in ((5.0, 60.0), (25.0, 200.0), (45.0, 120.0)):
        run.add(made_flash(at, rise=rise), clip=True)
    path = share_reel(report_of(run), ShareOptions(best=2))
    assert path is not None
    bright = [level > 100 for level in levels(path)]
    assert sum(now and not before for before, now in pairwise(bright)) == 2


def test_a_webp_moves(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.add(made_flash(5.0), clip=True)
    (path,) = share_films(report_of(run), ShareOptions(format="webp"))
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) > 20


def test_without_clips_there_is_no_reel_and_a_flash_that_is_not_there_is_named(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    run.add(made_flash(5.0), still=True)
    report = report_of(run)
    assert share_reel(report, ShareOptions()) is None
    assert share_composites(report, ShareOptions()) == []
    with pytest.raises(OutputError, match="no-such-id: no flash of that id with a clip"):
        share_films(report, ShareOptions(), "no-such-id")
    assert not (tmp_path / "share").exists()


def test_half_a_film_is_never_left(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    flash = run.add(made_flash(5.0), clip=True)
    report = report_of(run)
    clip = tmp_path / str(flash.media.clip)
    clip.write_bytes(clip.read_bytes()[:1500])
    with pytest.raises(OutputError, match="cannot be made"):
        share_films(report, ShareOptions())
    assert list((tmp_path / "share").iterdir()) == []
