"""Tell people of storms, first flashes, lost cameras and full disks: by mail, messenger or webhook.

It only listens to the feed. With --cursor nothing is missed and nothing told twice across restarts.
A camera sees light, not distance: this is not a safety device.
"""

import argparse
from datetime import time
from pathlib import Path
from threading import Event

from detector.cli.console import result_console
from detector.cli.log import log_to_stderr, withhold
from detector.cli.options import add_settings_arguments, lay_notify_arguments, settings_of
from detector.cli.signals import stop_on_signals
from detector.cli.types import folders_of, number_of
from detector.errors import DetectorError, UsageError
from detector.output.local_time import site_zone
from detector.placeholders import secrets_of
from detector.settings import ALERT_KINDS
from stream import parse_endpoint

_MISSING = "this needs more: pip install 'lightning-detector[notify]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the feed, whom to tell, what and when."""
    parser.add_argument("endpoint", metavar="ENDPOINT", help="a feed, e.g. tcp://127.0.0.1:5556, or that of a relay")
    parser.add_argument(
        "--to",
        action="append",
        required=True,
        metavar="URL",
        help="webhooks://host/path?secret={NAME}, or an address that Apprise knows, e.g. "
        "mailtos://user:{NAME}@host?to=me@host; {NAME} is read from the environment; may be repeated",
    )
    parser.add_argument("--cursor", type=Path, metavar="FILE", help="keep the place here and go on from it next time")
    parser.add_argument(
        "--since", type=number_of, metavar="N", help="start behind message N (0: everything kept); default: what comes"
    )
    parser.add_argument(
        "--on", action="append", choices=ALERT_KINDS, metavar="KIND", help=f"tell only of: {', '.join(ALERT_KINDS)}"
    )
    parser.add_argument(
        "--cooldown", type=float, metavar="S", help="seconds between two messages of one kind about the same subject"
    )
    parser.add_argument("--quiet-hours", metavar="FROM-TO", help="local time in which nothing is sent, as 22:00-07:00")
    parser.add_argument("--attach", choices=["still", "clip"], help="send the still or clip of the flash (needs --out)")
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="[SITE=]DIR",
        help="the folder that watch was given as --out, where stills and clips are",
    )
    parser.add_argument(
        "--template",
        action="append",
        default=[],
        metavar="KIND=TEXT",
        help="what a message of that kind says, e.g. 'storm_began={flashes} flashes since {first}'; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent, and send nothing")
    parser.add_argument("--key", type=Path, metavar="FILE", help="client key, if the feed has keys")
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Notify until told to end."""
    settings = lay_notify_arguments(settings_of(arguments), arguments)
    if arguments.attach and not arguments.out:
        raise UsageError(f"--attach {arguments.attach}: add --out DIR, the folder that watch was given")
    if arguments.dry_run and arguments.cursor:
        raise UsageError("--dry-run sends nothing, so --cursor must not move; leave it out, or give --since N")
    try:
        from detector.integrations.notify.service import DryTarget, Notifier, NotifyOptions  # noqa: PLC0415 - of the extra
        from detector.integrations.notify.targets import Target, make_target  # noqa: PLC0415

        targets: list[tuple[str, Target]] = [
            (url, make_target(number, url)) for number, url in enumerate(arguments.to, 1)
        ]
    except ModuleNotFoundError as error:
        raise DetectorError(f"{_MISSING} ({error.name} is not installed)") from error
    from detector.integrations.notify.outbox import Policy  # noqa: PLC0415 - not for --help
    from detector.integrations.notify.words import Templates  # noqa: PLC0415
    from detector.integrations.web.folder import RunFolders  # noqa: PLC0415

    parse_endpoint(arguments.endpoint)
    zone = site_zone(settings.site)
    if arguments.dry_run:
        console = result_console()

        def tell(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        targets = [(url, DryTarget(target.label, tell)) for url, target in targets]
    options = NotifyOptions(
        endpoint=arguments.endpoint,
        keys=() if arguments.key is None else (arguments.key,),
        cursor=arguments.cursor,
        since=arguments.since,
        targets=targets,
        settings=settings.notify,
        quiet_seconds=settings.storm.quiet_minutes * 60,
        policy=Policy(
            cooldown_seconds=settings.notify.cooldown_seconds,
            messages_per_hour=settings.notify.messages_per_hour,
            quiet=_quiet_hours(settings.notify.quiet_hours),
            zone=zone,
        ),
        templates=Templates(_templates(arguments.template), zone),
        attach=arguments.attach or "",
        folders=RunFolders(folders_of(arguments.out)),
    )
    log_to_stderr()
    withhold(secrets_of(arguments.to))
    notifier = Notifier(options)
    with stop_on_signals(Event()) as stop:
        notifier.run(stop)
    return 0


def _quiet_hours(text: str) -> tuple[time, time] | None:
    if not text:
        return None
    try:
        begin, end = (time.fromisoformat(part) for part in text.split("-"))
    except ValueError:
        raise UsageError(f"--quiet-hours {text}: write two times of day, as 22:00-07:00") from None
    return begin, end


def _templates(given: list[str]) -> dict[str, str]:
    texts = {}
    for one in given:
        kind, equals, text = one.partition("=")
        if not equals:
            raise UsageError(f"--template {one!r}: write KIND=TEXT")
        texts[kind] = text
    return texts
