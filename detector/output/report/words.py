"""Words for measurements: states, reasons for lightning, doubts, clocks and times."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from detector.events import Flash

STATES = ("confirmed", "unverified", "rejected", "detected")
_TOLD_FROM = 0.2  # share of a clue's greatest cost; smaller doubts are not shown
_NUMBERS = re.compile(r" \([^()]*\)")  # `(steadiness 0.93)` after a doubt in a verdict's reason


@dataclass(frozen=True, slots=True)
class ClueReading:
    """The scale of a clue's value: a full doubt at `against` and beyond, none at `clear` and beyond."""

    doubt: str
    against: float
    clear: float

    def weight(self, value: float) -> float:
        """Return the share 0..1 of the doubt that `value` raises."""
        return min(1.0, max(0.0, (value - self.clear) / (self.against - self.clear)))


CLUE_READINGS: Mapping[str, ClueReading] = {
    "positivity": ClueReading("much else got darker", 0.88, 0.95),
    "fine_positivity": ClueReading("something moved beside it", 0.8, 0.93),
    "seen_before": ClueReading("the place had this level before: something uncovered it", 0.75, 0.55),
    "fallen_share": ClueReading("the light stayed", 0.5, 0.8),
    "went_dark": ClueReading("it was not seen to go out", 0.0, 1.0),
    "scene_changed": ClueReading("the scene was another one afterwards", 0.7, 0.3),
    "detail_kept": ClueReading("it shows another place afterwards", 0.15, 0.4),
    "unevenness": ClueReading("all of it faded to white, as editors do", 0.03, 0.06),
    "suddenness": ClueReading("it grew slowly", 0.3, 0.55),
    "gain_likeness": ClueReading("all brightened alike, as by exposure", 0.75, 0.55),
    "gain_elsewhere": ClueReading("the rest brightened too, as by mains light", 0.6, 0.4),
    "filter_swing": ClueReading("an infra-red filter swung", 0.2, 0.1),
    "shift_likeness": ClueReading("the frame moved", 0.55, 0.45),
    "smoothness": ClueReading("it is small and sharp", 0.1, 0.25),
    "specks": ClueReading("it is a swarm of sparks, as of fireworks", 17.0, 12.0),
    "show": ClueReading("there were fireworks right before it", 3.0, 1.0),
    "overlap": ClueReading("it moved on from frame to frame", 0.4, 0.7),
    "travel": ClueReading("it travelled steadily", 0.8, 0.4),
    "roaming": ClueReading("it shone in one place after the other", 3.0, 2.0),
    "company": ClueReading("lights as of insects came before it", 3.0, 1.0),
    "steadiness": ClueReading("it shone evenly, as lamps do", 0.9, 0.6),
    "regularity": ClueReading("it kept time, as machines do", 0.85, 0.6),
    "blinks": ClueReading("it blinked, as lamps do", 4.0, 2.0),
    "burning": ClueReading("each of its bursts burned out slowly, as fireworks do", 0.2, 0.1),
    "sustained": ClueReading("it burned on, as an arc does", 0.8, 0.6),
    "colour_lost": ClueReading("the frame lost its colour", 0.9, 0.6),
    "warmth": ClueReading("its light is warm, as that of lamps", 0.5, 0.1),
    "hue_spread": ClueReading("its light has many colours", 0.3, 0.2),
    "greenness": ClueReading("its light is green", 0.16, 0.08),
    "height": ClueReading("it is low in the frame", 0.88, 0.76),
    "lamplight": ClueReading("it is low and not bluish", 0.03, -0.02),
    "reach": ClueReading("nothing about it glows", 0.12, 0.16),
    "sky_share": ClueReading("the sky above shows none of it", 0.05, 0.09),
    "size": ClueReading("it is small", 0.02, 0.1),
}
"""By the key in `verdict.evidence`; a test compares it with the photometric verifier's clues."""

_CLOCKS = {
    "rtcp": "Clock from the camera's sender reports",
    "arrival": "Clock from when frames arrived here",
    "file": "Clock from the files: to the second, unchecked",
    "none": "No clock: seconds in the recording",
}
_TIMED = {
    "rtcp": (
        (
            "The camera itself said when each frame was taken, in its RTCP sender reports. The bound holds for "
            "this program's part; how well the camera's own clock is set was not checked."
        ),
    ),
    "arrival": (
        (
            "A frame's time is when it arrived here, less the delay that the steadiest frames showed. What the "
            "network always adds cannot be seen from here."
        ),
        "A camera that sends RTCP sender reports gives times with a tight bound.",
    ),
    "file": (
        (
            "Each file's creation time, or the one that was given, plus the time of the frame in it. Between two "
            "flashes of one file the time is exact to a frame. How far the file's clock was from true time is not "
            "known, so times of day are good to a second at best."
        ),
        "For times with a bound, watch a camera that sends sender reports.",
    ),
    "none": (
        (
            "The recordings do not say when they were made, so times are seconds in the recording. Between two "
            "flashes of one file they are exact to a frame."
        ),
        "Give the time of the first frame with --start to get times of day.",
    ),
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason against lightning: in words, with its clue, the clue's value and its weight 0..1."""

    words: str
    clue: str
    value: float
    weight: float


def reasons(flash: Flash, *, bolt: bool | None) -> tuple[str, ...]:
    """Return the reasons for lightning, the strongest first.

    Args:
        flash: the flash.
        bolt: whether its still shows thin bright lines; None if there is no still.
    """
    clues = {} if flash.verdict is None else flash.verdict.evidence
    lit = flash.lit_fraction
    found = []
    if bolt:
        found.append("bolt seen")
    elif bolt is False:
        found.append("far glow" if lit < 0.05 else "cloud glow")
    if lit >= 0.05:
        found.append(f"lit {percent(lit)} of the frame")
    sudden = clues.get("suddenness")
    if sudden is not None and sudden >= 0.55:
        found.append("full in one frame" if sudden >= 0.95 else f"{percent(sudden)} of it in one frame")
    if len(flash.pulses) >= 3:
        found.append("flickered, as strokes do")
    if clues.get("fallen_share", 0.0) > 0.97 and clues.get("went_dark", 0.0) > 0:
        found.append("dark again after")
    if clues.get("warmth", 0.0) < -0.05:
        found.append("bluish")
    return tuple(found)


def doubts(flash: Flash) -> tuple[Doubt, ...]:
    """Return the reasons against lightning, the strongest first."""
    if flash.verdict is None:
        return ()
    found = [
        Doubt(CLUE_READINGS[key].doubt, key, value, CLUE_READINGS[key].weight(value))
        for key, value in flash.verdict.evidence.items()
        if key in CLUE_READINGS
    ]
    return tuple(sorted((one for one in found if one.weight >= _TOLD_FROM), key=lambda one: -one.weight))


def told_reasons(flash: Flash) -> tuple[str, ...]:
    """Return the verdict's own reason as a list of phrases without numbers: why it was rejected, or not judged."""
    reason = None if flash.verdict is None else flash.verdict.reason
    if reason is None:
        return tuple(one.words for one in doubts(flash)) or ("no reason was given",)
    return tuple(_NUMBERS.sub("", part).strip() for part in reason.split("; "))


def clock_words(clock: str, error_ms: float | None) -> str:
    """Return the accuracy of the times in one line."""
    if clock in ("rtcp", "arrival") and error_ms is not None:
        return f"{_CLOCKS[clock]}: within {error_ms:.0f} ms"
    return _CLOCKS.get(clock, clock)


def how_timed(clock: str) -> tuple[str, ...]:
    """Return in paragraphs how the times were obtained."""
    return _TIMED.get(clock, ())


def percent(share: float) -> str:
    """Return a share 0..1 as a percentage that is never 0 or 100."""
    if share < 0.01:
        return "under 1\N{NO-BREAK SPACE}%"
    return f"{round(share * 100)}\N{NO-BREAK SPACE}%"


def length(seconds: float) -> str:
    """Return a duration in everyday words."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def time_of_day(utc: float, zone: tzinfo = UTC, digits: int = 0) -> str:
    """Return hh:mm:ss in `zone`, with `digits` of the second."""
    thousandths = round(utc * 1000)
    then = datetime.fromtimestamp(thousandths // 1000, zone)
    text = then.strftime("%H:%M:%S")
    return f"{text}.{thousandths % 1000:03d}"[: 9 + digits] if digits else text


def in_recording(seconds: float, digits: int = 2) -> str:
    """Return seconds in a recording as m:ss.ss, or h:mm:ss.ss from an hour on."""
    ticks = round(max(0.0, seconds) * 10**digits)
    whole, part = divmod(ticks, 10**digits)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    text = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"{text}.{part:0{digits}d}" if digits else text
