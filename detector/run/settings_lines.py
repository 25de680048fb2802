"""Line numbers for errors in a settings file: TOML readers give them for syntax errors only."""

import re
from pathlib import Path

from detector.errors import SettingsError

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<name>[A-Za-z0-9_.\"' -]+?)\s*\]\]?")
_CAMERA = re.compile(r": camera (?P<number>\d+)\b")
_KEY = re.compile(r"(?:at `\$\.|unknown field `|unknown setting ')(?P<key>[A-Za-z0-9_.]+)")
_SECTION_KEY = re.compile(r": (?P<key>[a-z0-9_]+\.[a-z0-9_]+) = ")
_HAS_LINE = re.compile(r"\bline \d+")


def with_line(error: SettingsError, path: Path | None) -> SettingsError:
    """Return `error` with the line of `path` that it is about, if that can be found."""
    text = str(error)
    if path is None or not text.startswith(str(path)) or _HAS_LINE.search(text):
        return error
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return error
    line = _line_of(text, lines)
    return error if line is None else SettingsError(f"{path}, line {line}{text.removeprefix(str(path))}")


def _line_of(complaint: str, lines: list[str]) -> int | None:
    camera = _CAMERA.search(complaint)
    key = _KEY.search(complaint) or _SECTION_KEY.search(complaint)
    words = key["key"].split(".") if key else []
    wanted = int(camera["number"]) if camera else None
    section, cameras, camera_line = "", 0, None
    for number, line in enumerate(lines, start=1):
        header = _HEADER.match(line)
        if header:
            section = header["name"]
            if section == "camera" and line.lstrip().startswith("[["):
                cameras += 1
                camera_line = number if cameras == wanted else camera_line
            if wanted == cameras and words and section == f"camera.{words[0]}" and len(words) == 1:
                return number
            continue
        inside = section.split(".")[0] == "camera" and cameras == wanted if wanted else section == ".".join(words[:-1])
        if words and inside and re.match(rf"\s*{re.escape(words[-1])}\s*=", line):
            return number
    return camera_line
