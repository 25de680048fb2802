"""The demo: it shows the main job end to end, and it does not call a failure a success."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

import demo
from detector.events import Flash, FlashMessage
from helpers import ROOT
from storm import Scene

TOOL = ROOT / "tools" / "demo.py"


@pytest.mark.soak
def test_the_demo_finds_every_flash_and_the_subscriber_receives_every_event(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(TOOL)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every flash found, none made up, no event lost." in done.stdout
    events = (tmp_path / "demo/run/flashes.jsonl").read_text().splitlines()
    assert sum('"state":"confirmed"' in event for event in events) == len(demo.PLAN.flashes)
    for event in events:
        said = msgspec.json.decode(event, type=FlashMessage).data
        assert said.media.still is None or (tmp_path / "demo/run" / said.media.still).stat().st_size > 1000


def flash(start: float, state: str = "confirmed") -> Flash:
    """A flash as an event would tell it."""
    return msgspec.convert(
        {
            "id": f"storm-{start}",
            "camera": "storm",
            "file": "storm.mp4",
            "state": state,
            "revision": 2,
            "start_seconds": start,
            "peak_seconds": start,
            "end_seconds": start + 0.04,
            "duration_seconds": 0.04,
            "start_utc": None,
            "clock": "none",
            "utc_error_ms": None,
            "quality": [],
            "pulses": [],
            "peak_rise_levels": 40.0,
            "lit_fraction": 0.5,
            "box": [0, 0, 1, 1],
            "centroid": [0.5, 0.5],
            "verdict": None,
            "media": {},
            "latency_ms": 1.0,
            "software": "test",
        },
        Flash,
    )


def test_the_demo_fails_when_a_flash_is_missed_rejected_or_made_up() -> None:
    labels = Scene(demo.PLAN).truth()
    found = [flash(start) for start, _ in labels.flashes]
    quiet = Console(quiet=True)
    assert demo.show_flashes(quiet, labels, found)
    assert not demo.show_flashes(quiet, labels, found[1:])
    assert not demo.show_flashes(quiet, labels, [*found, flash(24.9)])
    assert not demo.show_flashes(quiet, labels, [flash(labels.flashes[0][0], "rejected"), *found[1:]])


def test_the_demo_waits_for_events_no_longer_than_told() -> None:
    mail = demo.Mail()
    mail.numbers = {("f", "1")}
    assert mail.all_here({("f", "1")}, 0.0)
    assert not mail.all_here({("f", "1"), ("f", "2")}, 0.05)
