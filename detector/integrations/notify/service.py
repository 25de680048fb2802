"""Listens to a feed, and sends what is worth a message: each target in a thread of its own."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal

import msgspec

from detector.errors import SettingsError
from detector.integrations.notify.alerts import Alert, AlertFold, FoldState
from detector.integrations.notify.outbox import Outbox, OutboxState, Policy
from detector.integrations.notify.targets import Delivery, DeliveryError, Target
from detector.integrations.notify.words import Templates
from detector.integrations.read_back import ReadBack, read_back
from detector.integrations.web.folder import RunFolders
from detector.settings import NotifySettings
from stream import Subscriber, SubscriberOptions, write_atomically

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_MEDIA_SECONDS = {"": 0.0, "still": 3.0, "clip": 30.0}
"""So long a message waits for its still or clip, which follow the flash."""
_LARGEST_FILE = 8_000_000
_FAREWELL_SECONDS = 5.0
_SAVE_SECONDS = 1.0  # at most between two writes of what is known; alerts are written at once


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyOptions:
    """What is told, and to whom.

    Attributes:
        endpoint: the feed.
        keys: client key file, if the feed has keys.
        cursor: file that keeps the place between runs; what waits to be sent is kept beside it.
        since: start behind this number of the feed, where no cursor is kept yet.
        targets: who gets messages, each with the address as it was given, which names it between runs.
        settings: what is told of.
        quiet_seconds: a flash after so long without one is a first flash.
        policy: when a target gets messages.
        templates: what they say.
        attach: what goes with a message about a flash.
        folders: where stills and clips lie.
    """

    endpoint: str
    keys: Sequence[Path] = ()
    cursor: Path | None = None
    since: int | None = None
    targets: Sequence[tuple[str, Target]]
    settings: NotifySettings
    quiet_seconds: float
    policy: Policy
    templates: Templates
    attach: Literal["", "still", "clip"] = ""
    folders: RunFolders = field(default_factory=lambda: RunFolders({}))


class Kept(msgspec.Struct, kw_only=True):
    """What is kept beside the cursor.

    Attributes:
        fold: of what was made of the feed.
        outboxes: of the targets, by a hash of their address as given.
    """

    fold: FoldState
    outboxes: dict[str, OutboxState] = {}


class _Worker:
    """Sends what one target's outbox gives, and tries again what failed."""

    def __init__(self, name: str, target: Target, outbox: Outbox, notifier: "Notifier") -> None:
        self.name, self.target, self.outbox = name, target, outbox
        self._notifier = notifier
        self._thread = threading.Thread(target=self._run, name=target.label, daemon=True)
        self._failing = False

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        notifier = self._notifier
        while not notifier.ended.is_set():
            with notifier.lock:
                alerts = self.outbox.due(time.time(), notifier.is_ready)
                delivery = notifier.delivery(alerts, self.outbox.state.dropped) if alerts else None
            if delivery is None:
                notifier.ended.wait(_POLL_SECONDS)
                continue
            try:
                self.target.send(delivery)
            except (DeliveryError, OSError) as error:
                why = str(error) if isinstance(error, DeliveryError) else str(error.strerror)
                with notifier.lock:
                    wait = self.outbox.failed(time.time())
                level = logging.DEBUG if self._failing else logging.WARNING
                _log.log(level, "%s: %s; trying again in %.0f s", self.target.label, why, wait)
                self._failing = True
                continue
            with notifier.lock:
                self.outbox.sent(time.time())
                notifier.save()
            _log.info("%s: sent: %s", self.target.label, delivery.words.title)
            self._failing = False


class Notifier:
    """Tells people.

    Args:
        options: what is told, and to whom.

    Attributes:
        lock: held while fold and outboxes are used.
        ended: set once no more is sent.

    Raises:
        SettingsError: what was kept beside the cursor cannot be read.
    """

    def __init__(self, options: NotifyOptions) -> None:
        self.lock = threading.Lock()
        self.ended = Event()
        self._options = options
        self._file = None if options.cursor is None else options.cursor.with_name(f"{options.cursor.name}.alerts")
        kept = self._kept()
        self._fresh = kept is None
        self._saved = 0.0
        self._fold = AlertFold(options.settings, options.quiet_seconds, None if kept is None else kept.fold)
        self._workers = []
        for url, target in options.targets:
            name = hashlib.sha256(url.encode()).hexdigest()[:16]
            outbox = Outbox(options.policy, None if kept is None else kept.outboxes.get(name))
            self._workers.append(_Worker(name, target, outbox, self))

    def run(self, stop: Event) -> None:
        """Work until `stop` is set.

        Raises:
            FeedError: the endpoint, a key or the cursor file is wrong, or the publisher refuses this client.
        """
        for worker in self._workers:
            worker.start()
        try:
            self._listen(stop)
        finally:
            deadline = time.monotonic() + _FAREWELL_SECONDS
            self.ended.set()
            for worker in self._workers:
                worker.join(max(0.0, deadline - time.monotonic()))
            with self.lock:
                self.save()

    def is_ready(self, alert: Alert) -> bool:
        """Return whether an alert need not wait for its still or clip any more."""
        waited = time.time() - alert.at
        return alert.flash is None or waited > _MEDIA_SECONDS[self._options.attach] or bool(self._files([alert]))

    def delivery(self, alerts: Sequence[Alert], dropped: int) -> Delivery:
        """Return the message about these alerts; only one about a single alert has files."""
        names = "\n".join(sorted(alert.id for alert in alerts))
        words = self._options.templates.of(alerts, dropped)
        files = self._files(alerts) if len(alerts) == 1 else []
        return Delivery(hashlib.sha256(names.encode()).hexdigest()[:32], words, alerts, files)

    def save(self) -> None:
        """Keep what must survive a restart; the lock is held."""
        self._saved = time.monotonic()
        if self._file is None:
            return
        kept = Kept(fold=self._fold.state, outboxes={worker.name: worker.outbox.state for worker in self._workers})
        try:
            write_atomically(self._file, msgspec.json.encode(kept), mode=0o640, sync=False)
        except OSError as error:
            _log.error("%s: cannot be written: %s; after a restart, alerts may be missing", self._file, error.strerror)

    def _listen(self, stop: Event) -> None:
        options = self._options
        known = self._read_back(stop)
        begins = options.cursor is None or not options.cursor.exists()
        place = SubscriberOptions(
            cursor=options.cursor,
            since=options.since if options.since is not None else 0 if known.cursors else None,
            cursors=known.cursors if begins else {},
            keys=tuple(options.keys),
            on_heartbeat=self._fold.hear,
        )
        with Subscriber(options.endpoint, options=place) as events:
            steady = time.monotonic()
            while not stop.is_set():
                received = events.receive(_POLL_SECONDS)
                steady = time.monotonic()
                with self.lock:
                    alerts = self._fold.take(received) if received is not None and not known.knows(received) else []
                    alerts += self._fold.due(time.time(), steady)
                    self._add(alerts)
                    if alerts or steady - self._saved >= _SAVE_SECONDS:
                        self.save()  # before the next message is asked for, which moves the cursor

    def _read_back(self, stop: Event) -> ReadBack:
        """Learn what is on, without telling it: a storm that began before this program did is no news."""
        options = self._options
        if options.since is not None or not self._fresh:
            return ReadBack()
        return read_back(options.endpoint, options.keys, take=self._fold.take, on_heartbeat=self._fold.hear, stop=stop)

    def _add(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            for worker in self._workers:
                worker.outbox.add(alert)

    def _files(self, alerts: Sequence[Alert]) -> list[Path]:
        found = []
        for alert in alerts:
            site, media = self._fold.media.get(alert.flash or "", ("", None))
            name = None if media is None else media.clip if self._options.attach == "clip" else media.still
            path = self._options.folders.file(site, name) if name and self._options.attach else None
            if path is not None and path.stat().st_size <= _LARGEST_FILE:
                found.append(path)
        return found

    def _kept(self) -> Kept | None:
        if self._file is None or not self._file.exists():
            return None
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Kept)
        except (OSError, msgspec.DecodeError) as error:
            raise SettingsError(f"{self._file}: not what was kept there ({error}); delete it to start anew") from error


Printer = Callable[[str], None]


class DryTarget:
    """Prints what would be sent."""

    def __init__(self, label: str, tell: Printer) -> None:
        self.label = label
        self._tell = tell

    def send(self, delivery: Delivery) -> None:
        """Print a message."""
        files = "".join(f"\n  with {path}" for path in delivery.files)
        text = delivery.words.text.replace("\n", "\n  ")
        self._tell(f"{self.label}: {delivery.words.title}\n  {text}{files}")
