"""The command `watch --engine ray`: nodes watch, and this process joins what they publish."""

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Event

from detector.cli.commands.relay import cursors_of, relay
from detector.cli.console import progress_console, result_console
from detector.cli.log import log_to_stderr
from detector.cli.options import publish_options
from detector.cli.progress import WatchDisplay
from detector.cli.run_watch import line_on, settings_and_cameras
from detector.cli.signals import stop_on_signals
from detector.errors import DetectorError, UsageError
from detector.events import event_schema
from detector.output.local_time import site_zone
from detector.output.printer import EventPrinter, print_event
from detector.output.tables import FlashCounter
from detector.output.text import plural
from detector.run.at_once import ClusterOptions
from detector.run.cluster import check_nodes, connected, import_ray
from detector.run.cluster_watch import ClusterWatch, NodeChange
from detector.run.schemas import data_schemas
from detector.run.site_storms import SiteStorms
from detector.run.status import SiteStatuses
from detector.run.system_events import StateOfRun, SystemState, publish_system
from detector.settings import Settings
from detector.storms.events import GROUP_TOPIC, STORM_TOPIC
from stream import (
    ClientKeys,
    Cursor,
    FeedError,
    FeedOptions,
    Heartbeat,
    Publisher,
    Subscriber,
    SubscriberOptions,
    WireMessage,
    new_client_keys,
    redact,
)

_log = logging.getLogger("lightning-detector")

_STEP_SECONDS = 1.0
_OF_A_NODE = (STORM_TOPIC, GROUP_TOPIC)  # told anew here, of all cameras together


def watch_on_cluster(arguments: argparse.Namespace) -> int:
    """Watch on the nodes of a cluster until stopped; return 1 if the nodes hold messages that did not come."""
    settings, cameras = settings_and_cameras(arguments)
    publish = publish_options(settings, arguments)
    _refuse(arguments, publish)
    log_to_stderr(quiet=arguments.quiet)
    sites = SiteStatuses(settings.feed.site)
    counter = FlashCounter()
    display = WatchDisplay(progress_console(), result_console(), counter, hidden=True)
    printer = EventPrinter(print_event if arguments.json else line_on(display, site_zone(settings.site)), only=False)
    reload = Event()
    ray = import_ray()

    def tell(message: WireMessage) -> None:
        counter.add(message)
        printer.add(message)

    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals(Event(), reload))
        address = ClusterOptions(arguments.address or "auto", 0)
        stack.enter_context(connected(ray, address, logging.getLogger().level))
        check_nodes(ray, None)
        stack.enter_context(printer.running())
        options = replace(publish, status=sites.tell)
        feed = stack.enter_context(Publisher(options, event_schema(), tell, data_schemas()))
        storms = SiteStorms(feed, settings, publish.journal)
        storms.resume_live()
        client = new_client_keys()
        nodes = ClusterWatch(ray, settings, cameras, client.public, arguments.out and arguments.out.absolute())

        def heard(endpoint: str, heartbeat: Heartbeat) -> None:
            nodes.heard(endpoint, heartbeat)
            if isinstance(heartbeat.status, dict):
                sites.heard(heartbeat.status)

        join = _Join(feed, settings, storms, client, heard)
        stack.callback(join.close)
        join.publish("started", [camera.name for camera in cameras])
        keeper = stack.enter_context(ThreadPoolExecutor(1, "nodes"))
        stack.callback(stop.set)
        running = keeper.submit(nodes.run, stop)
        deadline = None if arguments.seconds is None else time.monotonic() + arguments.seconds
        while not running.done():
            join.step(nodes)
            printer.check()
            if deadline is not None and time.monotonic() >= deadline:
                stop.set()
            if reload.is_set():
                reload.clear()
                _reload(arguments, nodes, join)
        missing = join.finish(running.result(), nodes)
    if not arguments.quiet:
        progress_console().print(counter.summary())
    return 1 if missing else 0


def _refuse(arguments: argparse.Namespace, publish: FeedOptions) -> None:
    if arguments.page is not None:
        raise UsageError(
            f"--page: with --engine ray, run it beside this: lightning-detector page {publish.endpoint or 'ENDPOINT'}"
        )
    if publish.journal is None:
        raise UsageError("--engine ray: needs --journal FILE, which says how far the feed of each node has come")


def _reload(arguments: argparse.Namespace, nodes: ClusterWatch, join: "_Join") -> None:
    try:
        _, nodes.cameras = settings_and_cameras(arguments)
    except DetectorError as error:
        problem = redact(str(error))
        _log.error("the cameras are not read again, all goes on as before: %s", problem)
        join.publish("reload_refused", [camera.name for camera in nodes.cameras], problem)
        return
    join.publish("reloaded", [camera.name for camera in nodes.cameras], "the nodes tell what changed")


class _Join:
    """Joins the feeds of the nodes into one."""

    def __init__(
        self,
        feed: Publisher,
        settings: Settings,
        storms: SiteStorms,
        client: ClientKeys,
        heard: Callable[[str, Heartbeat], None],
    ) -> None:
        self._feed = feed
        self._settings = settings
        self._storms = storms
        self._client = client
        self._heard = heard
        self._cursors = cursors_of(feed)
        self._feeds: list[tuple[str, str]] = []
        self._subscriber: Subscriber | None = None

    def step(self, nodes: ClusterWatch) -> None:
        """Relay for a second, and say which nodes were lost or have joined."""
        deadline = time.monotonic() + _STEP_SECONDS
        try:
            self._subscribe(nodes.feeds)
            if self._subscriber is None:
                time.sleep(_STEP_SECONDS)
                self._storms.step()
            else:
                relay(self._subscriber, self._feed, Event(), deadline, self._storms, _OF_A_NODE)
        except FeedError as error:
            self._feed.check()
            _log.warning("%s; it is tried again", error)
            self.close()
            time.sleep(max(0.0, deadline - time.monotonic()))
        self._keep_cursors()
        while not nodes.changes.empty():
            self._say(nodes.changes.get())

    def publish(self, state: StateOfRun, cameras: Sequence[str], detail: str | None = None) -> None:
        """Publish what happened to the program itself."""
        verifier = f"{self._settings.verifier.kind}, on each node"
        data = SystemState(state=state, cameras=tuple(cameras), verifier=verifier, detail=detail)
        publish_system(self._feed, self._settings.feed.site, data)

    def finish(self, ends: dict[str, tuple[str, int]], nodes: ClusterWatch) -> int:
        """Relay the last, and say what else is in the journals of the nodes.

        Args:
            ends: for each node's feed, the node's name and the last number in its journal.
            nodes: they have ended.

        Returns:
            how many messages did not come.
        """
        self.step(nodes)
        missing = 0
        for feed, (name, last) in ends.items():
            behind = last - self._relayed(feed)
            if behind > 0:
                missing += behind
                _log.error("node %s: %s; the next start takes them", name, self._left(feed, last))
        self.publish("stopped", [camera.name for camera in nodes.cameras])
        return missing

    def close(self) -> None:
        """Receive nothing more."""
        self._keep_cursors()
        if self._subscriber is not None:
            self._subscriber.close()
        self._subscriber, self._feeds = None, []

    def _subscribe(self, feeds: list[tuple[str, str]]) -> None:
        if feeds == self._feeds:
            return
        self.close()
        self._feeds = feeds
        if feeds:
            keys = [replace(self._client, server=server) for _, server in feeds]
            options = SubscriberOptions(since=0, cursors=self._cursors, keys=keys, on_heartbeat=self._heard)
            self._subscriber = Subscriber(*[endpoint for endpoint, _ in feeds], options=options)

    def _keep_cursors(self) -> None:
        if self._subscriber is not None:
            self._cursors |= self._subscriber.cursors

    def _relayed(self, feed: str) -> int:
        return self._cursors.get(feed, Cursor(None, 0)).sequence

    def _left(self, feed: str, last: int) -> str:
        relayed = self._relayed(feed)
        return f"{plural(last - relayed, 'message')} from number {relayed + 1} on did not come from there"

    def _say(self, change: NodeChange) -> None:
        if change.state == "node_joined":
            detail = f"node {change.node} has joined; what its journal holds beyond what came from there follows"
        else:
            left = "all that its heartbeats told of has come from there"
            if change.last > self._relayed(change.feed):
                left = self._left(change.feed, change.last)
            detail = (
                f"node {change.node} is lost: {left}; this, and what it told no more of, is in its journal "
                f"{change.journal} from number {self._relayed(change.feed) + 1} on, and follows when the node is back"
            )
        _log.warning("%s", detail)
        self.publish(change.state, change.cameras, detail)
