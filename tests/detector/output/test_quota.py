"""What a run's folder may hold: the oldest goes first, and what several flashes name with the last of them."""

from pathlib import Path

import msgspec
import pytest

from detector.events import Media, State
from detector.output.media_folder import MediaFolder
from detector.output.quota import MediaQuota, Removed
from detector.settings import EvidenceSettings
from helpers.storms import made_flash, write_flashes

MEGABYTE = 1_000_000


class Kept:
    """A folder with a quota; `flash` adds one with a still of a megabyte."""

    def __init__(self, folder: Path, **settings: float) -> None:
        self.folder = folder
        self.quota = MediaQuota(MediaFolder(folder), EvidenceSettings(**settings))  # type: ignore[arg-type]
        self.now = 1000.0

    def flash(self, name: str, state: State = "confirmed", clip: str | None = None) -> Removed | None:
        for file in (f"cam/{name}.jpg", clip):
            if file is not None:
                (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / file).write_bytes(bytes(MEGABYTE))
        self.now += 1.0
        return self.quota.add(name, state, Media(still=f"cam/{name}.jpg", clip=clip), self.now)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


def test_beyond_the_bound_the_oldest_go_first_unverified_before_confirmed(tmp_path: Path) -> None:
    kept = Kept(tmp_path, keep_megabytes=3.0)
    for name, state in (("a", "confirmed"), ("b", "unverified"), ("c", "confirmed")):
        assert kept.flash(name, state) is None  # type: ignore[arg-type]
    gone = [kept.flash(name) for name in "de"]
    assert [(one.flash_ids, one.megabytes) for one in gone if one is not None] == [(("b",), 1.0), (("a",), 1.0)]
    assert gone[0] is not None
    assert gone[0].why == "more than evidence.keep_megabytes = 3"
    assert kept.files() == ["c.jpg", "d.jpg", "e.jpg"]


def test_the_newest_stays_whatever_its_size(tmp_path: Path) -> None:
    kept = Kept(tmp_path, keep_megabytes=0.5)
    kept.flash("a")
    assert kept.flash("b") == Removed(("a",), 1.0, "more than evidence.keep_megabytes = 0.5")
    assert kept.files() == ["b.jpg"]


def test_a_clip_that_several_flashes_name_goes_with_the_last_of_them(tmp_path: Path) -> None:
    kept = Kept(tmp_path, keep_megabytes=4.0)
    for name in "abc":
        kept.flash(name, clip="cam/shared.mp4")
    assert kept.files() == ["a.jpg", "b.jpg", "c.jpg", "shared.mp4"]
    removed = kept.flash("d")
    assert removed is not None
    assert (removed.flash_ids, removed.megabytes) == (("a",), 1.0)
    kept.flash("e")
    assert "shared.mp4" in kept.files(), "c names it"
    kept.flash("f")
    assert kept.files() == ["d.jpg", "e.jpg", "f.jpg"]


def test_what_is_too_old_goes_whatever_room_there_is(tmp_path: Path) -> None:
    kept = Kept(tmp_path, keep_days=2.0)
    kept.flash("a")
    kept.now += 1.9 * 86_400
    assert kept.flash("b") is None
    kept.now += 0.2 * 86_400
    removed = kept.flash("c")
    assert removed is not None
    assert (removed.flash_ids, removed.why) == (("a",), "older than evidence.keep_days = 2")


def test_what_an_earlier_run_left_counts_too(tmp_path: Path) -> None:
    flashes = []
    for at in (1.0, 2.0):
        flash = made_flash(at)
        still = f"west-ridge/{flash.id}.jpg"
        (tmp_path / still).parent.mkdir(exist_ok=True)
        (tmp_path / still).write_bytes(bytes(MEGABYTE))
        flashes.append(msgspec.structs.replace(flash, media=Media(still=still)))
    write_flashes(tmp_path / "flashes.jsonl", flashes)
    kept = Kept(tmp_path, keep_megabytes=2.5)
    removed = kept.flash("new")
    assert removed is not None
    assert removed.flash_ids == (made_flash(1.0).id,)


@pytest.mark.parametrize("settings", [{"keep_megabytes": 0.0}, {}])
def test_without_a_bound_or_within_it_nothing_goes(settings: dict[str, float], tmp_path: Path) -> None:
    kept = Kept(tmp_path, **settings)
    assert [kept.flash(name) for name in "abcdef"] == [None] * 6
    assert len(kept.files()) == 6


def test_folders_that_are_left_empty_go_too(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path)
    folder.write("cam/2026-11-22/a.jpg", b"x", "still")
    assert folder.remove("cam/2026-11-22/a.jpg") == 1
    assert list(tmp_path.iterdir()) == []
