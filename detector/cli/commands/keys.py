"""Make and manage the keys of a feed: the publisher's, the clients', and who may connect.

keys server --keys DIR               make the publisher's key
keys client NAME --keys DIR          make a client's key, give it access, write the file to hand over
keys allow NAME PUBLIC --keys DIR    give access to a client that made its own key
keys list --keys DIR                 who has access, who had
keys revoke NAME --keys DIR          take access away; a running publisher drops the client within a heartbeat
"""

import argparse
from pathlib import Path

from rich.table import Table

from detector.cli.console import result_console
from detector.cli.options import add_settings_arguments, settings_of
from detector.errors import UsageError
from stream import allow_client, list_clients, make_client_keys, make_server_keys, revoke_client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and the folder."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    added = {
        name: actions.add_parser(name, help=text)
        for name, text in (
            ("server", "make the publisher's key"),
            ("client", "make a client's key and the file to hand over"),
            ("allow", "give access to a public key"),
            ("list", "who has access, who had"),
            ("revoke", "take a client's access away"),
        )
    }
    for name in ("client", "allow", "revoke"):
        added[name].add_argument("name", metavar="NAME", help="the client: 1..32 of a-z, 0-9 and '-'")
    added["allow"].add_argument("public", metavar="PUBLIC", help="its public key, 40 characters")
    added["client"].add_argument("--out", type=Path, metavar="FILE", help="the file to hand over (default: NAME.key)")
    for one in added.values():
        one.add_argument("--keys", type=Path, metavar="DIR", help="the folder of keys (default: feed.keys)")
        add_settings_arguments(one)


def run(arguments: argparse.Namespace) -> int:
    """Run the action, and print what was done."""
    folder = _folder(arguments)
    match arguments.action:
        case "server":
            print(f"{folder / 'server.toml'}: made. Public key: {make_server_keys(folder).public}")
        case "client":
            file = arguments.out or Path(f"{arguments.name}.key")
            make_client_keys(folder, arguments.name, file)
            print(f"{file}: made. Hand it to {arguments.name}, who subscribes with: --key {file.name}")
        case "allow":
            allow_client(folder, arguments.name, arguments.public)
            print(f"{arguments.name}: has access")
        case "revoke":
            revoke_client(folder, arguments.name)
            print(f"{arguments.name}: has no access any more")
        case _:
            _print_clients(folder)
    return 0


def _folder(arguments: argparse.Namespace) -> Path:
    setting = settings_of(arguments).feed.keys
    if arguments.keys is None and not setting:
        raise UsageError("keys: which folder? Give --keys DIR, or set feed.keys in the settings file")
    return Path(arguments.keys or Path(setting).expanduser())


def _print_clients(folder: Path) -> None:

    table = Table("client", "public key", "created", "revoked")
    for client in list_clients(folder):
        table.add_row(
            client.name, client.public, client.created, client.revoked or "", style="dim" if client.revoked else ""
        )
    result_console().print(table)
