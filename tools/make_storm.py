#!/usr/bin/env python3
"""Make a storm clip with exact truth: any sky, flashes and look-alikes, any codec that PyAV writes."""

import argparse
import json
import sys
from pathlib import Path

from storm import (
    FLASH_KINDS,
    LOOKALIKE_KINDS,
    Camera,
    ClipFormat,
    Labels,
    Plan,
    PlanError,
    Scene,
    WriteError,
    write_clip,
)
from storm.plan import CAMERAS, LANDS, SKIES, parse_flash, parse_lookalike

EXAMPLES = f"""\
flashes:     {", ".join(FLASH_KINDS)}
look-alikes: {", ".join(LOOKALIKE_KINDS)}

A kind may carry a time and more: bolt@3.2:rise=60,pulses=3 is a bolt of 3 pulses at 3.2 s that raises its brightest
block by 60 of 255 levels. Keys of a flash: rise, pulses, x, y (place, 0..1), size; of a look-alike: strength.
The same command always makes the same pictures.

examples:
  tools/make_storm.py storm.mp4 --flash sheet --flash bolt --lookalike headlights --labels labels.json
  tools/make_storm.py cheap.mkv --sky dusk --rain 0.6 --flash pulses@4 --codec libx265 --crf 35
  tools/make_storm.py phone.webm --codec libvpx --bitrate 1000000 --rate 29.97 --jitter 0.3 --drop 0.05 --flash band
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="make_storm.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "clip", type=Path, help="file to write; its ending chooses the container (.mp4, .mkv, .webm, ...)"
    )
    made.add_argument("--labels", type=Path, metavar="FILE", help="add the truth of this clip to a labels file (JSON)")
    scene = made.add_argument_group("scene")
    scene.add_argument("--seconds", type=float, default=10.0, help="length (default %(default)s)")
    scene.add_argument("--size", type=_size, default=(640, 360), metavar="WxH", help="pixels (default 640x360)")
    scene.add_argument("--rate", type=float, default=25.0, help="frames per second (default %(default)s)")
    scene.add_argument("--sky", choices=SKIES, default="night", help="(default %(default)s)")
    scene.add_argument("--land", choices=LANDS, default="city", help="what stands before the sky (default %(default)s)")
    scene.add_argument("--rain", type=float, default=0.0, help="0 to 1 (default %(default)s)")
    scene.add_argument("--wind", type=float, default=0.3, help="how fast clouds drift, 0 to 1 (default %(default)s)")
    scene.add_argument("--seed", type=int, default=1, help="what chance decides (default %(default)s)")
    scene.add_argument("--flash", action="append", default=[], metavar="KIND", help="a flash; may be given many times")
    scene.add_argument("--lookalike", action="append", default=[], metavar="KIND", help="a look-alike; the same")
    camera = made.add_argument_group("camera")
    camera.add_argument("--gain", type=float, help="amplification and so noise: 1 day, 4 to 16 night (default: by sky)")
    camera.add_argument("--exposure", type=float, help="share of the frame time that gathers light (default: by sky)")
    camera.add_argument("--readout", type=float, help="rolling shutter: first to last row, share of the frame time")
    camera.add_argument("--jitter", type=float, default=0.0, help="variable rate: strays by this share of a frame")
    camera.add_argument("--drop", type=float, default=0.0, help="variable rate: share of frames that never arrive")
    file = made.add_argument_group("file")
    file.add_argument("--codec", default="libx264", help="an encoder of FFmpeg (default %(default)s)")
    file.add_argument("--crf", type=int, help="quality, lower is better")
    file.add_argument("--bitrate", type=int, metavar="BITS", help="constant bits per second")
    file.add_argument("--preset", help="the encoder's word for speed against size")
    file.add_argument("--pixel-format", help="e.g. yuv420p10le (default: 8-bit 4:2:0)")
    file.add_argument("--key-seconds", type=float, default=2.0, help="between key frames (default %(default)s)")
    return made


def main() -> int:
    """Make the clip, and return 0 if done, 1 if it cannot be written, 2 for wrong use."""
    made = parser()
    given = made.parse_args()
    try:
        scene = Scene(plan_of(given))
    except (PlanError, ValueError) as error:
        made.error(str(error))
    form = ClipFormat(
        codec=given.codec,
        crf=given.crf,
        bit_rate=given.bitrate,
        preset=given.preset,
        pixel_format=given.pixel_format,
        key_seconds=given.key_seconds,
    )
    try:
        labels = write_clip(scene, given.clip, form)
        if given.labels is not None:
            add_labels(given.labels, given.clip.name, labels)
    except WriteError as error:
        print(f"make_storm.py: {error}", file=sys.stderr)
        return 1
    print(f"{given.clip}: {len(scene)} frames, {len(labels.flashes)} flashes, {given.clip.stat().st_size / 1e6:.1f} MB")
    for one in labels.details:
        seen = "" if one.visible else ", too faint to count"
        print(
            f"  {one.start:8.3f} to {one.end:.3f} s  {'+'.join(one.kinds)}: {one.rise_levels:.0f} levels, "
            f"{one.area:.0%} of the frame, {one.strength:.1f} times the noise{seen}"
        )
    return 0


def add_labels(path: Path, name: str, labels: Labels) -> None:
    """Set the entry `name` of the labels file at `path`, which is created if missing.

    Raises:
        WriteError: the file cannot be read or written.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        table[name] = labels.as_json()
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(table, indent=1), encoding="utf-8")
        part.replace(path)
    except (OSError, ValueError, TypeError) as error:
        raise WriteError(f"{path}: cannot add labels: {error}; give another --labels file") from error


def plan_of(given: argparse.Namespace) -> Plan:
    """Return the plan that a command line asks for.

    Returns:
        the plan.

    Raises:
        PlanError: a value is out of its range, a kind or key unknown.
    """
    suits = CAMERAS[given.sky]
    asked = [given.gain, given.exposure, given.readout]
    camera = None
    if any(value is not None for value in asked):
        usual = [suits.gain, suits.exposure, suits.readout]
        camera = Camera(*(value if value is not None else default for value, default in zip(asked, usual, strict=True)))
    return Plan(
        seconds=given.seconds,
        size=given.size,
        rate=given.rate,
        sky=given.sky,
        land=given.land,
        seed=given.seed,
        flashes=tuple(parse_flash(text) for text in given.flash),
        lookalikes=tuple(parse_lookalike(text) for text in given.lookalike),
        rain=given.rain,
        wind=given.wind,
        camera=camera,
        jitter=given.jitter,
        drop=given.drop,
    )


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected WIDTHxHEIGHT, e.g. 1280x720")
    return int(width), int(height)


if __name__ == "__main__":
    sys.exit(main())
