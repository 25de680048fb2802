"""Local times: in the site's zone, or this computer's."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from detector.settings import SiteSettings


def site_zone(site: SiteSettings) -> tzinfo | None:
    """Return the zone of a site; None means this computer's, with its summer time."""
    return ZoneInfo(site.timezone) if site.timezone else None


def local_text(utc: str, zone: tzinfo | None) -> str:
    """Return the local time of day of a UTC text, to the second, with the name of the zone."""
    local = datetime.fromisoformat(utc).astimezone(zone)
    return local.strftime("%H:%M:%S ") + _zone_name(local)


def fixed_zone(seconds: float, zone: tzinfo | None) -> tzinfo:
    """Return `zone` as a fixed offset at the time `seconds` since 1970."""
    found = datetime.fromtimestamp(seconds, UTC).astimezone(zone).tzinfo
    return found if found is not None else UTC


def _zone_name(local: datetime) -> str:
    name = local.strftime("%Z")
    # Zones without a name have a number instead, such as "+03".
    return f"UTC{name}" if name[:1] in "+-" else name
