"""Measure what a codec leaves of each flash: compare the file with the same scene coded without flashes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.prefilter.blocks import block_luma
from detector.settings import load_settings
from storm import ClipFormat, Scene, write_clip
from storm.truth import STRENGTH_SHARE, FlashTruth
from stream import open_video


def levels_left(scene: Scene, coded: Path, form: ClipFormat, flashes: Sequence[FlashTruth]) -> list[float]:
    """Measure the levels by which 1 % of the blocks rise in the file, each flash in its best frame.

    Args:
        scene: the scene.
        coded: its file. The same scene without flashes is written beside it.
        form: how both are coded.
        flashes: the flashes to measure.

    Returns:
        levels, one for each flash.
    """
    if not flashes:
        return []
    dark = coded.with_name("dark" + coded.suffix)
    write_clip(Scene(replace(scene.plan, flashes=())), dark, form)
    seconds, shown = _block_luma(coded)
    rises = (shown - _block_luma(dark)[1]).reshape(len(seconds), -1)
    rank = max(1, round(STRENGTH_SHARE * rises.shape[1]))
    reached = np.partition(rises, -rank, axis=1)[:, -rank]
    half_a_frame = scene.frame_seconds / 2
    return [
        float(reached[(seconds > one.start - half_a_frame) & (seconds < one.end - half_a_frame)].max(initial=0.0))
        for one in flashes
    ]


def _block_luma(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return (frames,) seconds and (frames, rows, columns) levels."""
    with open_video(path, options=load_settings().capture) as video:
        frames = [(frame.seconds, block_luma(frame)) for frame in video]
    return np.array([seconds for seconds, _ in frames]), np.stack([grid for _, grid in frames])
