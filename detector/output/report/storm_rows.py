"""The storms of a report: those that the events about storms tell of the same flashes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from detector.events import Flash
from detector.output.report.lanes import Timeline
from detector.settings import StormSettings
from detector.storms.events import Storm, Trend
from detector.storms.fold import StormFold


@dataclass(frozen=True, slots=True)
class ReportStorm:
    """One storm on the report's axis.

    Attributes:
        begin, end: onset of its first and of its last flash, on the axis.
        flash_count: its flashes; what several cameras saw of one counts once.
        rate_per_minute, trend: of its last five minutes, as in the event.
        cameras: lanes of the cameras that saw it.
        strongest: id of the flash that rose most.
    """

    begin: float
    end: float
    flash_count: int
    rate_per_minute: float
    trend: Trend
    cameras: tuple[str, ...]
    strongest: str


def report_storms(flashes: Iterable[Flash], timeline: Timeline, about: Mapping[str, Any]) -> tuple[ReportStorm, ...]:
    """Return the storms that flashes make, in the order of time.

    Args:
        flashes: of the run, each in its last revision.
        timeline: the report's axis.
        about: the content of run.json, for the settings of storms; the shipped ones where it names none.
    """
    by_id = {flash.id: flash for flash in flashes}
    fold = StormFold(_settings(about), "report")
    last: dict[str, Storm] = {}
    for flash in by_id.values():
        last |= {one.id: one for one in fold.take(flash) if isinstance(one, Storm)}
    last |= {one.id: one for one in fold.finish() if isinstance(one, Storm)}
    made = (
        ReportStorm(
            begin=timeline.at(by_id[storm.first_flash]),
            end=timeline.at(by_id[storm.last_flash]),
            flash_count=storm.flash_count,
            rate_per_minute=storm.rate_per_minute,
            trend=storm.trend,
            cameras=tuple(dict.fromkeys(timeline.lane_of.get(name, name) for name in storm.cameras)),
            strongest=storm.strongest.flash,
        )
        for storm in last.values()
        if storm.flash_count and storm.merged_into is None
    )
    return tuple(sorted(made, key=lambda one: one.begin))


def _settings(about: Mapping[str, Any]) -> StormSettings:
    settings = about.get("settings")
    try:
        return msgspec.convert(settings["storm"] if isinstance(settings, dict) else {}, StormSettings)
    except (KeyError, msgspec.ValidationError):
        return StormSettings()
