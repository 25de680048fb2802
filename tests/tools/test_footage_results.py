"""Results kept beside clips are found again, and told apart when something changes."""

import json
from pathlib import Path

import pytest

from accuracy.footage import labelled_clips, read_golden, watch_clip, write_golden
from helpers.media import Clip, make_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled folder with one made clip of a flash at 2.4 s, and one that is not there."""
    place = tmp_path_factory.mktemp("footage")
    make_clip(place / "made.mp4", Clip(seconds=4, flashes=(60, 61)))
    labels = {
        "made.mp4": {"kind": "positive", "class": "storm", "flashes": [[2.4, 2.48]], "pulses": [[2.4, 2.48]]},
        "away.mp4": {"kind": "negative"},
    }
    (place / "labels.json").write_text(json.dumps(labels))
    return place


def test_a_clip_is_scored_by_its_labels_and_its_results_are_kept_beside_it(folder: Path) -> None:
    (path,) = labelled_clips(folder)
    clip = watch_clip(path)
    assert clip.labels.category == "storm"
    assert (clip.candidates.found, clip.candidates.found_pulses, clip.candidates.false_alarms) == (1, 1, 0)
    assert read_golden(folder) is None
    kept = write_golden(folder, [clip])
    assert read_golden(folder) == {"made.mp4": clip.flashes}
    kept.write_text(kept.read_text().replace('"probability": 0.', '"probability": 0.0'))
    assert read_golden(folder) != {"made.mp4": clip.flashes}
