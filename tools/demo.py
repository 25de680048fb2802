#!/usr/bin/env python3
"""Demonstrate the program: replay a made storm, publish and receive its flashes, and compare them with the truth."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from detector.evaluate.score import COLLAR_SECONDS, match
from detector.events import Flash, FlashMessage
from make_storm import add_labels
from storm import ClipFormat, FlashPlan, Labels, LookalikePlan, Plan, Scene, write_clip
from stream import Message

FOLDER = Path("demo")
COMMAND = str(Path(sys.executable).parent / "lightning-detector")
REPLAY_LIMIT_SECONDS = 120.0
ARRIVAL_LIMIT_SECONDS = 15.0
END_LIMIT_SECONDS = 10.0
PLAN = Plan(
    seconds=26.0,
    size=(960, 540),
    rate=25,
    sky="night",
    land="city",
    seed=21,
    rain=0.15,
    flashes=(
        FlashPlan(kind="sheet", at=2.6, rise=45),
        FlashPlan(kind="bolt", at=7.1, rise=80, pulses=3, x=0.62),
        FlashPlan(kind="distant", at=14.2, rise=40, x=0.3),
        FlashPlan(kind="single", at=17.0, rise=25),
        FlashPlan(kind="crawler", at=20.6, rise=70, x=0.4, y=0.25),
    ),
    lookalikes=(
        LookalikePlan(kind="aircraft", at=3.8),
        LookalikePlan(kind="headlights", at=8.5, strength=0.8),
        LookalikePlan(kind="shake", at=15.2, strength=0.5),
        LookalikePlan(kind="sun", at=17.4),
        LookalikePlan(kind="exposure_step", at=22.8, strength=0.5),
    ),
)
"""Five flashes of different kinds, with look-alikes between them."""


class DemoError(Exception):
    """A step of the demo failed; the message says which, and what the program printed."""


@dataclass(slots=True)
class Mail:
    """The subscriber's output so far: the numbers of its messages, and at the end its errors."""

    numbers: set[tuple[str, str]] = field(default_factory=set)
    complaints: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def read(self, lines: Iterator[bytes]) -> None:
        """Read each line until the subscriber ends."""
        for line in lines:
            message = msgspec.json.decode(line, type=Message[dict[str, Any]])
            with self.changed:
                self.numbers.add((message.feed, message.sequence))
                self.changed.notify_all()

    def all_here(self, wanted: set[tuple[str, str]], limit_seconds: float) -> bool:
        """Return whether all of `wanted` came within the limit."""
        with self.changed:
            return self.changed.wait_for(lambda: wanted <= self.numbers, limit_seconds)


def main() -> int:
    """Make, replay, receive, compare; return 0 if every flash was found, none invented and no event lost."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        labels = _make(console)
        endpoint = f"tcp://127.0.0.1:{_two_free_ports()}"
        with _subscriber(endpoint) as mail:
            published = _replay(console, endpoint)
            numbers = {(message.feed, message.sequence) for message in published}
            arrived = mail.all_here(numbers, ARRIVAL_LIMIT_SECONDS)
            received = len(numbers & mail.numbers)
    except DemoError as error:
        console.print(f"demo: {error}", style="red", markup=False)
        return 1
    flashes = list({message.data.id: message.data for message in published}.values())
    good = show_flashes(console, labels, flashes)
    console.print(f"Events published: {len(numbers)}, received by the subscriber: {received}")
    if not arrived and mail.complaints:
        console.print(f"The subscriber said: {mail.complaints}", markup=False)
    _show_files(console)
    console.print("Every flash found, none made up, no event lost." if good and arrived else "[red]The demo failed.")
    return 0 if good and arrived else 1


def _make(console: Console) -> Labels:
    """Make the clip and its labels, in a folder without files of an earlier run."""
    FOLDER.mkdir(exist_ok=True)
    shutil.rmtree(FOLDER / "run", ignore_errors=True)
    for old in FOLDER.glob("events.journal*"):
        old.unlink()
    scene = Scene(PLAN)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("making a storm of 26 seconds", total=len(scene))
        labels = write_clip(
            scene, FOLDER / "storm.mp4", ClipFormat(crf=25), lambda number: progress.update(task, completed=number + 1)
        )
    add_labels(FOLDER / "labels.json", "storm.mp4", labels)
    console.print(f"Made {FOLDER}/storm.mp4: {len(scene)} frames, {len(labels.flashes)} flashes.")
    return labels


@contextmanager
def _subscriber(endpoint: str) -> Iterator[Mail]:
    """Run a subscriber in a separate process inside the block, started before there is anything to receive."""
    command = [COMMAND, "subscribe", endpoint, "--json", "--since", "0", "--quiet"]
    mail = Mail()
    with TemporaryFile() as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        reader = threading.Thread(target=mail.read, args=(iter(process.stdout.readline, b""),), name="demo-reader")
        reader.start()
        try:
            yield mail
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join(END_LIMIT_SECONDS)
            errors.seek(0)
            mail.complaints = errors.read().decode(errors="replace").strip()


def _replay(console: Console, endpoint: str) -> list[FlashMessage]:
    """Replay the clip with the real command, and return every event that it published."""
    command = [COMMAND, "replay", str(FOLDER / "storm.mp4"), "--out", str(FOLDER / "run"), "--verifier", "photometric"]
    command += ["--publish", endpoint, "--journal", str(FOLDER / "events.journal"), "--json"]
    shown = " ".join(["lightning-detector", *command[1:]])
    console.print(f"$ {shown}", style="dim", markup=False, soft_wrap=True)
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=REPLAY_LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"replay did not end within {REPLAY_LIMIT_SECONDS:g} s; is the machine very busy?") from error
    if done.returncode != 0:
        raise DemoError(f"replay ended with code {done.returncode}; its message is above")
    return [msgspec.json.decode(line, type=FlashMessage) for line in done.stdout.splitlines()]


def show_flashes(console: Console, labels: Labels, flashes: Sequence[Flash]) -> bool:
    """Print the table of truth and result, and return whether they agree."""
    told = sorted((one for one in flashes if one.state == "confirmed"), key=lambda one: one.start_seconds)
    spans = [(one.start_seconds, one.end_seconds or one.start_seconds) for one in told]
    made = [(start, end) for start, end in labels.flashes]
    pairs = dict(match(made, spans, COLLAR_SECONDS))
    table = Table(title="Flashes made and flashes found")
    for column in ("made as", "start s", "lasts s", "pulses", "found s", "error ms", "lasts s", "pulses", "state"):
        table.add_column(column, justify="left" if column in ("made as", "state") else "right")
    for number, (start, end) in enumerate(made):
        kinds = next("+".join(one.kinds) for one in labels.details if one.start == start)
        count = sum(start <= pulse[0] < end for pulse in labels.pulses)
        truth = [kinds, f"{start:.3f}", f"{end - start:.2f}", str(count)]
        table.add_row(
            *truth, *(_found(told[pairs[number]], start) if number in pairs else ["", "", "", "", "[red]missed"])
        )
    for one in (flash for number, flash in enumerate(told) if number not in pairs.values()):
        table.add_row("[red]nothing", "", "", "", *_found(one, one.start_seconds))
    console.print(table)
    rejected = sum(one.state == "rejected" for one in flashes)
    console.print(f"Look-alikes in the clip that came as far as the verifier and were rejected: {rejected}")
    return len(pairs) == len(made) == len(told)


def _found(flash: Flash, truth_seconds: float) -> list[str]:
    error = 1000 * (flash.start_seconds - truth_seconds)
    lasts = f"{flash.duration_seconds:.2f}" if flash.duration_seconds is not None else ""
    return [f"{flash.start_seconds:.3f}", f"{error:+.0f}", lasts, str(len(flash.pulses)), flash.state]


def _show_files(console: Console) -> None:
    console.print(f"Results in {FOLDER}/:")
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        console.print(f"  {path.relative_to(FOLDER)}  {path.stat().st_size / 1000:.1f} kB", highlight=False)


def _two_free_ports() -> int:
    """Return a port that is free together with the one above it, which is for the history."""
    for _ in range(50):
        with socket.socket() as lower, socket.socket() as upper:
            lower.bind(("127.0.0.1", 0))
            port = int(lower.getsockname()[1])
            try:
                upper.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise DemoError("no two neighbouring free ports on 127.0.0.1; close some programs that listen")


if __name__ == "__main__":
    sys.exit(main())
