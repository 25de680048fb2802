"""Watch cameras on a Ray cluster: which node has which cameras, and what becomes of those of a node that is lost."""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any, Literal

import msgspec

from detector.errors import DetectorError
from detector.placeholders import named_variables
from detector.run.cameras import CameraEntry
from detector.run.cluster import lost_how, working_nodes
from detector.run.cluster_node import LEASE_SECONDS, NodeReport, NodeWatch, Share
from detector.settings import Settings
from stream import Heartbeat

_log = logging.getLogger(__name__)

_STEP_SECONDS = 1.0
_AWAY_SECONDS = LEASE_SECONDS + 2.0  # then its cameras are given to others
_FIRST_SECONDS = 60.0  # for the first answers of all nodes
_END_SECONDS = 30.0
_RECENT_SECONDS = 10.0  # a heartbeat older than this tells nothing of what is watched now
_RETRY_SECONDS = 5.0  # between two actors on a node where one could not start


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node was lost, or another has joined.

    Attributes:
        state: which of both.
        node: its name.
        cameras: those that it had, or has now.
        feed: id of its feed, empty if never heard of.
        last: the last number of its feed that its heartbeats told of.
        journal: file of its journal, on that node.
    """

    state: Literal["node_joined", "node_lost"]
    node: str
    cameras: tuple[str, ...]
    feed: str = ""
    last: int = 0
    journal: str = ""


@dataclass(slots=True)
class _Node:
    name: str
    site: str
    id: str
    cores: float
    address: str
    actor: Any = None
    retry_at: float = 0.0
    pending: Any = None
    answered: float | None = None
    report: NodeReport | None = None
    cameras: tuple[str, ...] = ()
    share: Any = None
    heard: tuple[float, frozenset[str]] = (0.0, frozenset())
    feed: str = ""
    last: int = 0
    problem: str = ""

    def has(self) -> frozenset[str]:
        """Return the cameras that it watches, or was told to."""
        at, cameras = self.heard
        return cameras.union(self.cameras) if time.monotonic() - at < _RECENT_SECONDS else frozenset(self.cameras)


@dataclass(slots=True)
class ClusterWatch:
    """The nodes of a cluster, each with its share of the cameras.

    `run` works in a thread of its own; the rest may be called in any other.

    Attributes:
        ray: the package, connected to the cluster.
        settings: settings of the run.
        cameras: all cameras; may be replaced at any time.
        client: public key of the only reader of the nodes' feeds.
        out: each node writes into a folder in this one, if given.
        changes: nodes lost and joined since the start.
    """

    ray: Any
    settings: Settings
    cameras: Sequence[CameraEntry]
    client: str
    out: Path | None = None
    changes: "SimpleQueue[NodeChange]" = field(default_factory=SimpleQueue)
    _nodes: list[_Node] = field(default_factory=list)
    _placed: dict[str, str] = field(default_factory=dict)
    _begun: bool = False

    @property
    def feeds(self) -> list[tuple[str, str]]:
        """The endpoint of each node's feed, and its public key."""
        reports = [node.report for node in tuple(self._nodes) if node.report is not None]
        return [(report.endpoint, report.server) for report in reports if report.endpoint]

    def heard(self, endpoint: str, heartbeat: Heartbeat) -> None:
        """Take note of a heartbeat of a node's feed."""
        for node in tuple(self._nodes):
            if node.report is not None and node.report.endpoint == endpoint:
                node.feed, node.last = heartbeat.feed, heartbeat.last
                status = heartbeat.status
                if isinstance(status, dict):
                    node.heard = (time.monotonic(), frozenset(status.get("cameras", ())))

    def run(self, stop: Event) -> dict[str, tuple[str, int]]:
        """Keep the nodes watching until `stop` is set; then end them.

        Returns:
            for each node's feed, the node's name and the last number in its journal.

        Raises:
            DetectorError: the cluster is gone.
        """
        try:
            began = time.monotonic()
            while not stop.wait(_STEP_SECONDS):
                self._look()
                self._hear()
                all_answered = all(node.answered is not None for node in self._nodes)
                self._begun = self._begun or all_answered or time.monotonic() - began > _FIRST_SECONDS
                if self._begun:
                    self._share_out()
                self._keep()
            return self._end()
        except (self.ray.exceptions.RayError, RuntimeError, ConnectionError) as error:
            raise DetectorError(f"the Ray cluster is gone: {lost_how(error)}; the nodes stop watching") from error

    def _look(self) -> None:
        """Take note of nodes that are gone or new."""
        now = time.monotonic()
        there = {node["NodeID"]: node for node in working_nodes(self.ray)}
        for node in self._nodes.copy():
            if node.id not in there:
                self._lose(node, "is gone from the cluster")
            elif node.answered is not None and now - node.answered > _AWAY_SECONDS:
                self._lose(node, f"did not answer for {now - node.answered:.0f} s")
        known = {node.id for node in self._nodes}
        for number, told in there.items():
            if number not in known:
                address = told["NodeManagerAddress"]
                name = _free_name(address, {other.name for other in self._nodes})
                site = re.sub(r"[^a-z0-9]+", "-", f"{self.settings.feed.site[:12]}-{name}".lower())[:32]
                self._nodes.append(_Node(name, site, number, told["Resources"]["CPU"], address))

    def _hear(self) -> None:
        """Take the answers that have come."""
        for node in self._nodes:
            if node.pending is None or not self.ray.wait([node.pending], timeout=0)[0]:
                continue
            reference, node.pending = node.pending, None
            try:
                node.report = self.ray.get(reference)
            except self.ray.exceptions.ActorUnavailableError:
                continue  # it is started again
            except self.ray.exceptions.RayError as error:
                if isinstance(error, self.ray.exceptions.ActorDiedError | self.ray.exceptions.ActorUnschedulableError):
                    node.actor, node.retry_at = None, time.monotonic() + _RETRY_SECONDS
                self._complain(node, lost_how(error))
                continue
            if node.answered is None and self._begun:
                self.changes.put(NodeChange("node_joined", node.name, ()))
            node.answered, node.problem = time.monotonic(), ""
            for line in node.report.lines:
                _log.warning("node %s: %s", node.name, line)

    def _share_out(self) -> None:
        """Decide which node has which camera, and tell those whose share has changed."""
        ready = [node for node in self._nodes if node.answered is not None]
        names = [camera.name for camera in self.cameras]
        self._placed = spread(names, {node.name: node.cores for node in ready}, self._placed)
        for node in ready:
            kept = tuple(name for name in node.cameras if self._placed.get(name) == node.name)
            # What another still watches is taken when that has let go of it: nothing is told twice.
            others = frozenset[str]().union(*(other.has() for other in ready if other is not node))
            wanted = [name for name in names if self._placed[name] == node.name]
            cameras = tuple(name for name in wanted if name in kept or name not in others)
            settings = settings_text(self.settings, node.site, [one for one in self.cameras if one.name in cameras])
            share = Share(
                settings, _variables(settings, self.settings), None if self.out is None else self.out / node.site
            )
            if node.share is None or node.share[0] != share:
                if cameras != node.cameras:
                    _log.info("node %s (%g cores) watches %s", node.name, node.cores, ", ".join(cameras) or "nothing")
                node.cameras, node.share = cameras, (share, self.ray.put(share))

    def _keep(self) -> None:
        """Ask each node that has answered to go on."""
        for node in self._nodes:
            if node.actor is None and time.monotonic() >= node.retry_at:
                node.actor = self._actor(node)
                node.pending = None
            if node.actor is not None and node.pending is None:
                node.pending = node.actor.keep.remote(None if node.share is None else node.share[1])

    def _actor(self, node: _Node) -> Any:
        there = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        options = {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": there}
        return self.ray.remote(NodeWatch).options(**options).remote(node.site, self.client, node.address)

    def _lose(self, node: _Node, why: str) -> None:
        self._nodes.remove(node)
        if node.actor is not None:
            self.ray.kill(node.actor)
        if node.answered is None:
            return
        _log.error("node %s %s: its cameras are given to others: %s", node.name, why, ", ".join(node.cameras) or "none")
        journal = "" if node.report is None else node.report.journal
        self.changes.put(NodeChange("node_lost", node.name, node.cameras, node.feed, node.last, journal))

    def _complain(self, node: _Node, problem: str) -> None:
        if problem != node.problem:
            node.problem = problem
            _log.error("node %s: %s", node.name, problem)

    def _end(self) -> dict[str, tuple[str, int]]:
        """Stop all nodes."""
        ends = {}
        asked = [(node, node.actor.stop.remote()) for node in self._nodes if node.actor is not None]
        if asked:
            self.ray.wait([reference for _, reference in asked], num_returns=len(asked), timeout=_END_SECONDS)
        for node, reference in asked:
            try:
                ends[node.feed] = (node.name, self.ray.get(reference, timeout=0))
            except self.ray.exceptions.RayError as error:
                _log.error("node %s did not end its watch: %s", node.name, lost_how(error))
        return ends


def spread(cameras: Sequence[str], cores: Mapping[str, float], before: Mapping[str, str]) -> dict[str, str]:
    """Return the node of each camera; few change their node, and each node has as many for its cores.

    Args:
        cameras: names of the cameras.
        cores: of each node that is there.
        before: the node of each camera until now.
    """
    if not cores:
        return dict.fromkeys(cameras, "")
    placed = {name: before[name] for name in cameras if before.get(name) in cores}
    count = Counter(placed.values())

    def emptiest() -> str:
        return min(cores, key=lambda node: ((count[node] + 1) / cores[node], node))

    for name in cameras:
        if name not in placed:
            placed[name] = emptiest()
            count[placed[name]] += 1
    while True:
        full, empty = max(cores, key=lambda node: count[node] / cores[node]), emptiest()
        if (count[empty] + 1) / cores[empty] >= count[full] / cores[full]:
            return {name: placed[name] for name in cameras}
        placed[next(name for name in reversed(cameras) if placed[name] == full)] = empty
        count[full] -= 1
        count[empty] += 1


def settings_text(settings: Settings, site: str, cameras: Sequence[CameraEntry]) -> str:
    """Return the settings file of a node of this name with these cameras; it holds their passwords."""
    table = msgspec.to_builtins(settings)
    table["feed"]["site"] = site
    lines = [f"{key} = {_toml(value)}\n" for key, value in table.items()]
    for camera in cameras:
        own = msgspec.to_builtins(camera.settings)
        row = {
            "name": camera.name,
            "url": camera.address.replace("{", "%7B"),  # its {NAMES} are filled in already
            "mask": [{"polygon": polygon} for polygon in camera.mask],
            "region": camera.region,
            "capture": own["capture"],
            "prefilter": own["prefilter"],
        }
        lines += ["[[camera]]\n", *(f"{key} = {_toml(value)}\n" for key, value in row.items() if value is not None)]
    return "".join(lines)


def _variables(text: str, settings: Settings) -> dict[str, str]:
    """Return the variables of this process that the settings of a node name."""
    return named_variables(f"{text}{{{settings.served.key_variable}}}")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_toml(one)}' for key, one in value.items() if one is not None)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _free_name(address: str, taken: set[str]) -> str:
    """Return the name of a node at `address`, which several may have."""
    name, number = address, 1
    while name in taken:
        number += 1
        name = f"{address}-{number}"
    return name
