"""Stills: which frame they show, and what they say of themselves."""

import io
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import ExifTags, Image

from detector.events import Verdict
from detector.output.exif import read_exif, with_exif
from detector.output.local_time import fixed_zone, local_text
from detector.output.media import MediaWriter
from detector.output.media_folder import media_name
from detector.output.stills import StillFacts, encode_still, stills_of
from detector.settings import EvidenceSettings, SiteSettings, load_settings
from helpers.candidates import candidate, frame

FACTS = StillFacts("roof-1", "roof", 93.4, 1_795_382_943.412)  # 2026-11-22T21:29:03.412Z
CONFIRMED = Verdict(lightning=True, probability=0.97, verifier="photometric")
VIENNA = ZoneInfo("Europe/Vienna")


def test_the_still_shows_the_clear_frame_and_the_brightest_one_is_kept_beside_it() -> None:
    white, bolt = frame(235), frame(120)
    made = stills_of(replace(candidate(), peak=white, clear=bolt))
    assert (made["still"], made["brightest"]) == (encode_still(bolt), encode_still(white))
    made = stills_of(replace(candidate(), peak=white, clear=None))
    assert (made["still"], "brightest" in made) == (encode_still(white), False)


def test_the_thumbnail_is_small() -> None:
    large = candidate(size=(720, 1280))
    with Image.open(io.BytesIO(stills_of(large)["thumbnail"])) as image:
        assert image.size == (256, 144)


def test_a_still_says_when_where_and_of_what_it_was_taken() -> None:
    site = SiteSettings(latitude=-33.856784, longitude=151.215297)
    zone = fixed_zone(FACTS.utc or 0.0, VIENNA)
    told = read_exif(with_exif(encode_still(frame(90)), FACTS, CONFIRMED, site, zone))
    assert told[ExifTags.Base.DateTimeOriginal] == "2026:11:22 22:29:03"
    assert told[ExifTags.Base.SubsecTimeOriginal] == "412"
    assert told[ExifTags.Base.OffsetTimeOriginal] == "+01:00"
    assert told[ExifTags.Base.ImageDescription] == ("roof-1, camera roof, rise 93 levels, confirmed 97% by photometric")
    gps = ExifTags.GPS
    assert (told[gps.GPSLatitudeRef], told[gps.GPSLongitudeRef]) == ("S", "E")
    for key, angle in ((gps.GPSLatitude, 33.856784), (gps.GPSLongitude, 151.215297)):
        degrees, minutes, seconds = map(float, told[key])  # type: ignore[arg-type]
        assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(angle, abs=1e-6)


def test_a_still_without_a_known_time_and_place_says_neither_and_a_later_verdict_takes_the_place_of_the_first() -> None:
    unknown = replace(FACTS, utc=None)
    first = with_exif(encode_still(frame(90)), unknown, None, SiteSettings(), VIENNA)
    later = with_exif(first, unknown, CONFIRMED, SiteSettings(), VIENNA)
    told = read_exif(later)
    assert ExifTags.Base.DateTimeOriginal not in told
    assert ExifTags.GPS.GPSLatitude not in told
    assert "confirmed" in str(told[ExifTags.Base.ImageDescription])
    assert later.count(b"Exif\0\0") == 1
    with Image.open(io.BytesIO(later)) as image:
        assert np.asarray(image).mean() == pytest.approx(86, abs=3)


def test_a_committed_still_holds_its_verdict(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path, EvidenceSettings(), SiteSettings(timezone="Europe/Vienna"))
    known = replace(candidate(), peak=replace(frame(90, seconds=1.0), utc=1_795_382_943.412))
    for staged in (False, True):
        media = writer.take(known)
        if staged:
            media.stage()
        still = media.decide(CONFIRMED).still
        told = read_exif((tmp_path / str(still)).read_bytes())
        assert told[ExifTags.Base.DateTimeOriginal] == "2026:11:22 22:29:03"
        assert "confirmed" in str(told[ExifTags.Base.ImageDescription])


@pytest.mark.parametrize(
    ("utc", "name"),
    [
        (1_795_382_943.412, "roof/2026-11-22/21-29-03.412Z_roof-1"),
        (1_795_391_999.9996, "roof/2026-11-22/23-59-59.999Z_roof-1"),
        (None, "roof/000012.345s_roof-1"),
    ],
)
def test_media_lie_by_camera_and_day_under_their_time(utc: float | None, name: str) -> None:
    assert media_name("roof", "roof-1", 12.3451, utc) == name


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "a\\b", "c:d", ""])
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    path = (tmp_path / media_name(name, name, 1.0, None)).resolve()
    assert path.is_relative_to(tmp_path.resolve())
    assert len(path.relative_to(tmp_path.resolve()).parts) == 2


def test_local_times_are_of_the_sites_zone_with_its_summer_time() -> None:
    assert local_text("2026-11-22T21:29:03.412Z", VIENNA) == "22:29:03 CET"
    assert local_text("2026-07-22T21:29:03.412Z", VIENNA) == "23:29:03 CEST"
    assert local_text("2026-07-22T21:29:03.412Z", ZoneInfo("America/Sao_Paulo")) == "18:29:03 UTC-03"


def test_half_a_place_or_an_unknown_zone_is_refused_with_a_line_that_says_so() -> None:
    for table, words in (
        ({"latitude": 48.2}, "latitude and longitude belong together"),
        ({"timezone": "Mars/Base"}, "timezone 'Mars/Base' is not known; write for example Europe/Vienna"),
    ):
        with pytest.raises(Exception, match=words):
            load_settings([("site.toml", {"site": table})])
