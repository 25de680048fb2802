"""How labels are read, and what is refused."""

from pathlib import Path

import pytest

from detector.errors import LabelsError
from detector.evaluate.labels import ClipLabels, read_labels


def test_a_clip_that_begins_inside_a_flash_says_so() -> None:
    assert ClipLabels(kind="positive", flashes=((0.0, 2.0),)).begins_inside
    assert not ClipLabels(kind="positive", flashes=((0.033, 2.0),)).begins_inside


@pytest.mark.parametrize(("content", "part"), [(b"[]", "not labels"), (b"{", "not labels"), (None, "cannot read")])
def test_bad_labels_are_named(tmp_path: Path, content: bytes | None, part: str) -> None:
    path = tmp_path / "labels.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LabelsError, match=part) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_labels_may_have_keys_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"a.mp4": {"kind": "negative", "notes": "fog", "camera": {"lens_mm": 4}, "fps": 25}}')
    assert read_labels(path)["a.mp4"].kind == "negative"


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        ('"kind": "positive", "flashs": [[1, 2]]', "`flashs` is like `flashes`"),
        ('"kind": "postive", "flashes": [[1, 2]]', "'postive'"),
        ('"kind": "negative", "flashes": [[1, 2]]', "a negative clip with 1 flashes"),
        ('"kind": "positive", "flashes": [[1, 2], [5, 4]]', r"flashes: \[5, 4\] does not end after"),
        ('"kind": "positive", "flashes": [[1, 2]], "seconds": -10', "seconds"),
    ],
)
def test_labels_that_would_be_counted_wrongly_are_refused_with_their_clip(
    labels: str, part: str, tmp_path: Path
) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"good.mp4": {"kind": "negative", "notes": "fog"}, "b.mp4": {' + labels + "}}")
    with pytest.raises(LabelsError, match=rf"labels\.json, b\.mp4: .*{part}"):
        read_labels(path)


def test_a_clip_that_is_labelled_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"a.mp4": {"kind": "positive", "flashes": [[1, 2]]}, "a.mp4": {"kind": "negative"}}')
    with pytest.raises(LabelsError, match=r"labels\.json, a\.mp4: not labels \(it is there 2 times\)"):
        read_labels(path)


def test_a_clip_may_say_what_class_of_scene_it_is(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"a.mp4": {"kind": "negative", "class": "fireworks"}, "b.mp4": {"kind": "negative"}}')
    labels = read_labels(path)
    assert (labels["a.mp4"].category, labels["b.mp4"].category) == ("fireworks", None)
