"""Serve MiniCPM-V 4.5 by its own code, in its own environment, to `--verifier served`."""

import argparse
import os
import socket
from pathlib import Path
from threading import Event

import msgspec

from detector.cli.console import progress_console, result_console
from detector.cli.options import add_settings_arguments, lay_serve_45_arguments, settings_of
from detector.cli.signals import stop_on_signals
from detector.errors import VerifierError
from detector.settings import Minicpm45Settings, Settings
from detector.verify.vlm.local.hub import find_or_fetch
from detector.verify.vlm.model_servers import model_key
from detector.verify.vlm.server45.environment import Environment, environment_folder, trust_record
from detector.verify.vlm.server45.launch import Checked, check
from detector.verify.vlm.server45.launch import run as serve
from detector.verify.vlm.server45.serve_config import ServeConfig
from detector.verify.vlm.server45.smoke import findings
from detector.verify.vlm.server45.trust import listing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the snapshot, the address, and whether its code is trusted."""
    parser.add_argument("--model", metavar="ID|DIR", help="model id, or a folder with a snapshot")
    parser.add_argument("--model-revision", metavar="SHA", help="40-digit commit; wins over MINICPM_REVISION")
    parser.add_argument("--attn", metavar="BACKEND", help="sdpa (shipped) or flash_attention_2")
    parser.add_argument("--edge", action="store_true", help="fetch and serve the newest commit of the branch main")
    parser.add_argument("--host", help="address to answer on (shipped: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to answer on (shipped: 8045); 0 takes a free one")
    parser.add_argument("--environment", type=Path, metavar="DIR", help="the folder given to setup-45")
    parser.add_argument("--trust", action="store_true", help="let the listed files run, now and later, and record them")
    parser.add_argument("--smoke", action="store_true", help="load it, run doctor's checks on it, and end")
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check everything, serve until stopped, and print the endpoint once it answers."""
    settings = lay_serve_45_arguments(settings_of(arguments), arguments)
    asked = settings.minicpm45
    environment = Environment(Path(asked.environment) if asked.environment else environment_folder())
    environment.require()
    _check_address(asked)
    wanted = msgspec.structs.replace(
        settings.minicpm, model=asked.model, revision=asked.revision, channel=asked.channel
    )
    snapshot = find_or_fetch(wanted, own_code=True)
    edge = asked.channel == "edge" and snapshot.revision is not None
    if edge:
        _say(f"CHANNEL EDGE: {snapshot.model}, branch main, is now at {snapshot.revision}", "not known to be good")
    checked = check(snapshot, environment, asked.attention, trust_record(), confirm=arguments.trust)
    _say(*checked.notes)
    if edge and not checked.notes:
        _say("its code is the same as was trusted before:", *listing(checked.files))
    if arguments.smoke:
        return _smoke(checked, _config(checked, asked), settings)
    with stop_on_signals(Event()) as stop:
        return serve(checked, _config(checked, asked), stop)


def _say(*lines: str) -> None:
    for line in lines:
        progress_console().print(line, soft_wrap=True)


def _check_address(asked: Minicpm45Settings) -> None:
    """Raise if other machines could ask without a key, or if the address cannot be used: loading takes minutes."""
    if asked.host not in {"127.0.0.1", "::1", "localhost"} and not model_key(asked.key_variable):
        raise VerifierError(
            f"--host {asked.host} can be reached from other machines; put a key into {asked.key_variable}, here and at "
            "the asking side, or stay on 127.0.0.1"
        )
    try:
        family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
        socket.create_server((asked.host, asked.port), family=family).close()
    except OSError as error:
        raise VerifierError(
            f"{asked.host}:{asked.port}: cannot listen there: {error.strerror or error}; name another with --host and "
            "--port; is a serve-45 running already?"
        ) from error


def _smoke(checked: Checked, config: ServeConfig, settings: Settings) -> int:
    """Print each finding as it comes, and return 1 if one failed."""
    passed = True
    for finding in findings(checked, config, settings):
        passed = passed and finding.ok
        line = f"{'ok' if finding.ok else 'no'} smoke: {finding.name:<22} {finding.text}"
        result_console().print(line, soft_wrap=True)
    return 0 if passed else 1


def _config(checked: Checked, asked: Minicpm45Settings) -> ServeConfig:
    own = {
        "model": checked.snapshot.model,
        "revision": checked.snapshot.revision or "local",
        "folder": "",
        "threads": asked.threads or max((os.cpu_count() or 2) // 2, 1),
        "key": model_key(asked.key_variable),
    }
    return msgspec.convert(msgspec.structs.asdict(asked) | own, ServeConfig)
