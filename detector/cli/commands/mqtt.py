"""Bring a feed to an MQTT broker: each event, and the states of cameras and sites for home automation.

It only listens to the feed. While the broker is away nothing is lost: the events stay with the publisher, and with
--cursor also while this program is away. A camera sees light, not distance: this is not a safety device.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from detector.cli.log import log_to_stderr
from detector.cli.options import add_settings_arguments, settings_of
from detector.cli.signals import stop_on_signals
from detector.cli.types import folders_of
from detector.errors import DetectorError
from stream import parse_endpoint

_MISSING = "this needs more: pip install 'lightning-detector[mqtt]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the feed, the broker and what to publish."""
    parser.add_argument("endpoint", metavar="ENDPOINT", help="a feed, e.g. tcp://127.0.0.1:5556, or that of a relay")
    parser.add_argument(
        "--broker",
        required=True,
        metavar="URL",
        help="mqtts://user:{NAME}@host:8883, or mqtt:// without encryption; {NAME} is read from the environment",
    )
    parser.add_argument(
        "--broker-ca",
        type=Path,
        metavar="FILE",
        help="certificates (PEM) that the broker's is signed with (default: the system's)",
    )
    parser.add_argument("--cursor", type=Path, metavar="FILE", help="keep the place here and go on from it next time")
    parser.add_argument(
        "--discovery", choices=["homeassistant"], help="publish the devices for Home Assistant, so that it finds them"
    )
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="[SITE=]DIR",
        help="the folder that watch was given as --out: the last still of each camera is published from it",
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="client key, if the feed has keys")
    parser.add_argument("--client-id", default="", metavar="NAME", help="the name at the broker (default: made)")
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the bridge until stopped."""
    settings = settings_of(arguments).mqtt
    try:
        from detector.integrations.mqtt.bridge import Bridge, BridgeOptions  # noqa: PLC0415 - of the extra `mqtt`
        from detector.integrations.mqtt.broker import parse_broker  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DetectorError(f"{_MISSING} ({error.name} is not installed)") from error
    from detector.integrations.web.folder import RunFolders  # noqa: PLC0415 - not for --help

    parse_endpoint(arguments.endpoint)
    broker = parse_broker(arguments.broker)
    keys: Sequence[Path] = () if arguments.key is None else (arguments.key,)
    bridge = Bridge(
        BridgeOptions(
            endpoint=arguments.endpoint,
            keys=keys,
            cursor=arguments.cursor,
            broker=broker,
            authority=arguments.broker_ca,
            client_id=arguments.client_id,
            version=settings.version,
            prefix=settings.prefix,
            discovery_prefix=settings.discovery_prefix if arguments.discovery else None,
            folders=RunFolders(folders_of(arguments.out)),
        )
    )
    log_to_stderr()
    with stop_on_signals(Event()) as stop:
        bridge.run(stop)
    return 0
