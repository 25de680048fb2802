"""Draw a recording's light curve with what was found and the thresholds, and propose settings."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from detector.cli.console import ResultConsole
from detector.cli.options import add_settings_arguments, settings_of
from detector.evaluate.diagnose import Trace, draw, finds, near_misses, proposals, terminal_curve, trace_frames
from detector.evaluate.model_images import ModelImages
from detector.settings import PrefilterSettings, Settings
from stream import Frame, StreamError, VideoError, open_video


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and where the image goes."""
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument("--png", type=Path, metavar="FILE", help="the image (default: NAME.curve.png here)")
    parser.add_argument(
        "--model-images",
        type=Path,
        metavar="FOLDER",
        help="write what a model would be shown and asked of each light, as JPEG and text",
    )
    parser.add_argument("--evidence", action="store_true", help="print all evidence of each light")
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the whole file, draw its curves, and print what was found and what to try.

    Returns:
        the exit code.

    Raises:
        StreamError: the file cannot be opened; or it breaks off, after all before the break has been shown.
        OutputError: the image cannot be written, after all else has been shown.
    """
    settings = settings_of(arguments)
    broken: list[StreamError] = []
    with open_video(arguments.file, options=settings.capture) as video:
        images = None if arguments.model_images is None else ModelImages(arguments.model_images, settings)
        seen = (lambda _candidate: None) if images is None else images.write
        trace = trace_frames(video.name, _until_it_breaks(video, broken), settings, seen)
        png = arguments.png or Path(f"{video.name}.curve.png")

    def found_with(trial: PrefilterSettings, seconds: float) -> bool:
        with open_video(arguments.file, options=settings.capture) as video:
            return finds(_until_it_breaks(video, []), trial, seconds)

    _show(trace, settings, found_with, evidence=arguments.evidence)
    draw(trace, settings.prefilter, png)
    ResultConsole(soft_wrap=True).print(f"image: {png}")
    if images is not None:
        ResultConsole(soft_wrap=True).print(f"model images of {images.written} lights: {arguments.model_images}")
    if broken:
        raise broken[0]
    return 0


def _until_it_breaks(video: Iterable[Frame], broken: list[StreamError]) -> Iterator[Frame]:
    try:
        yield from video
    except VideoError as error:
        broken.append(error)


def _show(
    trace: Trace,
    settings: Settings,
    found_with: Callable[[PrefilterSettings, float], bool],
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
        strength, refusal = f"{trace.strength[n]:.0%} of the strength needed", trace.refusals.get(n)
        nearly = f"nearly: {strength}" if refusal is None else f"bright enough ({strength}), but {refusal}"
        console.print(f"{trace.seconds[n]:9.3f} s  {nearly}")
    used = settings.prefilter
    console.print(
        f"thresholds used: rise {used.min_rise_levels:g} levels or {used.noise_factor:g} times the noise "
        f"(for most blocks {trace.threshold_levels:.1f} levels), in {used.min_lit_fraction:.1%} of the frame, "
        f"positivity {used.min_positivity:g}, {used.min_fine_positivity:g} seen closer"
    )
    for line in proposals(trace, used, found_with):
        console.print(line)
