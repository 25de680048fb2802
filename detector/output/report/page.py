"""The page: report.html and its files, made from a run's folder or a journal."""

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from detector.errors import OutputError
from detector.output.files import make_folder, write_whole
from detector.output.report.cards import ASSET_FOLDER, CardImages
from detector.output.report.context import page_context
from detector.output.report.embedding import ASSETS, embedded, linked
from detector.output.report.model import Report, make_report
from detector.output.report.source import RunResults, read_run
from detector.output.report.symbols import ICONS, LINED

_HERE = Path(__file__).parent
_STYLES = tuple(ASSETS / name for name in ("base.css", "report.css"))
_SCRIPTS = tuple(ASSETS / name for name in ("common.js", "curve.js", "player.js", "report.js"))


def build_report(path: Path, *, zone: tzinfo | None = None, inline: bool = False, target: Path | None = None) -> Path:
    """Write report.html for a run's folder or a journal; see `write_report`.

    Returns:
        the path of the page.

    Raises:
        OutputError: there are no results, or the page cannot be written.
        JournalError: the file is no journal.
    """
    return write_report(read_run(path), zone=zone, inline=inline, target=target)


def write_report(
    results: RunResults, *, zone: tzinfo | None = None, inline: bool = False, target: Path | None = None
) -> Path:
    """Write the report page of a run's results.

    Args:
        results: as `read_run` gives them.
        zone: the local time zone; this machine's if omitted.
        inline: put styles, scripts and small stills into the page itself; clips stay links.
        target: the page's file; report.html in the run's folder if omitted.

    Returns:
        the path of the page.

    Raises:
        OutputError: the page cannot be written.
    """
    report = make_report(results, zone or local_zone())
    page = target or results.folder / "report.html"
    try:
        return _write(report, page, inline=inline)
    except OSError as error:
        raise OutputError(f"{error.filename or page}: cannot write the report: {error.strerror}") from error


def local_zone() -> tzinfo:
    """Return this machine's time zone: by name, so that summer and winter are told apart, else as its offset now."""
    try:
        name = Path("/etc/localtime").resolve().as_posix().partition("zoneinfo/")[2]
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return datetime.now().astimezone().tzinfo or UTC


def _write(report: Report, page: Path, *, inline: bool) -> Path:
    assets = page.parent / ASSET_FOLDER
    images = CardImages(report.results, _base(report.results.folder, page.parent), None if inline else assets)
    if inline:
        parts = embedded(_STYLES, _SCRIPTS)
    else:
        make_folder(assets)
        for path in (*_STYLES, *_SCRIPTS):
            write_whole(assets / path.name, [path.read_bytes()])
        parts = linked(_STYLES, _SCRIPTS, ASSET_FOLDER)
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    template = environment.get_template("report.html.j2")
    text = template.render(parts=parts, icons=ICONS, lined=LINED, **page_context(report, images))
    write_whole(page, [text.encode()])
    return page


def _base(folder: Path, beside: Path) -> str:
    """Return the path of a run's folder for a page in the folder `beside`."""
    path = Path(os.path.relpath(folder, beside)).as_posix()
    return "" if path == "." else f"{path}/"
