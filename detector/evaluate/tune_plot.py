"""The light curve of `tune` as an image, by matplotlib (extra `plot`)."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from detector.errors import OutputError
from detector.evaluate.diagnose import NEAR_MISS, Trace, near_misses
from detector.settings import PrefilterSettings

_COLOURS = {"confirmed": "tab:orange", "rejected": "tab:gray"}
_MOST_STRENGTH = 4.0


def draw(trace: Trace, settings: PrefilterSettings, path: Path) -> None:
    """Write strength and positivity with their thresholds, brightness, and what was found, as an image.

    Args:
        trace: the recording.
        settings: those it was run with.
        path: the image; its ending says of which format.

    Raises:
        OutputError: it cannot be written.
    """
    figure = Figure(figsize=(16, 7), dpi=100, layout="constrained")
    strength, positivity, brightness = figure.subplots(3, 1, sharex=True)
    strength.plot(trace.seconds, trace.strength.clip(0, _MOST_STRENGTH), linewidth=0.8)
    strength.axhline(1, color="tab:red", linewidth=0.8, linestyle="--")
    strength.axhline(NEAR_MISS, color="tab:red", linewidth=0.8, linestyle=":")
    strength.set(ylabel="strength, thresholds", ylim=(0, _MOST_STRENGTH))
    positivity.plot(trace.seconds, trace.positivity, linewidth=0.8)
    positivity.axhline(settings.min_positivity, color="tab:red", linewidth=0.8, linestyle="--")
    positivity.set(ylabel="positivity", ylim=(0, 1.05))
    brightness.plot(trace.seconds, trace.brightness, linewidth=0.8)
    brightness.set(ylabel="mean luma, levels", xlabel="seconds in the recording")
    for axes in (strength, positivity, brightness):
        _mark(axes, trace)
    near = near_misses(trace, settings)
    if near:
        strength.plot(trace.seconds[near], trace.strength[near].clip(0, _MOST_STRENGTH), "v", color="tab:red")
    for one in trace.found:
        words = f"{one.verdict.state} {one.verdict.probability or 0:.2f}"
        strength.annotate(
            words, (one.start_seconds, _MOST_STRENGTH), fontsize="x-small", va="bottom", annotation_clip=False
        )
    try:
        figure.savefig(path)
    except ValueError as error:
        raise OutputError(f"{path}: no image format is called so; choose a name that ends in .png") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot write the image: {error.strerror or error}; choose another place") from error


def _mark(axes: Axes, trace: Trace) -> None:
    """Shade what was found by its verdict, and hatch where light was cut away."""
    for one in trace.found:
        colour = _COLOURS.get(one.verdict.state, "tab:blue")
        axes.axvspan(one.start_seconds, one.end_seconds, color=colour, alpha=0.3)
        if one.steady_from is not None:
            axes.axvspan(one.steady_from, one.steady_from + 1, facecolor="none", edgecolor=colour, hatch="///")
