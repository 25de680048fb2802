"""Which node of a cluster has which camera, and what a node is told."""

import tomllib
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from detector.run.cameras import load_cameras
from detector.run.cluster_watch import settings_text, spread
from detector.settings import read_table

NAMES = ("a", "b", "c", "d", "e", "f")


@pytest.mark.parametrize(
    ("cores", "counts"),
    [
        ({"x": 4.0, "y": 4.0}, {"x": 3, "y": 3}),
        ({"x": 8.0, "y": 4.0}, {"x": 4, "y": 2}),
        ({"x": 1.0}, {"x": 6}),
        ({"x": 16.0, "y": 1.0}, {"x": 6}),
    ],
)
def test_each_node_has_as_many_cameras_for_its_cores(cores: dict[str, float], counts: dict[str, int]) -> None:
    assert Counter(spread(NAMES, cores, {}).values()) == counts


def test_the_cameras_of_a_lost_node_move_and_no_others() -> None:
    before = spread(NAMES, {"x": 2.0, "y": 2.0, "z": 2.0}, {})
    after = spread(NAMES, {"x": 2.0, "y": 2.0}, before)
    assert Counter(after.values()) == {"x": 3, "y": 3}
    assert all(after[name] == before[name] for name in NAMES if before[name] != "z")


def test_a_node_that_joins_takes_its_share_and_the_others_keep_the_rest() -> None:
    before = spread(NAMES, {"x": 2.0}, {})
    after = spread(NAMES, {"x": 2.0, "y": 2.0}, before)
    assert Counter(after.values()) == {"x": 3, "y": 3}
    assert spread(NAMES, {"x": 2.0, "y": 2.0}, after) == after


def test_without_a_node_cameras_wait_and_all_are_taken_by_the_first_that_comes() -> None:
    nowhere = spread(NAMES, {}, {"a": "x"})
    assert set(nowhere.values()) == {""}
    assert set(spread(NAMES, {"y": 2.0}, nowhere).values()) == {"y"}


def test_a_node_reads_the_settings_and_cameras_that_were_read_here(tmp_path: Path) -> None:
    written = tmp_path / "cameras.toml"
    written.write_text(
        '[capture]\nfast = true\n[served]\nendpoint = "http://{HOST}:8000/v1"\n'
        '[[camera]]\nname = "roof"\nurl = "rtsp://joe:{PASSWORD}@host/cam"\nmask = [{ box = [0, 0, 0.5, 0.1] }]\n'
        'transport = "udp"\nprefilter = { gap_seconds = 0.4 }\n'
        '[[camera]]\nname = "yard"\nurl = "rtsp://host/\\u00e4"\nregion = [0.1, 0.2, 0.9, 1.0]\n'
    )
    settings, cameras = load_cameras([("here", read_table(written))], {"PASSWORD": 'p{HOST}"\\'})
    text = settings_text(settings, "site-10-0-0-2", cameras)
    there, read = load_cameras([("there", tomllib.loads(text))], {})
    assert there.feed.site == "site-10-0-0-2"
    assert msgspec.structs.replace(there, feed=settings.feed) == settings
    assert [(one.name, one.address, one.mask, one.region) for one in read] == [
        (one.name, one.address, one.mask, one.region) for one in cameras
    ]
    assert [(one.capture, one.settings.prefilter) for one in read] == [
        (one.capture, one.settings.prefilter) for one in cameras
    ]
