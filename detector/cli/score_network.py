"""`score --network`: the flags, the site's place, and the printed comparison."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.table import Table

from detector.cli.console import ResultConsole
from detector.cli.types import utc_of
from detector.errors import LabelsError
from detector.evaluate.network import NetworkScore, Place, network_numbers, read_strokes, score_network
from detector.evaluate.results import read_results
from detector.output.text import plural
from detector.run.run_record import RUN_FILE, read_record


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --network and what goes with it."""
    group = parser.add_argument_group("comparison with a lightning location network, in place of LABELS")
    group.add_argument(
        "--network", type=Path, metavar="FILE", help="CSV of located strokes: columns time (UTC), lat and lon"
    )
    group.add_argument(
        "--at", metavar="LAT,LON", help="place of the cameras, degrees north and east (default: [site] of the run)"
    )
    group.add_argument(
        "--within-km", type=float, default=50.0, metavar="KM", help="how far strokes count (default %(default)s)"
    )
    group.add_argument(
        "--from", dest="begin", type=utc_of, metavar="UTC", help="compare from this time on (default: the first flash)"
    )
    group.add_argument(
        "--to", dest="end", type=utc_of, metavar="UTC", help="compare up to this time (default: the last flash)"
    )


def run_network(arguments: argparse.Namespace, results: Sequence[Path], states: Sequence[str]) -> int:
    """Compare the flashes of `results` with the strokes of --network, and print how they agree.

    Returns:
        the exit code.

    Raises:
        LabelsError: a file or an argument cannot be used.
    """
    if not 0 < arguments.within_km <= 20_000:
        raise LabelsError(f"--within-km {arguments.within_km:g}: expected more than 0, up to 20000 km")
    site = _place(arguments.at, results[0])
    flashes = [flash for path in results for flash in read_results(path) if flash.state in states]
    strokes = read_strokes(arguments.network)
    score = score_network(
        flashes,
        strokes,
        site,
        within_km=arguments.within_km,
        tolerance_seconds=arguments.tolerance,
        span=(arguments.begin, arguments.end),
    )
    untimed = sum(flash.start_utc is None for flash in flashes)
    if arguments.json:
        content = {**network_numbers(score), "without_utc": untimed}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(content)).decode() + "\n")
    else:
        _print(score, untimed, states, arguments.tolerance)
    return 0


def _place(text: str | None, results: Path) -> Place:
    if text is None:
        record = read_record(results) if results.is_dir() else None
        site = {} if record is None else record.settings.get("site", {})
        if site.get("latitude") is None:
            raise LabelsError(
                f"{results}: its {RUN_FILE} names no place of the cameras; add --at LAT,LON, "
                "or set site.latitude and site.longitude"
            )
        return Place(site["latitude"], site["longitude"])
    try:
        latitude, longitude = (float(part) for part in text.split(","))
        return Place(latitude, longitude)
    except ValueError as error:
        raise LabelsError(f"--at {text}: expected latitude and longitude in degrees, such as 48.2,16.37") from error


def _print(score: NetworkScore, untimed: int, states: Sequence[str], tolerance_seconds: float) -> None:
    numbers = network_numbers(score)
    table = Table(box=None, pad_edge=False)
    for name in ("km", "strokes", "with a flash", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    inner = 0.0
    for outer, strokes, lit in score.rings:
        table.add_row(f"{inner:g} to {outer:g}", str(strokes), str(lit), f"{lit / strokes:.1%}" if strokes else "")
        inner = outer
    console = ResultConsole(soft_wrap=True, width=None if sys.stdout.isatty() else 200)
    console.print(table)
    share = f" ({score.located / score.flashes:.1%})" if score.flashes else ""
    flashes = plural(score.flashes, "flash", "flashes")
    console.print(
        f"{score.located} of {flashes}{share} at the time of a stroke within {inner:g} km; "
        f"{score.by_chance:.1%} would be by chance."
    )
    if score.onset_offset_seconds is not None:
        console.print(f"Flashes begin {1000 * score.onset_offset_seconds:+.0f} ms from their stroke (median).")
    if untimed:
        console.print(
            f"Left out: {plural(untimed, 'flash', 'flashes')} without UTC; `replay --start` gives it to recordings."
        )
    console.print(
        f"Compared from {numbers['begin']} to {numbers['end']}; counted as reported: {', '.join(states)}; a stroke may "
        f"lie {tolerance_seconds:g} s and the flash's own bound outside it. A camera sees a part of the sky: strokes "
        "behind it, or behind hills and rain, have no flash."
    )
