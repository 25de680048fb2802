"""Storms: a deterministic fold over the flashes of a journal."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from detector.events import Flash
from detector.settings import StormSettings
from detector.storms.events import Group, Storm, StrongestFlash, Trend
from detector.storms.groups import Groups, utc_seconds
from stream import utc_text

UPDATE_SECONDS = 60.0
"""A storm is `updated` at most this often, in event time."""
LATE_SECONDS = 60.0
"""A live storm stays open this long after its all-clear: a flash of 10 s with a verdict after 30 s would reopen it."""
RATE_SECONDS = 300.0
"""The rate covers this time up to the last flash; its trend compares with the same time before."""


class _Entry(NamedTuple):
    """One flash that counts, at its place in time; sorts by time."""

    seconds: float
    id: str
    camera: str
    levels: float


@dataclass
class _Known:
    """A storm as last published, and when; `members` are its current flashes, `last` is the time of the last one."""

    storm: Storm
    at: float
    members: set[str]
    last: float
    dirty: bool = False


Told = Storm | Group


class StormFold:
    """Fold revisions of flashes, in the order of their journal, into storms and groups.

    Args:
        settings: rules for the begin and end of a storm.
        site: the site of the storms.
    """

    def __init__(self, settings: StormSettings, site: str) -> None:
        self._settings = settings
        self._site = site
        self._quiet = settings.quiet_minutes * 60
        self._lines: dict[str, list[_Entry]] = {}
        self._entries: dict[str, tuple[str, _Entry]] = {}
        self._storms: dict[str, list[_Known]] = {}
        self._now: dict[str, float] = {}
        self._dormant: dict[str, Storm] = {}  # storms of the journal, by flashes that a resumed replay will find again
        self._groups = Groups(site)

    def take(self, flash: Flash, site: str | None = None) -> list[Told]:
        """Return the storms and groups that a revision of a flash changes, to be published after it.

        Args:
            flash: the revision.
            site: the site of its camera, if that is not this one.
        """
        group = self._groups.join(flash, site or self._site)
        told: list[Told] = [] if group is None else [group]
        line, entry = _timeline(flash), _entry(flash)
        known = self._entries.pop(flash.id, None)
        if known is not None:
            self._lines[known[0]].remove(known[1])
        if self._counts(flash):
            entries = self._lines.setdefault(line, [])
            insort(entries, entry)
            self._entries[flash.id] = (line, entry)
            self._now[line] = max(self._now.get(line, entry.seconds), entry.seconds)
            if known == (line, entry) and not told:
                return told  # a revision that only adds media or opinions
            if known is None and entries[-1] is entry and self._goes_on(line, entry):
                return [*told, *self._due(line)]
        elif known is None and not told:
            return told
        seconds = {entry.seconds, *(() if known is None else (known[1].seconds,))}
        if group is not None:
            seconds |= {
                self._entries[member.flash][1].seconds for member in group.members if member.flash in self._entries
            }
        for at in sorted(seconds):
            told += self._review(line, at)
        return [*told, *self._due(line)]

    def advance(self, utc: float) -> list[Told]:
        """Return the changes that are due at this UTC without a flash: storms that ended, counts that waited."""
        if "" not in self._storms:
            return []
        self._now[""] = max(self._now.get("", utc), utc)
        return self._due("", late=LATE_SECONDS)

    def finish(self) -> list[Told]:
        """Return the last changes at the end of all recordings: every storm has ended."""
        return [one for line in sorted(self._storms) for one in self._due(line, final=True)]

    def restore(
        self, flashes: Iterable[tuple[Flash, str]], storms: Iterable[Storm], groups: Iterable[Group]
    ) -> list[Told]:
        """Continue from what a journal holds.

        Args:
            flashes: every revision, in order, and the site of its camera.
            storms: every revision, in order.
            groups: every revision, in order.

        Returns:
            the storms and groups that a killed run had not published yet.
        """
        due: list[Told] = []
        for flash, site in flashes:
            due = self.take(flash, site)
        # Flash and group are queued together, so only groups of the very last flash can be missing.
        told = {one.id: one.revision for one in groups}
        missing: list[Told] = [one for one in due if isinstance(one, Group) and told.get(one.id, 0) < one.revision]
        last = {storm.id: storm for storm in storms}
        mine = self._storms
        self._storms = {}
        for storm in last.values():
            if not storm.flash_count or storm.merged_into is not None:
                continue
            named = {storm.first_flash, storm.last_flash, storm.strongest.flash}
            ids = named & self._entries.keys()
            if not ids:
                self._dormant.update(dict.fromkeys(named, storm))
            for line in {self._entries[one][0] for one in ids}:
                begin = self._seconds(storm.first_flash, line)
                known = _Known(storm, begin, set(ids), begin)
                self._storms.setdefault(line, []).append(known)
        for line, made in mine.items():
            for one in made:
                missing += self._review(line, self._entries[one.storm.first_flash][1].seconds)
            missing += self._due(line)
        return missing

    def latest(self, utc: float) -> Storm | None:
        """Return the storm of the last flashes with a UTC, as it stands at this time; `ended` where it is over."""
        known = max(self._storms.get("", []), key=lambda one: one.last, default=None)
        if known is None:
            return None
        session = sorted(self._entries[one][1] for one in known.members if one in self._entries)
        return self._storm("", session, known.storm, ended=utc > known.last + self._quiet) if session else None

    def strike_times(self) -> list[float]:
        """Return when flashes with a UTC were, in order; what several cameras saw of one counts once."""
        strikes: dict[str, float] = {}
        for entry in self._lines.get("", []):
            strikes.setdefault(self._groups.strike(entry.id), entry.seconds)
        return list(strikes.values())

    def forget_before(self, utc: float) -> None:
        """Forget flashes, groups and storms that were over before this UTC."""
        line = self._lines.get("", [])
        keep = bisect_left(line, utc, key=lambda one: one.seconds)
        while 0 < keep < len(line) and line[keep].seconds - line[keep - 1].seconds <= self._quiet:
            keep -= 1
        for entry in line[:keep]:
            del self._entries[entry.id]
        del line[:keep]
        self._storms[""] = [one for one in self._storms.get("", []) if one.members & self._entries.keys()]
        self._groups.forget_before(utc)

    def _counts(self, flash: Flash) -> bool:
        return flash.state == "confirmed" or (flash.state == "unverified" and self._settings.count_unverified)

    def _seconds(self, flash: str, line: str) -> float:
        found = self._entries.get(flash)
        return self._now[line] if found is None else found[1].seconds

    def _goes_on(self, line: str, entry: _Entry) -> bool:
        """Add the newest flash to the current storm, if there is one, since nothing earlier can change then."""
        entries = self._lines[line]
        if len(entries) < 2 or entry.seconds - entries[-2].seconds > self._quiet:
            return False
        for known in self._storms.get(line, []):
            if entries[-2].id in known.members:
                known.members.add(entry.id)
                known.last, known.dirty = entry.seconds, True
                return True
        return False

    def _review(self, line: str, at: float) -> Iterator[Storm]:
        """Compare the storms around a time with the known ones, and yield new, changed and removed ones."""
        found = list(self._sessions(self._around(line, at)))
        known = self._storms.setdefault(line, [])
        taken: list[_Known] = []
        for session in found:
            ids = {entry.id for entry in session}
            same = [one for one in known if one.members & ids and one not in taken]
            if not same and not ids.isdisjoint(self._dormant):
                before = next(self._dormant.pop(entry.id) for entry in session if entry.id in self._dormant)
                known.append(_Known(before, self._now[line], ids, session[-1].seconds, dirty=True))
                taken.append(known[-1])
                continue
            if not same:
                storm = self._storm(line, session, None)
                known.append(_Known(storm, self._now[line], ids, session[-1].seconds))
                taken.append(known[-1])
                yield storm
                continue
            first, *others = sorted(same, key=lambda one: one.storm.revision, reverse=True)
            first.members, first.last, first.dirty = ids, session[-1].seconds, True
            taken.append(first)
            for other in others:
                known.remove(other)
                yield msgspec.structs.replace(
                    other.storm, state="ended", revision=other.storm.revision + 1, merged_into=first.storm.id
                )
        around = {entry.id for entry in self._around(line, at)}
        for one in [one for one in known if one not in taken]:
            if one.members & around or one.members.isdisjoint(self._entries):  # verdicts removed its first flashes
                known.remove(one)
                yield msgspec.structs.replace(one.storm, state="ended", revision=one.storm.revision + 1, flash_count=0)

    def _due(self, line: str, *, late: float = 0.0, final: bool = False) -> list[Told]:
        """Return updates and ends that are due on a timeline."""
        told: list[Told] = []
        now = self._now.get(line, 0.0)
        for known in self._storms.get(line, []):
            if known.storm.state == "ended" and not known.dirty:
                continue
            over = final or now > known.last + self._quiet + late
            if not over and now - known.at < UPDATE_SECONDS:
                continue
            session = sorted(self._entries[one][1] for one in known.members if one in self._entries)
            if not session:
                continue
            storm = self._storm(line, session, known.storm, ended=over)
            known.dirty = False
            if _content(storm) != _content(known.storm):
                known.storm, known.at = storm, now
                told.append(storm)
        return told

    def _around(self, line: str, at: float) -> list[_Entry]:
        """Return the flashes connected with a time by gaps no longer than `quiet_minutes`."""
        entries = self._lines.get(line, [])
        begin = bisect_left(entries, at, key=lambda one: one.seconds)
        end = bisect_right(entries, at, key=lambda one: one.seconds)
        edge = at
        while begin and edge - entries[begin - 1].seconds <= self._quiet:
            begin -= 1
            edge = entries[begin].seconds
        edge = at
        while end < len(entries) and entries[end].seconds - edge <= self._quiet:
            edge = entries[end].seconds
            end += 1
        return entries[begin:end]

    def _sessions(self, entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
        """Yield the storms in a series of flashes, each from its first flash with enough others within reach."""
        run: list[_Entry] = []
        for entry in [*entries, None]:
            if entry is not None and (not run or entry.seconds - run[-1].seconds <= self._quiet):
                run.append(entry)
                continue
            begin = self._begin(run)
            if begin is not None:
                yield run[begin:]
            run = [] if entry is None else [entry]

    def _begin(self, run: Sequence[_Entry]) -> int | None:
        """Return the index of the first flash of a storm; several cameras' views of one flash count once."""
        strikes: dict[str, int] = {}
        for number, entry in enumerate(run):
            strikes.setdefault(self._groups.strike(entry.id), number)
        firsts = list(strikes.values())
        count = self._settings.begin_count
        for first, last in zip(firsts, firsts[count - 1 :], strict=False):
            if run[last].seconds - run[first].seconds <= self._settings.begin_minutes * 60:
                return first
        return None

    def _storm(self, line: str, session: Sequence[_Entry], before: Storm | None, *, ended: bool = False) -> Storm:
        strikes: dict[str, float] = {}
        for entry in session:
            strikes.setdefault(self._groups.strike(entry.id), entry.seconds)
        times = list(strikes.values())
        first, last = session[0], session[-1]
        rate, trend = _rate(times)
        strongest = max(session, key=lambda one: (one.levels, -one.seconds, one.id))
        utc = line == ""
        return Storm(
            id=f"storm-{first.id}" if before is None else before.id,
            site=self._site,
            state="ended" if ended else "began" if before is None else "updated",
            revision=1 if before is None else before.revision + 1,
            file=None if utc else line,
            first_flash=first.id,
            first_utc=utc_text(first.seconds) if utc else None,
            first_seconds=None if utc else first.seconds,
            last_flash=last.id,
            last_utc=utc_text(last.seconds) if utc else None,
            last_seconds=None if utc else last.seconds,
            flash_count=len(times),
            rate_per_minute=rate,
            trend=trend,
            cameras=tuple(sorted({entry.camera for entry in session})),
            strongest=StrongestFlash(flash=strongest.id, camera=strongest.camera, peak_rise_levels=strongest.levels),
            quiet_minutes=self._settings.quiet_minutes,
            all_clear_at=utc_text(last.seconds + self._quiet) if utc else None,
        )


def _timeline(flash: Flash) -> str:
    """Return the timeline of its time: "" if UTC is known, else its own recording."""
    return "" if flash.start_utc is not None else flash.file or flash.camera


def _entry(flash: Flash) -> _Entry:
    seconds = flash.start_seconds if flash.start_utc is None else utc_seconds(flash.start_utc)
    return _Entry(seconds, flash.id, flash.camera, flash.peak_rise_levels)


def _rate(times: Sequence[float]) -> tuple[float, Trend]:
    """Return flashes per minute up to the last one, and whether that is significantly more or less than before."""
    last = times[-1]
    recent = sum(last - one < RATE_SECONDS for one in times)
    before = sum(RATE_SECONDS <= last - one < 2 * RATE_SECONDS for one in times)
    minutes = min(max(last - times[0], 60.0), RATE_SECONDS) / 60
    rate = round(recent / minutes, 2)
    if last - times[0] < RATE_SECONDS:
        return rate, "unknown"
    chance = (recent + before) ** 0.5  # the standard deviation of a difference of two counts
    return rate, "rising" if recent - before > chance else "falling" if before - recent > chance else "steady"


def _content(storm: Storm) -> Storm:
    """Return a storm without the values that differ in each message."""
    state = "ended" if storm.state == "ended" else "updated"
    return msgspec.structs.replace(storm, state=state, revision=0)
