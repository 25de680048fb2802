"""Storms and groups of a run: each flash is published, then the storms and groups that follow from it."""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import msgspec

from detector.events import FLASH_SCHEMA, FLASH_TOPIC, FLASH_TYPE, Flash
from detector.settings import Settings
from detector.storms.events import (
    GROUP_SCHEMA,
    GROUP_TOPIC,
    GROUP_TYPE,
    STORM_SCHEMA,
    STORM_TOPIC,
    STORM_TYPE,
    Group,
    Storm,
)
from detector.storms.fold import StormFold, Told
from stream import HistoryFilter, JournalError, JournalRecord, Message, Publisher, read_history

Data = TypeVar("Data")

_log = logging.getLogger(__name__)

_MEMORY_SECONDS = 2 * 86_400.0
"""How far back `watch` knows flashes: a storm longer than two days begins again when the program starts."""


class SiteStorms:
    """Publish flashes, and the storms and groups that they form; any thread may call it.

    Args:
        feed: where they are published.
        settings: settings of the run.
        journal: file of the feed's journal, if any.
        site: the name of the site in storms; the feed's if omitted.

    Attributes:
        feed: where they are published.
    """

    def __init__(self, feed: Publisher, settings: Settings, journal: Path | None, site: str | None = None) -> None:
        self.feed = feed
        self._site = site or settings.feed.site
        self._journal = journal
        self._fold = StormFold(settings.storm, self._site)
        self._live = False
        # One order for feed and storms, so that a restart that reads the journal gets the same storms.
        self._lock = Lock()

    def publish(self, flash: Flash) -> None:
        """Publish a revision of a flash, and the resulting changes of storms and groups."""
        topic = FLASH_TOPIC + flash.camera
        with self._lock:
            self.feed.publish(topic=topic, type=FLASH_TYPE, subject=flash.camera, dataschema=FLASH_SCHEMA, data=flash)
            self._tell(self._fold.take(flash))

    def relayed(self, topic: str, message: Message[dict[str, Any]]) -> None:
        """Add a relayed message to the storms, if it is about a flash of a camera."""
        if topic.startswith(FLASH_TOPIC) and message.type == FLASH_TYPE:
            flash = msgspec.convert(message.data, Flash)
            if flash.file is None:
                with self._lock:
                    self._tell(self._fold.take(flash, _site_of(message)))

    def resume_live(self) -> None:
        """Continue the storms of the journal, and end them by this computer's clock from now on."""
        self._live = True
        if self._journal is None:
            return
        begin = time.time() - _MEMORY_SECONDS
        try:
            records = list(read_history(self._journal, HistoryFilter(begin_utc=begin, topics=(FLASH_TOPIC,))))
            told = [(record.data_as(Flash), record) for record in records if record.message.type == FLASH_TYPE]
            self._restore([(flash, _site_of(record.message)) for flash, record in told if flash.file is None])
        except (JournalError, msgspec.ValidationError) as error:
            _log.warning("%s: what storm is on is not known: %s", self._journal, error)

    def resume_replay(self, flashes: Iterable[Flash]) -> None:
        """Continue with the flashes of a resumed replay."""
        try:
            self._restore([(flash, self._site) for flash in flashes])
        except (JournalError, msgspec.ValidationError) as error:
            _log.warning("%s: what storms were published is not known: %s", self._journal, error)

    def step(self) -> None:
        """Do the work that is due by the clock; call it about once a second while watching."""
        now = time.time()
        with self._lock:
            self._tell(self._fold.advance(now))
            self._fold.forget_before(now - _MEMORY_SECONDS)

    def finish(self) -> None:
        """End the storms of recordings; those of cameras continue at the next start."""
        if not self._live and self.feed.failure is None:
            with self._lock:
                self._tell(self._fold.finish())

    def _restore(self, flashes: Iterable[tuple[Flash, str]]) -> None:
        storms: list[Storm] = []
        groups: list[Group] = []
        if self._journal is not None and self._journal.is_file():
            topics = (STORM_TOPIC + self._site, GROUP_TOPIC + self._site)
            records = list(read_history(self._journal, HistoryFilter(topics=topics)))
            storms, groups = list(_each(records, STORM_TYPE, Storm)), list(_each(records, GROUP_TYPE, Group))
        with self._lock:
            self._tell(self._fold.restore(flashes, storms, groups))

    def _tell(self, told: Iterable[Told]) -> None:
        for one in told:
            storm = isinstance(one, Storm)
            self.feed.publish(
                topic=(STORM_TOPIC if storm else GROUP_TOPIC) + self._site,
                type=STORM_TYPE if storm else GROUP_TYPE,
                subject=self._site,
                dataschema=STORM_SCHEMA if storm else GROUP_SCHEMA,
                data=one,
            )


def _site_of(message: Message[dict[str, Any]]) -> str:
    return message.source.rpartition(":")[2]


def _each(records: Iterable[JournalRecord], kind: str, data: type[Data]) -> Iterator[Data]:
    return (record.data_as(data) for record in records if record.message.type == kind)
