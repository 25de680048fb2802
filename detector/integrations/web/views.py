"""The board's data for browsers and programs: flashes, cameras and the state of all, ready for JSON."""

import time
from typing import Any
from urllib.parse import quote

from detector.integrations.web.board import Board, CameraState, FlashEntry, SiteState
from detector.integrations.web.folder import RunFolders
from detector.integrations.web.health import camera_mark, site_marks
from detector.integrations.web.storm import by_bins

_MINUTES, _QUARTERS = 60, 24
TEN_MINUTES = 600.0
_MEDIA = ("still", "clip", "thumbnail", "brightest", "strip", "model")


class Views:
    """Make the data of the page.

    Args:
        board: the state of the feeds.
        folders: where images and clips are.
    """

    def __init__(self, board: Board, folders: RunFolders) -> None:
        self._board = board
        self._folders = folders
        self._began = time.time()
        self._image_times: dict[tuple[str, str], float] = {}

    def flash(self, one: FlashEntry) -> dict[str, Any]:
        """Return one flash: the event's own `data` in `flash`, and the additions of the page."""
        media = one.data.get("media")
        media = media if isinstance(media, dict) else {}
        return {
            "site": one.site,
            "sequence": one.sequence,
            "published": one.published,
            "at": one.at,
            "words": list(one.words),
            "media": {kind: self._folders.address(one.site, media.get(kind)) for kind in _MEDIA},
            "flash": one.data,
        }

    def camera(self, camera: CameraState, *, images: bool = True) -> dict[str, Any]:
        """Return one camera; with `images` also the brightness of its last minute."""
        now = time.monotonic()
        site = self._board.sites.get(camera.site) or SiteState(camera.site, "")
        mark, text = camera_mark(camera, site, now)
        event, told = camera.event, camera.counters
        age = camera.age(now)
        view: dict[str, Any] = {
            "site": camera.site,
            "name": camera.name,
            "state": camera.state,
            "mark": mark,
            "text": text,
            "since": event.get("since"),
            "refused": bool(event.get("refused")),
            "fps": told.get("fps"),
            "frames": told.get("frames"),
            "last_frame_age_seconds": None if age is None else round(age, 2),
            "damaged": told.get("damaged"),
            "skipped": told.get("skipped"),
            "reconnects": told.get("reconnects"),
            "clock": told.get("clock"),
            "clock_bound_ms": told.get("bound_ms"),
            "clock_problem": event.get("clock_problem"),
            "snapshot": None,
        }
        return view | (self._image(camera) if images else {})

    def state(self, *, whole: bool = True) -> dict[str, Any]:
        """Return all but the flashes; unless `whole`, brightness curves only of cameras with a new image."""
        now = time.time()
        seen = [pair for pair in self._board.confirmed() if now - pair[0] < _QUARTERS * 900 + 3600]
        times = self._board.storms.strikes()
        storm = self._board.storms.state(now)
        ten = sum(now - one < TEN_MINUTES for one in times)
        cameras = []
        for camera in self._board.camera_list():
            view = self.camera(camera)
            key = (camera.site, camera.name)
            if not whole and self._image_times.get(key) == view.get("snapshot_time"):
                view.pop("levels", None)
            self._image_times[key] = view.get("snapshot_time", 0.0)
            mine = f"{camera.site} {camera.name}"
            view["flashes_10_minutes"] = sum(now - at < TEN_MINUTES for at, name in seen if name == mine)
            cameras.append(view)
        return {
            "now": now,
            "began": self._began,
            "sites": [self._site(site) for _, site in sorted(self._board.sites.items())],
            "cameras": cameras,
            "storm": {"on": storm.on, "since": storm.since, "last": storm.last, "quiet_seconds": storm.quiet_seconds},
            "ten_minutes": ten,
            "ten_before": sum(TEN_MINUTES <= now - one < 2 * TEN_MINUTES for one in times),
            "minutes": by_bins(times, now, _MINUTES, 60.0),
            "quarters": by_bins(times, now, _QUARTERS, 900.0),
        }

    def _site(self, site: SiteState) -> dict[str, Any]:
        now = time.monotonic()
        return {
            "name": site.name,
            "away": site.away(now),
            "heard": site.heard_utc,
            "sequence": site.sequence,
            "started": site.status.get("started"),
            "relayed": isinstance(site.status.get("sites"), dict),
            "system": {key: site.system.get(key) for key in ("state", "detail", "software")},
            "marks": site_marks(site, now),
        }

    def _image(self, camera: CameraState) -> dict[str, Any]:
        about = self._folders.about_snapshot(camera.site, camera.name)
        taken = about.get("time")
        if not isinstance(taken, float | int):
            return {}
        address = f"/api/cameras/{quote(camera.name, safe='')}/snapshot.jpg?site={quote(camera.site, safe='')}"
        levels = about.get("levels")
        return {
            "snapshot": f"{address}&t={taken:.1f}",
            "snapshot_time": taken,
            "levels": levels if isinstance(levels, list) else [],
        }
