"""Candidates for tests: real frames with a bright patch in the peak, without a decoder."""

import numpy as np
from numpy.typing import NDArray

from detector.candidate import Candidate, LightCurve
from detector.events import Pulse
from stream import Frame


def frame(level: int, *, patch: int | None = None, size: tuple[int, int] = (180, 320), camera: str = "roof",
          seconds: float = 0.0) -> Frame:  # fmt: skip
    """A grey frame of (height, width) `size` with, if told, a brighter patch in its upper middle."""
    luma = np.full(size, level, np.uint8)
    if patch is not None:
        luma[: size[0] // 3, size[1] // 3 : 2 * size[1] // 3] = patch
    return Frame(camera=camera, number=round(seconds * 25), seconds=seconds, duration=0.04, luma=luma)


def candidate(
    name: str = "roof-1", *, camera: str = "roof", peak: int = 200, size: tuple[int, int] = (180, 320)
) -> Candidate:
    """A closed candidate with a single pulse at 1.0 s whose patch reaches `peak` (luma)."""

    def curve(*values: float) -> NDArray[np.float32]:
        return np.array(values, np.float32)

    brightest = frame(30, patch=peak, size=size, camera=camera, seconds=1.0)
    return Candidate(
        id=name,
        camera=camera,
        open=False,
        start_seconds=1.0,
        peak_seconds=1.0,
        end_seconds=1.04,
        pulses=(Pulse(offset_seconds=0.0, duration_seconds=0.04, rise_levels=float(peak - 30)),),
        peak_rise_levels=float(peak - 30),
        lit_fraction=0.1,
        box=(0.33, 0.0, 0.67, 0.33),
        centroid=(0.5, 0.17),
        curve=LightCurve(
            seconds=np.array([0.96, 1.0, 1.04]),
            rise=curve(0, peak - 30, 0),
            peak_rise=curve(0, peak - 30, 0),
            lit_fraction=curve(0, 0.1, 0),
            positivity=curve(1, 1, 1),
            lit=np.array([False, True, False]),
            overlap=curve(0, 0, 0),
            x=curve(0.5, 0.5, 0.5),
            y=curve(0.17, 0.17, 0.17),
        ),
        background=np.full((18, 32), 30, np.float32),
        peak_map=np.full((18, 32), 30, np.float32),
        lit_map=np.zeros((18, 32), np.bool_),
        onset=brightest,
        peak=brightest,
        before=frame(30, size=size, camera=camera, seconds=0.96),
        after=frame(30, size=size, camera=camera, seconds=1.04),
    )
