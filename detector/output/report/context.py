"""The words and numbers for the page's template."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from detector import __version__
from detector.output.report.cards import Card, CardImages, spark_of
from detector.output.report.lanes import Recording, recording_name
from detector.output.report.model import RejectedGroup, Report
from detector.output.report.page_data import page_data
from detector.output.report.storm_rows import ReportStorm
from detector.output.report.words import (
    STATES,
    clock_words,
    how_timed,
    in_recording,
    length,
    time_of_day,
)
from detector.output.text import plural
from stream import Clock

_NOT_RECORDED = "This run did not record what it watched when; only its flashes are known."


@dataclass(frozen=True, slots=True)
class _Moment:
    """A time that the template writes with `when`."""

    utc: float | None
    text: str
    begin: float = 0.0
    end: float = 0.0
    value: str = ""
    unit: str = ""
    unrecorded: str = ""
    name: str = ""
    length: str = ""

    def time(self, _digits: int = 0) -> str:
        """Return the text of the time."""
        return self.text


def page_context(report: Report, images: CardImages) -> dict[str, Any]:
    """Return all that the template names."""
    by_id = {one.flash.id: one for one in report.flashes}
    cards = {
        one.flash.id: Card(
            one,
            report.zone,
            images.address(one),
            spark_of(one, report),
            tuple(by_id[key] for key in one.also),
            images.base,
        )
        for one in report.flashes
    }
    summary, timeline = report.summary, report.timeline
    rejected = sum(len(group.flashes) for group in report.groups)
    clock, error = _clock(report)
    states = [state for state in STATES if any(one.flash.state == state for one in report.flashes)]
    return {
        "title": _title(report),
        "headline": plural(summary.strikes, "flash", "flashes"),
        "subtitle": _subtitle(report, report.zone, "local time"),
        "clock": clock_words(clock, error),
        "clock_good": error is not None and error <= 100,
        "timed": how_timed(clock),
        "summary": summary,
        "storms": [_storm_row(one, report) for one in report.storms],
        "seen": _seen(report),
        "busiest": _busiest(report),
        "gap": _gap(report),
        "strongest": None if summary.strongest is None else cards[summary.strongest.flash.id],
        "best": None if summary.best is None else cards[summary.best.flash.id],
        "states_there": states,
        "has_curves": bool(timeline.curves),
        "measured": "mean brightness, 0 to 255; hatched: not recorded"
        if timeline.curves
        else "rise of each flash in levels; brightness over time was not recorded",
        "cards": [cards[one.flash.id] for one in (*report.confirmed, *report.unjudged)],
        "groups": [
            {"doubt": group.doubt, "also": group.also, "flashes": [cards[one.flash.id] for one in group.flashes]}
            for group in report.groups
        ],
        "rejected_line": f"{plural(rejected, 'light')} looked like lightning and "
        f"{'was' if rejected == 1 else 'were'} rejected",
        "rejected_doubts": " · ".join(_counted(group) for group in report.groups[:3]),
        "watched": [_watched_row(one, report) for one in timeline.recordings] if timeline.watched else [],
        "watched_note": ""
        if timeline.watched
        else "This run did not record what it watched when; only its flashes are known.",
        "settings": report.settings,
        "settings_note": "This run did not record its settings.",
        "software": f"{report.flashes[0].flash.software if report.flashes else f'lightning-detector {__version__}'}, "
        + plural(len(report.flashes), "candidate"),
        "links": [
            (quote(images.base + path.name), path.name)
            for path in sorted(report.results.folder.glob("flashes*"))
            if path.suffix in (".csv", ".jsonl")
        ],
        "data": page_data(
            report,
            cards,
            {"local": _subtitle(report, report.zone, "local time"), "utc": _subtitle(report, UTC, "UTC")},
        ),
    }


def _counted(group: RejectedGroup) -> str:
    count = len(group.flashes)
    return group.doubt if count == 1 else f"{count} \N{MULTIPLICATION SIGN} {group.doubt}"


def _dates(report: Report, zone: tzinfo) -> str | None:
    timeline = report.timeline
    if not timeline.timed:
        return None
    inside = [one.at for one in report.flashes if one.flash.state == "confirmed"] or [
        one.begin for one in timeline.recordings
    ]
    first, last = (datetime.fromtimestamp(at, zone) for at in (min(inside), max(inside)))
    text = f"{last.day} {last:%B %Y}"
    if first.date() == last.date():
        return text
    head = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else f"{first.day} {first:%B}"
    return f"{head} to {text}"


def _title(report: Report) -> str:
    dates = _dates(report, report.zone)
    if dates is not None:
        return f"Storm of {dates}" if report.summary.strikes else f"No lightning, {dates}"
    names = list(dict.fromkeys(recording_name(one) for one in report.timeline.recordings))
    what = names[0] if len(names) == 1 else plural(len(names), "recording")
    return f"{'Lightning' if report.summary.strikes else 'No lightning'} in {what}"


def _subtitle(report: Report, zone: tzinfo, words: str) -> str:
    timeline = report.timeline
    parts = []
    times = [one.at for one in report.confirmed] or [one.begin for one in timeline.recordings]
    if timeline.timed and times:
        offset = datetime.fromtimestamp(min(times), zone).utcoffset()
        minutes = 0 if offset is None else int(offset.total_seconds() // 60)
        sign = "+" if minutes >= 0 else "\N{MINUS SIGN}"
        zone_words = (
            f"UTC{sign}{abs(minutes) // 60}" + (f":{abs(minutes) % 60:02d}" if minutes % 60 else "")
            if minutes
            else "UTC"
        )
        first, last = (time_of_day(at, zone)[:5] for at in (min(times), max(times)))
        both = first if first == last else f"{first} to {last}"
        parts.append(f"{both} {zone_words}" if zone_words == "UTC" else f"{both} {words} ({zone_words})")
    parts.append(plural(len(timeline.lanes), "camera"))
    files = len({one.name for one in timeline.recordings if one.name is not None})
    if files:
        parts.append(plural(files, "file"))
    if timeline.watched:
        parts.append(f"{length(timeline.watched_seconds)} of video")
    return ", ".join(parts)


def _seen(report: Report) -> str:
    summary = report.summary
    if not summary.seen_twice:
        return "all by one camera" if len(report.timeline.lanes) == 1 else "each by one camera"
    words = "seen twice" if summary.sure_same else "perhaps twice"
    return f"{plural(summary.pictures, 'view')}, {summary.seen_twice} {words}"


def _moment(report: Report, at: float, **more: Any) -> _Moment:
    timed = report.timeline.timed
    return _Moment(at if timed else None, time_of_day(at, report.zone) if timed else in_recording(at, 0), **more)


def _busiest(report: Report) -> _Moment | None:
    summary = report.summary
    if summary.a_minute is None:
        return None
    return _moment(report, summary.busiest_at, begin=summary.busiest_at - 2, end=summary.busiest_at + 62)


def _gap(report: Report) -> _Moment | None:
    summary = report.summary
    if summary.a_minute is None:
        return None
    seconds, unseen = summary.gap_seconds, summary.gap_unrecorded
    if seconds < 100:
        value, unit = f"{seconds:.1f}", "s"
    elif seconds < 5400:
        value, unit = f"{int(seconds // 60)}", f"min {int(seconds % 60)} s"
    else:
        value, unit = f"{int(seconds // 3600)}", f"h {int(seconds % 3600 // 60)} min"
    end = summary.gap_at + seconds
    margin = max(2.0, 0.1 * seconds)
    return _moment(
        report,
        summary.gap_at,
        begin=summary.gap_at - margin,
        end=end + margin,
        value=value,
        unit=unit,
        unrecorded=length(unseen) if unseen is not None and unseen >= 1 else "",
    )


def _storm_row(storm: ReportStorm, report: Report) -> dict[str, Any]:
    """Return a storm as the template writes it; its button zooms to it with a margin."""
    margin = max(2.0, 0.05 * (storm.end - storm.begin))
    facts = [plural(storm.flash_count, "flash", "flashes"), f"{storm.rate_per_minute:g} a minute at its end"]
    if storm.trend != "unknown":
        facts.append(storm.trend)
    facts.append(" and ".join(storm.cameras) if len(storm.cameras) < 3 else plural(len(storm.cameras), "camera"))
    return {
        "first": _moment(report, storm.begin),
        "last": _moment(report, storm.end),
        "begin": storm.begin - margin,
        "end": storm.end + margin,
        "length": length(storm.end - storm.begin),
        "facts": ", ".join(facts),
        "strongest": storm.strongest,
    }


def _watched_row(recording: Recording, report: Report) -> _Moment:
    return _moment(
        report, recording.begin, name=recording_name(recording), length=length(recording.end - recording.begin)
    )


def _clock(report: Report) -> tuple[Clock, float | None]:
    """Return the worst clock of the flashes, else of the recordings, and the largest bound; None if one has none."""
    order: tuple[Clock, ...] = ("none", "file", "arrival", "rtcp")
    clocks = (
        [one.flash.clock for one in report.flashes] or [one.clock for one in report.timeline.recordings] or ["none"]
    )
    worst = min(clocks, key=order.index)
    bounds = [one.flash.utc_error_ms for one in report.flashes]
    known = [bound for bound in bounds if bound is not None]
    return worst, max(known) if known and len(known) == len(bounds) else None
