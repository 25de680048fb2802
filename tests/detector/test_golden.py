"""Results on made clips, kept as data: no move, rename or faster way changes them unseen."""

import json
from pathlib import Path
from typing import Any

import pytest

from detector import find_flashes
from detector.cli.main import main
from helpers.golden import golden_results, make_golden_clips

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    make_golden_clips(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(GOLDEN)
    return folder


def assert_golden(clip: str, results: list[dict[str, Any]]) -> None:
    """Seconds as they are, probability to 1e-4."""
    assert len(results) == len(GOLDEN[clip]), f"{clip}: {results}"
    for result, golden in zip(results, GOLDEN[clip], strict=True):
        assert result == golden | {"probability": pytest.approx(golden["probability"], abs=1e-4)}, clip


def test_replay_finds_in_made_clips_what_it_always_found(clips: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(clips), "--json", "--verifier", "photometric", "--quiet"]) == 0
    results = golden_results(json.loads(line)["data"] for line in capfd.readouterr().out.splitlines())
    for clip in GOLDEN:
        assert_golden(clip, results.get(clip, []))


def test_the_library_finds_in_made_clips_what_replay_finds(clips: Path) -> None:
    for clip in GOLDEN:
        flashes = [flash.to_dict() for flash in find_flashes(clips / clip, rejected=True)]
        assert_golden(clip, golden_results(flashes).get(clip, []))
