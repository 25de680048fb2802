"""The status of heartbeats: short, and a relay's holds that of each site."""

from pathlib import Path

import msgspec

from detector.run.status import CameraReading, RunStatus, SiteStatuses, camera_fields
from stream import CameraStatus

LONGEST = CameraStatus(
    camera="n" * 32, state="connecting", since=1784056465.123456, last_error="refused " * 20, frames=9_999_999_999,
    reconnects=99_999, damaged=99_999_999, late=99_999_999, skipped=99_999_999, fps=120.04, clock="arrival",
)  # fmt: skip


def test_a_camera_takes_two_hundred_bytes_at_most() -> None:
    fields = camera_fields(CameraReading(LONGEST, 86_400.123, 9999.4))
    assert len(msgspec.json.encode({LONGEST.camera: fields})) <= 200


def test_nothing_is_told_before_anything_is_watched(tmp_path: Path) -> None:
    status = RunStatus("here", {"out": tmp_path, "journal": tmp_path / "missing"})
    assert status.tell() is None
    status.attach(lambda: [CameraReading(CameraStatus("roof"), None, None)], lambda: {"waiting": 0})
    status.look()
    told = status.tell()
    assert told is not None
    assert told["cameras"]["roof"]["state"] == "connecting"
    assert told["free_mb"].keys() == {"out"}


def test_a_relay_tells_the_last_status_of_each_site_also_through_another_relay() -> None:
    inner, outer = SiteStatuses("inner"), SiteStatuses("outer")
    inner.heard({"site": "north", "cameras": {"roof": {"state": "down"}}})
    inner.heard({"site": "north", "cameras": {"roof": {"state": "live"}}})
    inner.heard({"site": "coast", "cameras": {}})
    outer.heard(inner.tell())
    outer.heard({"site": "south", "cameras": {}})
    told = outer.tell()
    assert (told["site"], set(told["sites"])) == ("outer", {"north", "coast", "south"})
    assert told["sites"]["north"]["cameras"]["roof"]["state"] == "live"
    assert 0 <= told["sites"]["north"]["age"] < 5
