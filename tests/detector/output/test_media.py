"""The still of a flash and where it is written."""

from dataclasses import replace
from pathlib import Path

from detector.output.media import MediaWriter, encode_still
from detector.settings import load_settings
from helpers.candidates import candidate, frame

EVIDENCE = load_settings().evidence


def test_the_still_shows_the_brightest_frame_that_is_not_white_all_over(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path, EVIDENCE)
    white, bolt = frame(235), frame(120)
    shown = writer.take(replace(candidate(), peak=white, clear=bolt), None)
    assert shown.still == encode_still(bolt)
    assert writer.take(replace(candidate(), peak=white), None).still == encode_still(white)
