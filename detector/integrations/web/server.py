"""The page as a process: feeds in, HTTP out, until stopped."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import uvicorn

from detector.errors import DetectorError, UsageError
from detector.integrations.web.app import LivePage
from detector.integrations.web.board import Board
from detector.integrations.web.feed_reader import FeedReader
from detector.integrations.web.folder import RunFolders
from detector.integrations.web.guard import Guard
from detector.settings import StormSettings

_log = logging.getLogger(__name__)

_HEAD_BYTES = 16_384  # of a request
_CONNECTIONS = 400
_IDLE_SECONDS = 15  # of a kept connection
_END_SECONDS = 3


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Options of the page.

    Attributes:
        endpoints: the feeds.
        keys: client key files: none, one for all, or one for each.
        folders: folders of runs by site; "" for sites that are not named.
        listen: HOST:PORT.
        token: required token; None requires nothing.
        insecure: answer other machines without a token.
        hosts: further host names of the page.
        title: title of the page.
        zone: name of the time zone of local times.
        storm: when a storm begins and ends.
    """

    endpoints: Sequence[str]
    keys: Sequence[Path] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    listen: str = "127.0.0.1:8046"
    token: str | None = field(default=None, repr=False)
    insecure: bool = False
    hosts: Sequence[str] = ()
    title: str = "Lightning detector"
    zone: str = "UTC"
    storm: StormSettings = field(default_factory=StormSettings)


def host_and_port(listen: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`.

    Raises:
        UsageError: it is not of that form.
    """
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65_536):
        raise UsageError(f"--listen {listen}: expected HOST:PORT, e.g. 127.0.0.1:8046")
    return host.strip("[]"), int(port)


def refuse_exposure(host: str, *, token: str | None, insecure: bool) -> None:
    """Check that other machines are answered only with a token.

    Raises:
        UsageError: they could be, and `insecure` is not set.
    """
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and token is None and not insecure:
        raise UsageError(
            f"--listen {host}: other machines could read the page, and no token is set. Set one in the variable that "
            "page.token_variable names (LIGHTNING_PAGE_TOKEN), or say --insecure to show it to everyone"
        )


class _Server(uvicorn.Server):
    """A server that ends its endless streams at a stop."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self._on_stop()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """Ask the server to end; call it in the loop's thread."""
        self._on_stop()
        self.should_exit = True


def serve(options: PageOptions, *, until_stdin_closes: bool = False) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Raises:
        UsageError: other machines would be answered without a token.
        DetectorError: the address cannot be used.
    """
    host, port = host_and_port(options.listen)
    refuse_exposure(host, token=options.token, insecure=options.insecure)
    try:
        asyncio.run(_serve(options, host, port, until_stdin_closes=until_stdin_closes))
    except KeyboardInterrupt:
        return


async def _serve(options: PageOptions, host: str, port: int, *, until_stdin_closes: bool) -> None:
    loop = asyncio.get_running_loop()
    board = Board(storm=options.storm)
    page = LivePage(board, RunFolders(options.folders), title=options.title, zone=options.zone)
    server = _Server(
        uvicorn.Config(
            Guard(page.app(), hosts=options.hosts, token=options.token),
            host=host,
            port=port,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_END_SECONDS,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        ),
        page.news.close,
    )

    def in_loop(act: Callable[..., None]) -> Callable[..., None]:
        def call(*values: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(act, *values)

        return call

    readers = [
        FeedReader(
            endpoint,
            _key_of(options.keys, number),
            on_begin=in_loop(board.begin),
            on_message=in_loop(board.add),
            on_heartbeat=in_loop(board.hear),
            on_trouble=in_loop(board.trouble),
        )
        for number, endpoint in enumerate(options.endpoints)
    ]
    if until_stdin_closes:
        threading.Thread(target=_wait_for_end, args=(in_loop(server.stop),), name="stdin", daemon=True).start()
    for reader in readers:
        reader.start()
    _log.info("the page is at http://%s:%d/", f"[{host}]" if ":" in host else host, port)
    try:
        await server.serve()
    except SystemExit:
        raise DetectorError(
            f"--listen {options.listen}: cannot be used: another program has the port, or it is not this machine's"
        ) from None
    finally:
        for reader in readers:
            await asyncio.to_thread(reader.stop)


def _key_of(keys: Sequence[Path], number: int) -> Path | None:
    return None if not keys else keys[0] if len(keys) == 1 else keys[number]


def _wait_for_end(stop: Callable[[], None]) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop()
