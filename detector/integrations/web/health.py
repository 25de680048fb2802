"""The health of a site: cameras, journal, verifier, disk and the feed itself."""

import time
from typing import Any, Literal

from detector.integrations.web.board import Board, CameraState, SiteState

Mark = Literal["ok", "warn", "bad"]

_CONNECTING_SECONDS = 15.0  # time that a camera may take to connect at first
_STALE_FRAME_SECONDS = 8.0  # heartbeats give the age of the last frame every 2 s; `stalled` comes after 6 s
_FREE_BAD_MB, _FREE_WARN_MB = 200, 2000
_WAITING_WARN = 10  # waiting candidates that show that the verifier falls behind


def camera_mark(camera: CameraState, site: SiteState, now: float) -> tuple[Mark, str]:
    """Return the mark of a camera, and the reason in words."""
    state, age = camera.state, camera.age(now)
    why = camera.event.get("last_error")
    if site.away(now):
        return "bad", "not known: the feed is not heard"
    if state == "connecting":
        started = site.status.get("started")
        long = isinstance(started, float | int) and time.time() - started > _CONNECTING_SECONDS
        return ("bad" if long else "warn"), "was not live yet"
    if state in ("down", "stalled"):
        return "bad", str(why or f"is {state}")
    if age is not None and age > _STALE_FRAME_SECONDS:
        return "bad", f"no frame for {age:.0f} s"
    return "ok", "live"


def site_marks(site: SiteState, now: float) -> dict[str, dict[str, Any]]:
    """Return the state of a site's journal, disk and verifier: each with `mark` and `text`."""
    if site.away(now):
        lost = {"mark": "bad", "text": "not known"}
        return {
            "feed": {"mark": "bad", "text": site.problem or "nothing is heard"},
            "journal": lost,
            "disk": lost,
            "verifier": lost,
        }
    status = site.status
    stated = status.get("free_mb")
    free: dict[str, Any] = stated if isinstance(stated, dict) else {}
    in_memory = "journal" not in free
    if site.durable:
        journal = ("ok", "on disk")
    elif in_memory:
        journal = ("warn", "in memory: a crash or a restart loses it")
    else:
        journal = ("bad", "events are not on disk")
    return {
        "feed": {"mark": "ok", "text": f"up to event {site.sequence:,}"},
        "journal": dict(zip(("mark", "text"), journal, strict=True)),
        "disk": _disk(free),
        "verifier": _verifier(status.get("verifier")),
    }


def _disk(free: dict[str, Any]) -> dict[str, Any]:
    least = min((value for value in free.values() if isinstance(value, int)), default=None)
    if least is None:
        return {"mark": "ok", "text": "nothing is written"}
    text = f"{least / 1000:.0f} GB free" if least >= 10_000 else f"{least / 1000:.1f} GB free"
    mark: Mark = "bad" if least < _FREE_BAD_MB else "warn" if least < _FREE_WARN_MB else "ok"
    return {"mark": mark, "text": text, "free_mb": least}


def _verifier(told: object) -> dict[str, Any]:
    if not isinstance(told, dict):
        return {"mark": "ok", "text": "not told"}
    waiting = told.get("waiting", 0)
    mark: Mark = "warn" if isinstance(waiting, int) and waiting > _WAITING_WARN else "ok"
    return {"mark": mark, "text": f"{told.get('name', 'verifier')}, {waiting} waiting"}


def health(board: Board) -> tuple[bool, dict[str, Any]]:
    """Return whether everything is healthy, and the details for /health."""
    now = time.monotonic()
    sites: dict[str, Any] = {}
    well = bool(board.sites)
    for name, site in sorted(board.sites.items()):
        marks = site_marks(site, now)
        cameras = {}
        for camera in board.camera_list():
            if camera.site == name:
                mark, text = camera_mark(camera, site, now)
                age = camera.age(now)
                cameras[camera.name] = {
                    "state": camera.state,
                    "mark": mark,
                    "text": text,
                    "last_frame_age_seconds": None if age is None else round(age, 1),
                }
        all_marks = [one["mark"] for one in (*marks.values(), *cameras.values())]
        relays = isinstance(site.status.get("sites"), dict)
        # Without data about any camera, nothing is known to be watched.
        fine = "bad" not in all_marks and (bool(cameras) or relays)
        well = well and fine
        sites[name] = {"ok": fine, **marks, "cameras": cameras}
    return well, {"status": "ok" if well else "unhealthy", "sites": sites}
