"""Show a recording's light curve with what was found and the thresholds, and propose settings.

The page holds the curve to zoom, every light with its frames, clues and doubts, and marks what was nearly found or cut
away.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from detector.cli.console import ResultConsole
from detector.cli.options import add_settings_arguments, settings_of
from detector.errors import OutputError
from detector.evaluate.diagnose import Trace, finds, near_misses, proposals, terminal_curve, trace_frames
from detector.evaluate.model_images import ModelImages
from detector.evaluate.tune_page import near_words, thresholds_line, write_page
from detector.settings import PrefilterSettings, Settings
from stream import Frame, StreamError, VideoError, open_video


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and where page and image go."""
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the page (default: NAME.tune.html here)")
    parser.add_argument("--png", type=Path, metavar="FILE", help="also draw the curve as an image (extra: plot)")
    parser.add_argument(
        "--model-images",
        type=Path,
        metavar="FOLDER",
        help="write what a model would be shown and asked of each light, as JPEG and text",
    )
    parser.add_argument("--evidence", action="store_true", help="print all evidence of each light")
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the whole file, print what was found and what to try, and write the page.

    Returns:
        the exit code.

    Raises:
        StreamError: the file cannot be opened; or it breaks off, after all before the break has been shown.
        OutputError: page or image cannot be written, after all else has been shown; or matplotlib is missing for it.
    """
    settings = settings_of(arguments)
    draw = None if arguments.png is None else _drawing()
    broken: list[StreamError] = []
    with open_video(arguments.file, options=settings.capture) as video:
        images = None if arguments.model_images is None else ModelImages(arguments.model_images, settings)
        seen = (lambda _candidate: None) if images is None else images.write
        trace = trace_frames(video.name, _until_it_breaks(video, broken), settings, seen, images=True)
        page = arguments.html or Path(f"{video.name}.tune.html")
        name = video.name

    def found_with(trial: PrefilterSettings, seconds: float) -> bool:
        with open_video(arguments.file, options=settings.capture) as video:
            return finds(_until_it_breaks(video, []), trial, seconds)

    lines = proposals(trace, settings.prefilter, found_with)
    _show(trace, settings, lines, evidence=arguments.evidence)
    write_page(trace, settings, page, name, lines)
    ResultConsole(soft_wrap=True).print(f"page: {page}")
    if draw is not None:
        draw(trace, settings.prefilter, arguments.png)
        ResultConsole(soft_wrap=True).print(f"image: {arguments.png}")
    if images is not None:
        ResultConsole(soft_wrap=True).print(f"model images of {images.written} lights: {arguments.model_images}")
    if broken:
        raise broken[0]
    return 0


def _drawing() -> Callable[[Trace, PrefilterSettings, Path], None]:
    """Return what draws the image; matplotlib loads for nothing else."""
    try:
        from detector.evaluate.tune_plot import draw  # noqa: PLC0415 - of the extra `plot`
    except ModuleNotFoundError as error:
        raise OutputError(
            f"--png needs more: pip install 'lightning-detector[plot]' ({error.name} is not installed)"
        ) from error
    return draw


def _until_it_breaks(video: Iterable[Frame], broken: list[StreamError]) -> Iterator[Frame]:
    try:
        yield from video
    except VideoError as error:
        broken.append(error)


def _show(
    trace: Trace,
    settings: Settings,
    lines: Sequence[str],
    *,
    evidence: bool,
) -> None:
    console = ResultConsole(soft_wrap=True)
    plain = console.options.ascii_only
    for line in terminal_curve(trace, min(console.width, 120), ascii_only=plain):
        console.print(line)
    bars = "strength, = is the threshold" if plain else "strength, half a bar is the threshold"
    console.print(f"bars: {bars};  #: confirmed;  x: rejected or unverified")
    for finding in trace.found:
        verdict = finding.verdict
        why = "" if verdict.reason is None else f": {verdict.reason}"
        console.print(
            f"{finding.start_seconds:9.3f} to {finding.end_seconds:9.3f} s  {verdict.state:<10} "
            f"{verdict.probability or 0:.2f}  rise {finding.peak_rise_levels:.0f}, "
            f"lit {finding.lit_fraction:.1%}{why}"
        )
        if finding.steady_from is not None:
            console.print(f"    cut away: light from {finding.steady_from:.3f} s on, which was steady or hardly fell")
        if evidence:
            console.print("    " + ", ".join(f"{name} {value:g}" for name, value in verdict.evidence.items()))
    for n in near_misses(trace, settings.prefilter):
        console.print(f"{trace.seconds[n]:9.3f} s  {near_words(trace, n)}")
    console.print(f"thresholds used: {thresholds_line(trace, settings)}")
    for line in lines:
        console.print(line)
