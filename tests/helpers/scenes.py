"""A small made scene, frame by frame: static land and sky with noise, and what a test adds to it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate
from detector.prefilter.background import BackgroundEstimate, MedianBackground, Thresholds
from detector.prefilter.blocks import Grid
from detector.prefilter.prefilter import Prefilter
from detector.settings import load_settings
from stream import Frame

HEIGHT, WIDTH = 180, 320
Picture = NDArray[np.float32]
Change = Callable[[float, Picture], Picture]
"""The picture at a time (seconds), given the quiet scene."""


def land(level: float = 30.0) -> Picture:
    """A dark sky over brighter land with texture and two street lamps, levels 0..255."""
    rng = np.random.default_rng(5)
    picture = np.full((HEIGHT, WIDTH), level, np.float32)
    picture += np.linspace(0, 10, HEIGHT, dtype=np.float32)[:, None]
    picture[120:] += 15 + 6 * rng.standard_normal((60, WIDTH)).astype(np.float32)
    picture[140:144, 60:64] = picture[130:134, 250:254] = 220
    return picture


def sky_light(levels: float, *, rows: tuple[int, int] = (0, 120), columns: tuple[int, int] = (0, WIDTH)) -> Picture:
    """A soft glow in a part of the picture, `levels` high in its middle."""
    y = np.linspace(-1, 1, rows[1] - rows[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns[1] - columns[0], dtype=np.float32)[None, :]
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    light[rows[0] : rows[1], columns[0] : columns[1]] = levels * np.clip(1.2 - 0.6 * (x * x + y * y), 0, 1)
    return light


def patch(levels: float, rows: tuple[int, int], columns: tuple[int, int]) -> Picture:
    """A light with sharp edges, in pixels; a block has 5 by 5."""
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    light[slice(*rows), slice(*columns)] = levels
    return light


def frames(
    change: Change,
    *,
    seconds: float = 4.0,
    rate: float = 25.0,
    noise: float = 2.0,
    scene: Picture | None = None,
    seed: int = 1,
) -> Iterator[Frame]:
    """Frames of a camera that sees `scene` as `change` makes it, with sensor noise."""
    rng = np.random.default_rng(seed)
    quiet = land() if scene is None else scene
    for number in range(round(seconds * rate)):
        when = number / rate
        picture = change(when, quiet) + noise * rng.standard_normal(quiet.shape).astype(np.float32)
        luma = np.clip(16 + picture * 219 / 255, 0, 255).astype(np.uint8)
        yield Frame("roof", number, when, 1 / rate, luma)


def lit(*spans: tuple[float, float], light: Picture | None = None) -> Change:
    """Adds `light` (default: a wide glow) within each span of seconds."""
    added = sky_light(60) if light is None else light

    def change(when: float, quiet: Picture) -> Picture:
        return quiet + added if any(start - 1e-6 <= when < end - 1e-6 for start, end in spans) else quiet

    return change


def still(_when: float, quiet: Picture) -> Picture:
    """Nothing happens."""
    return quiet


def prefilter(**changes: float) -> Prefilter:
    """A prefilter with the shipped settings, some of them changed."""
    settings = load_settings([("test", {"prefilter": changes})])
    return Prefilter("roof", settings.prefilter)


def watch(source: Iterator[Frame], watcher: Prefilter | None = None) -> list[Candidate]:
    """Every candidate, open and closed, in the order in which they come."""
    watcher = watcher or prefilter()
    found = [candidate for frame in source for candidate in watcher.push(frame)]
    return found + watcher.flush()


def closed(source: Iterator[Frame], watcher: Prefilter | None = None) -> list[Candidate]:
    """The closed candidates."""
    return [candidate for candidate in watch(source, watcher) if not candidate.open]


def marked(source: Iterator[Frame], **fields: Callable[[Frame], object]) -> Iterator[Frame]:
    """The same frames with some fields changed."""
    for frame in source:
        yield replace(frame, **{name: make(frame) for name, make in fields.items()})  # type: ignore[arg-type]


def dark_scene(threshold: float, *, watched: NDArray[np.bool_] | None = None) -> Thresholds:
    """A black scene of 36 x 64 blocks whose noise is 0.1 levels, where `threshold` levels count as lit."""
    dark: Grid = np.zeros((36, 64), np.float32)
    return Thresholds(
        known=BackgroundEstimate(
            MedianBackground((dark,)), recent=dark, older=dark, noise=dark + np.float32(0.1), peak_change=dark
        ),
        recovery_level=None,
        periodic_level=None,
        watched=dark == 0 if watched is None else watched,
        least_rise=threshold,
        noise_factor=4.0,
        swing_factor=1.2,
    )
