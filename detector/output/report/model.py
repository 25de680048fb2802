"""The content of a report: recordings, flashes with words, rejected ones by doubt, and the numbers of the storm."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import pairwise

from detector.events import Flash
from detector.output.rank import CHANNEL_LEVELS, rank_of
from detector.output.report.curves import CurvePiece, FlashCurve
from detector.output.report.lanes import Timeline, timeline_of
from detector.output.report.media_files import (
    ClipFacts,
    MediaFile,
    clip_facts,
    media_file,
    small_image,
    structure_levels,
)
from detector.output.report.source import RunResults
from detector.output.report.storm_rows import ReportStorm, report_storms
from detector.output.report.words import Doubt, doubts, reasons, told_reasons

SAME_SECONDS = 0.5
"""Flashes of two cameras that begin within this time are one flash."""
_LONG_PULSE_SECONDS = 1.0  # a pulse this long beside flashes is fireworks or a lamp that outshines them
_SPARK_SECONDS = 2.0  # what a card's small curve shows before and after a flash


@dataclass(frozen=True, slots=True)
class ReportFlash:
    """One flash with everything that a reader sees of it.

    Attributes:
        flash: the event.
        lane: the camera's name in the report.
        at: when it begins on the report's time axis, seconds; UTC since 1970 where that is known.
        utc: when it began, or None.
        rank: 1 for the picture most worth looking at; None unless confirmed.
        reasons: what speaks for lightning, in words.
        doubts: what spoke against it.
        told: the verdict's own reason in words, the first one first; for rejected and unverified ones.
        also: ids of the same flash seen by other cameras.
        sure_same: whether the bounds of the clocks allow to say so.
        still, clip, brightest: its media.
        model: what a model was shown of it.
        thumbnail: a small still, if the run kept one.
        clip_facts: the clip's times; None where there is no clip.
        curve: the flash's own light curve; None where none was recorded.
        structure: how far thin bright lines stand out in the still, levels; None without a still.
    """

    flash: Flash
    lane: str
    at: float
    utc: float | None
    reasons: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    told: tuple[str, ...]
    still: MediaFile
    clip: MediaFile
    brightest: MediaFile
    model: MediaFile
    thumbnail: MediaFile
    clip_facts: ClipFacts | None
    curve: FlashCurve | None
    structure: float | None
    rank: int | None = None
    also: tuple[str, ...] = ()
    sure_same: bool = False

    @property
    def probability(self) -> float | None:
        """The verifier's probability of lightning; None if it gives none."""
        return None if self.flash.verdict is None else self.flash.verdict.probability

    @property
    def duration(self) -> float:
        """Seconds from the first lit frame to the last; 0 if the end was not seen."""
        return self.flash.duration_seconds or 0.0


@dataclass(frozen=True, slots=True)
class RejectedGroup:
    """Rejected lights of one main doubt, and what else was held against them."""

    doubt: str
    flashes: tuple[ReportFlash, ...]
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The storm in numbers.

    Attributes:
        strikes: distinct confirmed flashes; one on two cameras counts once.
        pictures: confirmed flashes of all cameras.
        seen_twice: how many of them were another camera's view of a counted one.
        sure_same: whether the clocks are good enough to say so.
        busiest_count, busiest_at: the most strikes within 60 s, and when these seconds begin.
        a_minute: mean strikes a minute between the first and the last; None for fewer than two.
        gap_seconds, gap_at: the longest time between two strikes, and when it begins.
        gap_unrecorded: seconds of it in which nothing was recorded; None where that is not known.
        strongest: the flash of the greatest rise; best: of rank 1.
    """

    strikes: int
    pictures: int
    seen_twice: int
    sure_same: bool
    busiest_count: int
    busiest_at: float
    a_minute: float | None
    gap_seconds: float
    gap_at: float
    gap_unrecorded: float | None
    strongest: ReportFlash | None
    best: ReportFlash | None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The content of the page.

    Attributes:
        flashes: in the order of time; rejected ones too.
        groups: the rejected ones, the largest group first.
        storms: in the order of time.
        zone: the local time zone.
        settings: (name, value, whether changed from shipped) rows.
    """

    results: RunResults
    timeline: Timeline
    flashes: tuple[ReportFlash, ...]
    groups: tuple[RejectedGroup, ...]
    storms: tuple[ReportStorm, ...]
    summary: Summary
    zone: tzinfo
    settings: tuple[tuple[str, str, bool], ...]

    @property
    def confirmed(self) -> tuple[ReportFlash, ...]:
        """The confirmed flashes, best picture first."""
        found = (one for one in self.flashes if one.flash.state == "confirmed")
        return tuple(sorted(found, key=lambda one: one.rank or 0))

    @property
    def unjudged(self) -> tuple[ReportFlash, ...]:
        """Flashes without a verdict, in the order of time."""
        return tuple(one for one in self.flashes if one.flash.state in ("unverified", "detected"))


def make_report(results: RunResults, zone: tzinfo) -> Report:
    """Return the report of a run's results."""
    timeline = timeline_of(results)
    flashes = _with_same(_ranked(_told(results, timeline)))
    return Report(
        results=results,
        timeline=timeline,
        flashes=flashes,
        groups=group_by_doubt([one for one in flashes if one.flash.state == "rejected"]),
        storms=report_storms(results.flashes, timeline, results.about),
        summary=summarize([one for one in flashes if one.flash.state == "confirmed"], timeline),
        zone=zone,
        settings=_settings(results.about),
    )


def _told(results: RunResults, timeline: Timeline) -> list[ReportFlash]:
    folder = results.folder
    stills = {flash.id: media_file(folder, flash.media.still) for flash in results.flashes}
    clips = {flash.id: media_file(folder, flash.media.clip) for flash in results.flashes}
    images = {}
    for key, still in stills.items():
        image = None if still.path is None else small_image(folder / still.path)
        if image is not None:
            images[key] = image
    structure = structure_levels(images, {flash.id: timeline.lane(flash) for flash in results.flashes})
    with_clips = [(flash, path) for flash in results.flashes if (path := clips[flash.id].path) is not None]
    curves = results.flash_curves.items()
    starts = {key: curve.clip_start for key, curve in curves if curve.clip_start is not None}
    for flash, _ in with_clips:
        if flash.media.clip_start_seconds is not None:
            starts[flash.id] = flash.media.clip_start_seconds - flash.start_seconds
    facts = clip_facts(folder, with_clips, starts)
    told = []
    for flash in results.flashes:
        seen = structure.get(flash.id)
        told.append(
            ReportFlash(
                flash=flash,
                lane=timeline.lane(flash),
                at=timeline.at(flash),
                utc=timeline.utc(flash),
                reasons=reasons(flash, bolt=None if seen is None else seen >= CHANNEL_LEVELS),
                doubts=doubts(flash),
                told=told_reasons(flash),
                still=stills[flash.id],
                clip=clips[flash.id],
                brightest=media_file(folder, getattr(flash.media, "brightest", None)),
                model=media_file(folder, flash.media.model),
                thumbnail=media_file(folder, getattr(flash.media, "thumbnail", None)),
                clip_facts=facts.get(flash.id),
                curve=results.flash_curves.get(flash.id),
                structure=seen,
            )
        )
    return sorted(told, key=lambda one: (one.at, one.flash.id))


def _ranked(flashes: Sequence[ReportFlash]) -> list[ReportFlash]:
    """Return the same flashes with ranks: by those of their events if all have one, else by what their stills show."""
    confirmed = [one for one in flashes if one.flash.state == "confirmed"]
    own = {one.flash.id: one.flash.rank for one in confirmed}
    if None in own.values():
        own = {
            one.flash.id: rank_of(one.structure or 0.0, one.flash.peak_rise_levels, one.flash.lit_fraction)
            for one in confirmed
        }
    order = sorted(own, key=lambda key: -(own[key] or 0.0))
    ranks = {key: number for number, key in enumerate(order, 1)}
    return [replace(one, rank=ranks.get(one.flash.id)) for one in flashes]


def _with_same(flashes: Sequence[ReportFlash]) -> tuple[ReportFlash, ...]:
    """Return the same flashes, each with the other cameras' views of it."""
    confirmed = [one for one in flashes if one.flash.state == "confirmed"]
    also: dict[str, list[str]] = {}
    sure: dict[str, bool] = {}
    for number, one in enumerate(confirmed):
        for other in confirmed[number + 1 :]:
            if other.at - one.at >= SAME_SECONDS:
                break
            if other.lane != one.lane and one.utc is not None and other.utc is not None:
                also.setdefault(one.flash.id, []).append(other.flash.id)
                also.setdefault(other.flash.id, []).append(one.flash.id)
                bounds = (one.flash.utc_error_ms, other.flash.utc_error_ms)
                sure[one.flash.id] = sure[other.flash.id] = None not in bounds
    return tuple(
        replace(one, also=tuple(also.get(one.flash.id, ())), sure_same=sure.get(one.flash.id, False)) for one in flashes
    )


def group_by_doubt(rejected: Sequence[ReportFlash]) -> tuple[RejectedGroup, ...]:
    """Return the rejected candidates by their main doubt, the largest group first."""
    groups: dict[str, list[ReportFlash]] = {}
    for one in rejected:
        groups.setdefault(one.told[0], []).append(one)
    made = []
    for doubt, members in groups.items():
        others = Counter(words for one in members for words in one.told[1:] if words != doubt)
        made.append(RejectedGroup(doubt, tuple(members), tuple(words for words, _ in others.most_common(4))))
    return tuple(sorted(made, key=lambda group: (-len(group.flashes), group.flashes[0].at)))


def summarize(confirmed: Sequence[ReportFlash], timeline: Timeline) -> Summary:
    """Return the numbers of the storm.

    Args:
        confirmed: in the order of time.
        timeline: what was watched.
    """
    strikes: list[ReportFlash] = []
    lanes: set[str] = set()
    for one in confirmed:
        # Two flashes of one camera are two, however close.
        if strikes and one.at - strikes[-1].at < SAME_SECONDS and one.also and one.lane not in lanes:
            lanes.add(one.lane)
            continue
        strikes.append(one)
        lanes = {one.lane}
    times = [one.at for one in strikes]
    busiest_count, busiest_at = _busiest(times)
    gap = max(pairwise(times), key=lambda pair: pair[1] - pair[0], default=None)
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    plausible = [one for one in confirmed if all(p.duration_seconds < _LONG_PULSE_SECONDS for p in one.flash.pulses)]
    return Summary(
        strikes=len(strikes),
        pictures=len(confirmed),
        seen_twice=len(confirmed) - len(strikes),
        sure_same=all(one.sure_same for one in confirmed if one.also),
        busiest_count=busiest_count,
        busiest_at=busiest_at,
        a_minute=len(strikes) / (span / 60) if span > 0 else None,
        gap_seconds=0.0 if gap is None else gap[1] - gap[0],
        gap_at=0.0 if gap is None else gap[0],
        gap_unrecorded=None if gap is None or not timeline.watched else timeline.unwatched(*gap),
        strongest=max(plausible or confirmed, key=lambda one: one.flash.peak_rise_levels, default=None),
        best=min(confirmed, key=lambda one: one.rank or 0, default=None),
    )


def _busiest(times: Sequence[float]) -> tuple[int, float]:
    """Return the largest number of `times` (ascending) within a minute, and the first of these."""
    best, at, last = 0, 0.0, 0
    for first, begin in enumerate(times):
        last = max(last, first)
        while last < len(times) and times[last] < begin + 60:
            last += 1
        if last - first > best:
            best, at = last - first, begin
    return best, at


def near(piece: CurvePiece, begin: float, end: float) -> slice:
    """Return which of a piece's frames lie between two times on the source's clock."""
    first, last = piece.fine_seconds.searchsorted([begin - piece.begin, end - piece.begin])
    return slice(int(first), int(last))


def spark_curve(one: ReportFlash, timeline: Timeline) -> FlashCurve | None:
    """Return the curve on a card: luma, the brightest block's rise if that shows more, or the flash's own."""
    flash = one.flash
    begin, end = flash.start_seconds - _SPARK_SECONDS / 2, flash.start_seconds + one.duration + _SPARK_SECONDS
    for piece in timeline.pieces(flash):
        part = near(piece, begin, end)
        if part.stop - part.start >= 3:
            seconds = piece.fine_seconds[part] + (piece.begin - flash.start_seconds)
            luma, rise = piece.fine_luma[part], piece.fine_rise[part]
            small = float(luma.max() - luma.min()) < 0.1 * float(rise.max())
            return FlashCurve(seconds, rise if small else luma)
    return one.curve


def _settings(about: Mapping[str, object]) -> tuple[tuple[str, str, bool], ...]:
    """Return rows of the settings in run.json: changed ones first."""
    settings, changed = about.get("settings"), about.get("changed")
    flat = dict(_flat(settings))
    over = dict(_flat(changed))
    rows = [(key, value, True) for key, value in over.items()]
    return (*rows, *((key, value, False) for key, value in flat.items() if key in _SHOWN and key not in over))


_SHOWN = (
    "verifier.kind", "photometric.threshold", "prefilter.min_rise_levels", "prefilter.noise_factor",
    "prefilter.min_lit_fraction", "prefilter.gap_seconds", "evidence.before_seconds", "evidence.after_seconds",
)  # fmt: skip


def _flat(table: object, prefix: str = "") -> list[tuple[str, str]]:
    if not isinstance(table, Mapping):
        return []
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        rows += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value))]
    return rows
