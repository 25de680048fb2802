"""Say what is installed, what is missing and what to do about it.

Ends with 1 if something that the settings ask for cannot work. --smoke also loads the model and checks its answers.
"""

import argparse
from collections.abc import Iterator

import msgspec
from rich.text import Text

from detector.cli.console import result_console
from detector.cli.doctor import Check, Doctor
from detector.cli.options import add_settings_arguments, add_verifier_arguments, lay_verifier_arguments, settings_of
from detector.errors import VerifierError
from detector.settings import SERVER_VERIFIERS, Settings
from detector.verify.vlm.local.models import contribution
from detector.verify.vlm.local.smoke import SmokeTest

_MARKS = {True: ("ok", "green"), False: ("no", "red"), None: ("--", "dim")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the choice of checks and the form of output."""
    parser.add_argument("--smoke", action="store_true", help="load the model and check its answers, speed and memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    add_verifier_arguments(parser)
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the checks, print each finding as it comes, and return 1 if a needed one fails."""
    settings = lay_verifier_arguments(settings_of(arguments), arguments)
    doctor = Doctor(settings)
    console = result_console()
    found: list[Check] = []
    for check in _all_checks(doctor, settings, smoke=arguments.smoke):
        found.append(check)
        if not arguments.json:
            line = Text.assemble(_MARKS[check.ok], f" {check.name:<22} {check.text}")
            console.print(line, soft_wrap=True)
    failed = any(check.ok is False for check in found)
    if arguments.json:
        print(msgspec.json.encode({"ok": not failed, "checks": found}).decode())
    return 1 if failed else 0


def _all_checks(doctor: Doctor, settings: Settings, *, smoke: bool) -> Iterator[Check]:
    yield from doctor.checks()
    if smoke:
        yield from _smoke_checks(doctor, settings)


def _smoke_checks(doctor: Doctor, settings: Settings) -> Iterator[Check]:

    kind = settings.verifier.kind
    if kind == "served" or (settings.served.endpoint and kind in SERVER_VERIFIERS):
        yield from _served_checks(settings)
        return
    if doctor.snapshot is None or doctor.report is None:
        yield Check(name="smoke", ok=False, text="cannot run: torch, transformers and the snapshot must be there first")
        return
    test = SmokeTest(settings, doctor.snapshot)
    passed = True
    try:
        for finding in test.findings():
            passed = passed and finding.ok
            yield Check(name=f"smoke: {finding.name}", ok=finding.ok, text=finding.text)
    except VerifierError as error:
        yield Check(name="smoke", ok=False, text=str(error))
        return
    if passed and test.loaded is not None:
        about = msgspec.structs.asdict(test.loaded)
        text = contribution(doctor.snapshot.model, doctor.snapshot.revision, about, test.seconds_per_clip)
        yield Check(name="verified", ok=True, text=text)


def _served_checks(settings: Settings) -> Iterator[Check]:
    from detector.verify.vlm.served_smoke import served_findings  # noqa: PLC0415 - its HTTP client is slow to import

    try:
        for finding in served_findings(settings):
            yield Check(name=f"smoke: {finding.name}", ok=finding.ok, text=finding.text)
    except VerifierError as error:
        yield Check(name="smoke", ok=False, text=str(error))
