"""Find the flashes in a journal that a killed run left without a verdict."""

import logging
from pathlib import Path

import msgspec

from detector.events import FLASH_TOPIC, FLASH_TYPE, Flash, Verdict
from stream import HistoryFilter, JournalError, read_history

_log = logging.getLogger(__name__)

_LOOK_BACK = 1000  # messages about flashes; far more than can wait for a verdict at once


def recover_unresolved(journal: Path, verdict: Verdict) -> list[Flash]:
    """Return the next revision, with `verdict`, of each flash whose last state in `journal` is `detected`."""
    last: dict[str, Flash] = {}
    try:
        for kept in read_history(journal, HistoryFilter(topics=(FLASH_TOPIC,), newest=_LOOK_BACK)):
            if kept.message.type == FLASH_TYPE:
                flash = msgspec.convert(kept.message.data, Flash)
                last[flash.id] = flash
    except (JournalError, msgspec.ValidationError) as error:
        _log.warning("%s: whether a killed run left flashes without a verdict is not known: %s", journal, error)
        return []
    return [
        msgspec.structs.replace(
            flash, state=verdict.state, revision=flash.revision + 1, verdict=verdict, changed=("state", "verdict")
        )
        for flash in last.values()
        if flash.state == "detected"
    ]
