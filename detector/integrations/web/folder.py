"""Files in runs' folders that the page may serve: images and clips only, and nothing outside."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec

MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
}
LIVE = "live"
"""The sub-folder of a run's folder to which `watch` writes NAME.jpg and NAME.json of each camera."""
_ABOUT_BYTES = 64_000
ANY_SITE = ""


class RunFolders:
    """The folders of `--out`, by site; ANY_SITE stands for sites that are not named."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {site: folder.resolve() for site, folder in folders.items()}

    def folder(self, site: str) -> Path | None:
        """Return the folder of a site, if there is one."""
        return self._folders.get(site) or self._folders.get(ANY_SITE)

    @property
    def known(self) -> dict[str, Path]:
        """The folders by site."""
        return dict(self._folders)

    def file(self, site: str, name: str) -> Path | None:
        """Return the image or clip `name` in a site's folder; None if there is none to serve.

        Links that lead out of the folder, hidden names and other kinds of files are not served.
        """
        folder = self.folder(site)
        path = PurePosixPath(name)
        if folder is None or "\0" in name or "\\" in name or path.suffix.lower() not in MEDIA_TYPES:
            return None
        if path.is_absolute() or any(part.startswith(".") for part in path.parts):
            return None
        try:
            found = (folder / path).resolve()
            return found if found.is_relative_to(folder) and found.is_file() else None
        except (OSError, ValueError):
            return None

    def address(self, site: str, name: object) -> str | None:
        """Return the address for browsers of a file that an event of `site` names; None if it does not exist."""
        if not isinstance(name, str) or self.file(site, name) is None:
            return None
        return f"/media/{quote(site, safe='')}/{quote(name)}"

    def snapshot(self, site: str, camera: str) -> Path | None:
        """Return the last snapshot of a camera."""
        return self.file(site, f"{LIVE}/{camera}.jpg")

    def about_snapshot(self, site: str, camera: str) -> dict[str, Any]:
        """Return the data that `watch` wrote beside the snapshot; empty if there are none."""
        image = self.snapshot(site, camera)
        if image is None:
            return {}
        try:
            with image.with_suffix(".json").open("rb") as file:
                about = msgspec.json.decode(file.read(_ABOUT_BYTES))
        except (OSError, msgspec.DecodeError):
            return {}
        return about if isinstance(about, dict) else {}
