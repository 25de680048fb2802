"""Groups: one flash seen by several cameras, by times that agree within their bounds."""

from bisect import bisect_left, insort
from datetime import UTC, datetime
from typing import NamedTuple

from detector.events import Flash
from detector.storms.events import Group, GroupMember

GROUP_BOUND_MS = 500.0
"""Times with a larger bound join no group: at 5 flashes a minute one in six would agree by chance."""
_LONGEST_SECONDS = 12.0  # longest flash with its time bounds: no other one can overlap from farther away
_GROUP_CLOCKS = ("rtcp", "arrival")


class _Light(NamedTuple):
    """One confirmed flash with a bounded UTC, for comparison in groups; pulses are (begin, end) in UTC seconds."""

    member: GroupMember
    seconds: float
    pulses: tuple[tuple[float, float], ...]


class Groups:
    """Join confirmed flashes of different cameras into groups, in the order in which they are confirmed."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._groups: dict[str, Group] = {}
        self._group_of: dict[str, str] = {}
        self._lights: list[tuple[float, str]] = []
        self._light: dict[str, _Light] = {}

    def join(self, flash: Flash, site: str) -> Group | None:
        """Return the group that a newly confirmed flash makes or joins, if any: the nearest one that agrees.

        Args:
            flash: the revision of a flash; only the first confirmed one with bounded UTC counts.
            site: the site of its camera.
        """
        light = _light(flash, site)
        if light is None or flash.id in self._light:
            return None
        reach = max((end for _, end in light.pulses), default=light.seconds) - light.seconds + _LONGEST_SECONDS
        begin = bisect_left(self._lights, (light.seconds - reach, ""))
        end = bisect_left(self._lights, (light.seconds + reach, ""))
        near = sorted(self._lights[begin:end], key=lambda one: (abs(one[0] - light.seconds), one[1]))
        insort(self._lights, (light.seconds, flash.id))
        self._light[flash.id] = light
        for _, other in near:
            group = self._groups.get(self._group_of.get(other, ""))
            members = (self._light[other].member,) if group is None else group.members
            if all(_agree(self._light[member.flash], light) for member in members):
                joined = (*members, light.member)
                best = min(joined, key=lambda one: one.bound_ms)
                new = Group(
                    id=f"group-{members[0].flash}",
                    site=self._site,
                    revision=len(joined) - 1,
                    start_utc=best.start_utc,
                    bound_ms=best.bound_ms,
                    members=joined,
                )
                self._groups[new.id] = new
                self._group_of.update((member.flash, new.id) for member in joined)
                return new
        return None

    def strike(self, flash: str) -> str:
        """Return the id of a flash's group, or its own: what several cameras saw of one flash has one name."""
        return self._group_of.get(flash, flash)

    def forget_before(self, utc: float) -> None:
        """Forget flashes and groups that began before this UTC."""
        old = bisect_left(self._lights, (utc, ""))
        for _, flash in self._lights[:old]:
            self._light.pop(flash, None)
            group = self._group_of.pop(flash, None)
            if group is not None:
                self._groups.pop(group, None)
        del self._lights[:old]


def _light(flash: Flash, site: str) -> _Light | None:
    bound = flash.utc_error_ms
    if flash.state != "confirmed" or flash.start_utc is None or bound is None:
        return None
    if flash.clock not in _GROUP_CLOCKS or bound > GROUP_BOUND_MS:
        return None
    start = utc_seconds(flash.start_utc)
    pulses = tuple(
        (start + one.offset_seconds, start + one.offset_seconds + one.duration_seconds) for one in flash.pulses
    )
    member = GroupMember(flash=flash.id, site=site, camera=flash.camera, start_utc=flash.start_utc, bound_ms=bound)
    return _Light(member, start, pulses or ((start, start + (flash.duration_seconds or 0.0)),))


def _agree(one: _Light, other: _Light) -> bool:
    """Return whether two cameras may have seen one flash: one may miss the first pulses, but the times must agree."""
    if (one.member.site, one.member.camera) == (other.member.site, other.member.camera):
        return False
    bound = (one.member.bound_ms + other.member.bound_ms) / 1000
    return any(
        begin - bound < other_end and other_begin - bound < end
        for begin, end in one.pulses
        for other_begin, other_end in other.pulses
    )


def utc_seconds(text: str) -> float:
    """Return an ISO 8601 time as seconds since 1970."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
