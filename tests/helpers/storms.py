"""Made results of runs, without any video: folders as `replay --out` and `watch --out` leave them."""

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import av
import msgspec
import numpy as np
from PIL import Image, ImageDraw

from detector.events import Flash, FlashMessage, Media, Pulse, Verdict
from detector.output.report.curves import CurveRecorder
from stream import Frame

CLEAR = {
    "positivity": 1.0,
    "fallen_share": 0.999,
    "went_dark": 1.0,
    "suddenness": 1.0,
    "steadiness": 0.1,
    "warmth": -0.08,
}
START = datetime(2026, 7, 14, 19, 14, 20, tzinfo=UTC).timestamp()


def made_flash(
    at: float,
    camera: str = "west-ridge",
    *,
    utc: float | None = START,
    state: str = "confirmed",
    file: str | None = None,
    pulses: int = 1,
    rise: float = 120.0,
    lit: float = 0.6,
    probability: float | None = 0.95,
    reason: str | None = None,
    evidence: dict[str, float] | None = None,
    **more: object,
) -> Flash:
    """A flash at `at` seconds on its source's clock, whose 0 is `utc`."""
    duration = round(0.12 * pulses, 3)
    lightning = {"confirmed": True, "rejected": False}.get(state)
    verdict = None if state == "detected" else Verdict(
        lightning=lightning, probability=probability, verifier="photometric", evidence=evidence or CLEAR, reason=reason
    )  # fmt: skip
    start_utc = None if utc is None else datetime.fromtimestamp(utc + at, UTC).isoformat(timespec="microseconds")
    values: dict[str, object] = {
        "id": f"{camera}-{at:.3f}s-{state[:3]}", "camera": camera, "file": file, "state": state, "revision": 2,
        "start_seconds": at, "peak_seconds": at, "end_seconds": at + duration, "duration_seconds": duration,
        "start_utc": None if start_utc is None else start_utc.replace("+00:00", "Z"),
        "clock": "none" if utc is None else "file", "utc_error_ms": None, "quality": (),
        "pulses": tuple(
            Pulse(offset_seconds=round(n * 0.12, 3), duration_seconds=0.08, rise_levels=rise / 3) for n in range(pulses)
        ),
        "peak_rise_levels": rise, "lit_fraction": lit, "box": (0.0, 0.0, 1.0, 1.0), "centroid": (0.5, 0.4),
        "verdict": verdict, "media": Media(), "latency_ms": 200.0, "software": "lightning-detector test",
    }  # fmt: skip
    return Flash(**(values | more))


def write_flashes(path: Path, flashes: list[Flash]) -> None:
    """Write events as lines, as a run does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number, flash in enumerate(flashes, 1):
            message = FlashMessage(
                id=f"run-{number}", source="urn:lightning-detector:site", type="lightning.flash.v1",
                subject=flash.camera, time="2026-11-22T21:29:03.501221Z", dataschema="urn:lightning-detector:flash:1",
                feed="f", run="r", sequence=str(number), data=flash,
            )  # fmt: skip
            file.write(msgspec.json.encode(message) + b"\n")


def made_frame(seconds: float, utc: float | None = START, rate: float = 25.0) -> Frame:
    """A frame that has times and no image to speak of."""
    return Frame(
        camera="made", number=0, seconds=seconds, duration=1 / rate, luma=np.zeros((2, 2), np.uint8),
        utc=None if utc is None else utc + seconds, clock="none" if utc is None else "file",
    )  # fmt: skip


def write_curve(folder: Path, camera: str, seconds: float, flashes: list[Flash], **how: object) -> None:
    """Write the light curve of a recording: calm at 10 frames/s, 25 about its flashes."""
    utc, file = how.get("utc", START), how.get("file")
    recorder = CurveRecorder(folder, camera, file)  # type: ignore[arg-type]
    lit = sorted((flash.start_seconds, flash) for flash in flashes if flash.camera == camera)
    t, n = 0.0, 0
    while t < seconds:
        while n < len(lit) and t > lit[n][1].end_seconds + 2:
            n += 1
        near = n < len(lit) and t > lit[n][0] - 2.1
        since = t - lit[n][0] if near else -1.0
        light = lit[n][1].peak_rise_levels * math.exp(-6 * since) if since > -1e-6 else 0.0
        keep = near and -1e-6 < since < lit[n][1].duration_seconds
        recorder.add(made_frame(t, utc), 20 + 2 * math.sin(t / 900) + light * 0.4, light, keep=keep)  # type: ignore[arg-type]
        t = round(t + (0.04 if near else 0.1), 3)
    recorder.close()


def made_still(path: Path, seed: int, size: tuple[int, int] = (640, 360)) -> None:
    """Draw a bolt over a dark town."""
    dice = random.Random(seed)
    image = Image.new("RGB", size, (18, 16, 26))
    draw = ImageDraw.Draw(image)
    wide, high = size
    for n in range(12):
        left = n * wide // 12
        draw.rectangle([left, high * (0.72 + 0.02 * (n * 7 % 5)), left + wide // 14, high], fill=(8, 8, 10))
    x, y = dice.uniform(0.2, 0.8) * wide, 0.0
    while y < 0.8 * high:
        nx, ny = x + dice.gauss(0, wide / 40), y + high / 16
        draw.line([x, y, nx, ny], fill=(235, 225, 255), width=3)
        x, y = nx, ny
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=80)


def made_clip(path: Path, before: float = 2.0, seconds: float = 4.5, size: tuple[int, int] = (320, 180)) -> None:
    """Encode a clip that is dark but for a flash `before` seconds after its start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for n in range(round(seconds * 25)):
            since = n / 25 - before
            level = 20 + (180 * math.exp(-8 * since) if since > -1e-6 else 0)
            image = np.full((size[1], size[0], 3), level, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))


@dataclass
class MadeRun:
    """A run's folder in the making; `write` makes it.

    Attributes:
        folder: where it goes.
        flashes: its events.
    """

    folder: Path
    flashes: list[Flash] = field(default_factory=list)

    def add(self, flash: Flash, *, still: bool = False, clip: bool = False) -> Flash:
        """Add a flash, with made media where asked for."""
        media = {}
        if still:
            media["still"] = f"stills/{flash.id}.jpg"
            made_still(self.folder / media["still"], len(self.flashes))
        if clip:
            media["clip"] = f"clips/{flash.id}.mp4"
            made_clip(self.folder / media["clip"])
        self.flashes.append(msgspec.structs.replace(flash, media=Media(**media)))
        return self.flashes[-1]

    def write(self) -> Path:
        """Write flashes.jsonl."""
        write_flashes(self.folder / "flashes.jsonl", self.flashes)
        return self.folder


REJECTED = (
    ("it shone evenly, as lamps do (steadiness 0.95); its light is warm, as that of lamps (warmth 0.3)"),
    ("it grew slowly (suddenness 0.2)"),
    ("it blinked, as lamps do (blinks 4); it shone evenly, as lamps do (steadiness 0.9)"),
)


def long_storm(folder: Path, *, flashes: int = 300, rejected: int = 144, hours: float = 2.0) -> Path:
    """A storm of two cameras over hours, with stills and light curves, and clips of the first few."""
    dice = random.Random(7)
    run = MadeRun(folder)
    times = sorted(dice.uniform(5, hours * 3600 - 5) for _ in range(flashes + rejected))
    last = {"west-ridge": -9.0, "harbour": -9.0}
    for number, wanted in enumerate(times):
        camera = dice.choice(("west-ridge", "harbour"))
        at = round(max(wanted, last[camera] + 3), 2)
        last[camera] = at
        if number % (flashes + rejected) * rejected // (flashes + rejected) != (number + 1) * rejected // (
            flashes + rejected
        ):
            run.add(made_flash(at, camera, state="rejected", probability=0.1, reason=dice.choice(REJECTED)))
        else:
            flash = made_flash(
                at, camera, pulses=dice.randint(1, 5), rise=dice.uniform(30, 240), lit=dice.uniform(0.03, 1)
            )
            run.add(flash, still=True, clip=len(run.flashes) < 8)
    for camera in last:
        write_curve(folder, camera, hours * 3600, [one for one in run.flashes if one.state == "confirmed"])
    return run.write()
