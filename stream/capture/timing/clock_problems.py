"""Problems of a camera's clock or time stamps, in words that say what to set."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Kind = Literal["unset", "stuck", "misfit", "ahead", "behind", "drift", "stamps", "no reports"]

_ARRIVAL = "times are taken from arrival instead"
_NTP = "set its time and a time server (NTP) on the camera"
_STILL_SHARE = 0.002
_UNIT_SHARES = (0.2, 5.0)  # stamped seconds per real second; outside, the unit may be wrong


@dataclass(frozen=True, slots=True)
class ClockProblem:
    """One problem.

    Attributes:
        kind: identifies the problem; it is reported once for each camera.
        text: what is wrong and what to do.
    """

    kind: Kind
    text: str


def unset(utc: float) -> ClockProblem:
    """Return the problem that the camera's clock was never set: it says `utc`, in seconds since 1970."""
    try:
        said = f"{datetime.fromtimestamp(utc, UTC):%Y-%m-%d}"
    except (OverflowError, OSError, ValueError):
        said = "a time that no calendar has"
    return ClockProblem("unset", f"the camera's clock is not set (it says {said}): {_ARRIVAL}; {_NTP}")


def stuck() -> ClockProblem:
    """Return the problem that every report gives the same time."""
    return ClockProblem(
        "stuck", f"the camera's clock stands still: {_ARRIVAL}; restart the camera or update its firmware"
    )


def misfit() -> ClockProblem:
    """Return the problem that the reports fit no time stamps."""
    return ClockProblem(
        "misfit",
        f"the camera's sender reports do not fit its time stamps: {_ARRIVAL}; a newer firmware may mend it, "
        'times = "arrival" silences this',
    )


def ahead(seconds: float, *, host_synchronised: bool | None) -> ClockProblem:
    """Return the problem that the camera's clock is ahead of this computer's."""
    return _apart("ahead", f"{_spoken(seconds)} ahead of", seconds, host_synchronised=host_synchronised)


def behind(seconds: float, *, host_synchronised: bool | None) -> ClockProblem:
    """Return the problem that the camera's clock is behind this computer's."""
    return _apart("behind", f"{_spoken(seconds)} behind", seconds, host_synchronised=host_synchronised)


def drifting() -> ClockProblem:
    """Return the problem that the camera's clock runs at another rate than this computer's."""
    return ClockProblem("drift", f"the camera's clock drifts against this host's: {_ARRIVAL}; {_NTP}")


def stamps_wrong(share: float) -> ClockProblem:
    """Return the problem that time stamps advance by `share` seconds per second of arrival."""
    if share < _STILL_SHARE:
        what = "its time stamps stand still or jump about"
    elif not _UNIT_SHARES[0] <= share <= _UNIT_SHARES[1]:
        what = f"its time stamps advance by {share:.2g} s in a second (a wrong unit, or most frames are left out)"
    elif share < 1:
        what = f"it delivers {100 * share:.0f} % of the frames that its time stamps count (long exposure at night?)"
    else:
        what = f"it delivers {100 * share:.0f} % of the frames that its time stamps count"
    return ClockProblem(
        "stamps",
        f"{what}: frames are timed by arrival, less exactly, until they agree; a fixed frame rate or a shorter "
        'longest exposure on the camera mends it, times = "arrival" silences this',
    )


def no_reports(seconds: float) -> ClockProblem:
    """Return the problem that the camera's clock is required, but the camera sends no reports."""
    return ClockProblem(
        "no reports",
        f'it sent no RTCP sender report in {seconds:.0f} s, so times = "camera" has nothing to go by: {_ARRIVAL}',
    )


def _apart(kind: Kind, where: str, seconds: float, *, host_synchronised: bool | None) -> ClockProblem:
    host = "this host's"
    advice = _NTP
    if host_synchronised is False:
        host += ", which is not synchronised itself"
        advice = 'synchronise both, or choose the camera\'s with times = "camera"'
    elif abs(seconds / 900 - round(seconds / 900)) < 0.01 and seconds > 1000:
        advice = "its clock may show local time: set the time zone on the camera, or a time server that gives UTC"
    return ClockProblem(kind, f"the camera's clock is {where} {host}: {_ARRIVAL}; {advice}")


def _spoken(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.1f} s"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.2f} h"
    return f"{seconds / 86400:.0f} days"
