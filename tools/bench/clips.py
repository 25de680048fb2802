"""The clips that benchmarks make: storms as cameras would send them, in every codec and size."""

import sys
from pathlib import Path

from bench.process import run
from storm import ClipFormat, FlashPlan, Plan, Scene, write_clip

CODECS = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg", "av1": "libsvtav1"}
SIZES = {720: (1280, 720), 1080: (1920, 1080), 2160: (3840, 2160)}
_SUFFIXES = {"mjpeg": ".avi"}


def make_storm(path: Path, seconds: float, codec: str = "h264", lines: int = 1080, mbit: float = 4.0) -> Path:
    """Make a storm of two flashes at 25 frames a second and so many Mbit/s; JPEGs at their codec's usual quality."""
    print(f"making {seconds:g} s of {codec} in {lines} lines at {mbit:g} Mbit/s ...", file=sys.stderr)
    flashes = (FlashPlan(kind="bolt", at=seconds * 0.3), FlashPlan(kind="pulses", at=seconds * 0.7))
    plan = Plan(seconds=seconds, size=SIZES[lines], rate=25, flashes=flashes, seed=1, rain=0.2)
    rate = None if codec == "mjpeg" else round(mbit * 1e6)
    path = path.with_suffix(_SUFFIXES.get(codec, ".mp4"))
    write_clip(Scene(plan), path, ClipFormat(codec=CODECS[codec], bit_rate=rate))
    return path


def join(clip: Path, times: int, folder: Path) -> Path:
    """Write the clip `times` times in a row, without coding it again."""
    listing = folder / "list.txt"
    listing.write_text(f"file '{clip.resolve()}'\n" * times, encoding="utf-8")
    joined = folder / f"{clip.stem}-times-{times}{clip.suffix}"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "concat", "-safe", "0", "-i", str(listing)]
    run([*command, "-c", "copy", str(joined)])
    return joined
