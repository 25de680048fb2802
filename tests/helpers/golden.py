"""Made clips whose results are kept as data, and what of an event counts there."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from helpers.media import Clip, encode_again
from storm import ClipFormat, FlashPlan, LookalikePlan, Plan, Scene, write_clip

SIZE = (320, 180)
PLANS = {
    "bolt": Plan(seconds=4, size=SIZE, seed=11, flashes=(FlashPlan(kind="bolt", at=2.0, rise=80),)),
    "sheet": Plan(seconds=4, size=SIZE, seed=12, sky="dusk", rain=0.2, flashes=(FlashPlan(kind="sheet", at=2.0),)),
    "pulses": Plan(
        seconds=4, size=SIZE, seed=13, land="hills", flashes=(FlashPlan(kind="pulses", at=1.8, rise=60, pulses=4),)
    ),
    "distant": Plan(
        seconds=4, size=SIZE, seed=14, rate=30, land="trees", flashes=(FlashPlan(kind="distant", at=2.0, rise=40),)
    ),
    "faint": Plan(seconds=4, size=SIZE, seed=21, rain=0.3, flashes=(FlashPlan(kind="distant", at=2.0, rise=14),)),
    "band": Plan(seconds=4, size=SIZE, seed=22, sky="day", flashes=(FlashPlan(kind="band", at=2.0, rise=30),)),
    "afterglow": Plan(seconds=5, size=SIZE, seed=23, flashes=(FlashPlan(kind="afterglow", at=2.0, rise=50),)),
    "fireworks": Plan(seconds=6, size=SIZE, seed=18, lookalikes=(LookalikePlan(kind="fireworks", at=2.0),)),
    "flicker": Plan(seconds=6, size=SIZE, seed=19, lookalikes=(LookalikePlan(kind="flicker", at=2.0),)),
    "fade": Plan(seconds=6, size=SIZE, seed=20, lookalikes=(LookalikePlan(kind="dip_to_white", at=2.0),)),
    "lamp": Plan(seconds=6, size=SIZE, seed=15, lookalikes=(LookalikePlan(kind="lamp", at=2.0),)),
    "headlights": Plan(seconds=6, size=SIZE, seed=16, lookalikes=(LookalikePlan(kind="headlights", at=2.0),)),
    "exposure": Plan(seconds=5, size=SIZE, seed=17, lookalikes=(LookalikePlan(kind="exposure_step", at=2.0),)),
}
# One thread each: some encoders code otherwise with more.
X265 = {"preset": "ultrafast", "x265-params": "log-level=error:pools=none:frame-threads=1"}
CODINGS = {
    "bolt-h264.mp4": Clip(key_seconds=2, options={"threads": "1", "crf": "26"}),
    "bolt-h265.mkv": Clip(codec="libx265", options=X265),
    "pulses-mpeg4.avi": Clip(codec="mpeg4", options={"threads": "1"}),
    "pulses-jpeg.avi": Clip(codec="mjpeg", pixels="yuvj420p", full_range=True, options={"threads": "1", "qmax": "4"}),
    "distant-ten-bits.mp4": Clip(
        codec="libx265",
        pixels="yuv420p10le",
        options=X265,
    ),
}


def make_golden_clips(folder: Path) -> None:
    """Write every clip: each plan without loss, some of them coded again."""
    for name, plan in PLANS.items():
        write_clip(Scene(plan), folder / f"{name}.mkv", ClipFormat(codec="ffv1"))
    for name, coding in CODINGS.items():
        scene = name.partition("-")[0]
        plan = PLANS[scene]
        as_asked = {"size": plan.size, "rate": Scene(plan).rate}
        encode_again(folder / f"{scene}.mkv", folder / name, Clip(**(_fields(coding) | as_asked)))


def _fields(clip: Clip) -> dict[str, Any]:
    return {name: getattr(clip, name) for name in ("codec", "pixels", "full_range", "key_seconds", "options")}


def golden_results(flashes: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What counts of the last revision of each flash, by clip, in order of time."""
    last = {flash["id"]: flash for flash in flashes}
    results: dict[str, list[dict[str, Any]]] = {}
    for flash in sorted(last.values(), key=lambda flash: (flash["file"], flash["start_seconds"])):
        results.setdefault(flash["file"], []).append(
            {
                "state": flash["state"],
                "start": flash["start_seconds"],
                "end": flash["end_seconds"],
                "pulses": [[pulse["offset_seconds"], pulse["duration_seconds"]] for pulse in flash["pulses"]],
                "probability": flash["verdict"]["probability"],
            }
        )
    return results
