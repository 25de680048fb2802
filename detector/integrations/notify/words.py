"""What a message says: a title and a text for each kind of alert, and one for several at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from string import Formatter
from typing import Any

from detector.errors import UsageError
from detector.integrations.notify.alerts import Alert
from detector.settings import ALERT_KINDS

WARNING = "Cameras see light, not distance; what none of them sees is not here. Not a safety device."
"""Ends every message about flashes and storms."""
TITLES = {
    "first_flash": "{site}: first flash",
    "storm_began": "{site}: a storm has begun",
    "storm_ended": "{site}: no flash for {quiet_minutes} minutes",
    "camera_down": "{site}: camera {camera} is {state}",
    "camera_back": "{site}: camera {camera} is back",
    "site_down": "{site}: nothing is heard from the program that watches",
    "site_back": "{site}: the program that watches is heard again",
    "disk_low": "{site}: {free_mb} MB left for {folder}",
}
TEXTS = {
    "first_flash": "{camera} saw a flash at {time}, after a quiet time.",
    "storm_began": "{flashes} flashes since {first}, seen by {cameras}.",
    "storm_ended": "{flashes} flashes from {first} to {last}, seen by {cameras}.",
    "camera_down": "{camera} is {state} since {since}: {error}. Flashes are not seen there.",
    "camera_back": "{camera} was away for {seconds} s.",
    "site_down": "Nothing was heard for {seconds} s. Flashes are not seen there.",
    "site_back": "It was away for {seconds} s.",
    "disk_low": "Free space there: events, stills and clips will soon not be kept.",
}
_FIELDS = {
    "first_flash": {"camera", "pulses", "duration"},
    "storm_began": {
        "flashes", "rate", "trend", "cameras", "first", "last", "quiet_minutes", "strongest_camera"
    },
    "camera_down": {"camera", "state", "error", "since", "seconds"},
    "site_down": {"since", "seconds"},
    "disk_low": {"folder", "free_mb"},
}  # fmt: skip
_FIELDS |= {
    "storm_ended": _FIELDS["storm_began"],
    "camera_back": _FIELDS["camera_down"],
    "site_back": _FIELDS["site_down"],
}
_ALWAYS = {"site", "time", "kind"}
_MOMENTS = {"first", "last", "since"}
_OF_LIGHT = ("first_flash", "storm_began", "storm_ended")
_MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class Words:
    """A title and a text."""

    title: str
    text: str


class Templates:
    """Turns alerts into words.

    Args:
        texts: by kind, a text to use in place of the built-in one; {NAMES} stand for what is known of the alert.
        zone: of the times that are said.

    Raises:
        UsageError: there is no such kind, or a text names what is not known.
    """

    def __init__(self, texts: Mapping[str, str], zone: tzinfo | None) -> None:
        for kind, text in texts.items():
            if kind not in ALERT_KINDS:
                raise UsageError(f"--template {kind}=...: no such kind; choose of {', '.join(ALERT_KINDS)}")
            _check(kind, text)
        self._texts = TEXTS | dict(texts)
        self._zone = zone

    def of(self, alerts: Sequence[Alert], dropped: int = 0) -> Words:
        """Return what a message about these says.

        Args:
            alerts: one, or several to be summed up.
            dropped: so many more were given up.
        """
        if len(alerts) == 1 and not dropped:
            alert = alerts[0]
            return Words(self._title(alert), _ended(self._filled(self._texts[alert.kind], alert), [alert]))
        ordered = sorted(alerts, key=lambda alert: alert.at)
        lines = [f"{self._time(alert.at)}  {self._title(alert)}" for alert in ordered[-_MOST_LINES:]]
        more = dropped + len(ordered) - len(lines)
        sites = sorted({alert.site for alert in alerts})
        title = f"{', '.join(sites)}: {len(alerts) + dropped} messages that had to wait"
        head = [f"({more} earlier ones are left out)"] if more else []
        return Words(title, _ended("\n".join([*head, *lines]), alerts))

    def _title(self, alert: Alert) -> str:
        if alert.kind == "storm_ended" and not alert.facts.get("flashes"):
            return f"{alert.site}: the storm was none"
        return self._filled(TITLES[alert.kind], alert)

    def _filled(self, template: str, alert: Alert) -> str:
        facts: dict[str, Any] = {"site": alert.site, "kind": alert.kind, "time": self._time(alert.at)}
        facts |= {name: self._said(name, value) for name, value in alert.facts.items()}
        return template.format_map(facts)

    def _said(self, name: str, value: Any) -> str:
        if value is None:
            return "?"
        if name in _MOMENTS:
            return self._time(float(value))
        return f"{value:g}" if isinstance(value, float) else str(value)

    def _time(self, seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _ended(text: str, alerts: Sequence[Alert]) -> str:
    return f"{text}\n\n{WARNING}" if any(alert.kind in _OF_LIGHT for alert in alerts) else text


def _check(kind: str, text: str) -> None:
    known = _FIELDS[kind] | _ALWAYS
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise UsageError(f"--template {kind}=...: {error}") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in known or spec or conversion):
            raise UsageError(f"--template {kind}=...: {{{name}}} is not known; choose of {', '.join(sorted(known))}")
