"""Home Assistant's device discovery: one retained payload for each camera and each site."""

from typing import Any

from detector import __version__
from detector.integrations.mqtt.states import LIT_SECONDS, camera_base

WARNING = "Sees light, not distance. Not a safety device."
"""Shown as the model of each device, so that anybody who builds an automation on it reads it."""


def device_id(site: str, camera: str | None = None) -> str:
    """Return the name of a device; it is unique, since names of sites and cameras contain no underscore."""
    return f"lightning_{site}" if camera is None else f"lightning_{site}_{camera}"


def config_topic(prefix: str, device: str) -> str:
    """Return the topic of a device's configuration."""
    return f"{prefix}/device/{device}/config"


def camera_device(prefix: str, status: str, site: str, camera: str, *, stills: bool) -> dict[str, Any]:
    """Return the configuration of a camera's device.

    Args:
        prefix: prefix of the state topics.
        status: topic that says whether the bridge is connected.
        site: site of the camera.
        camera: name of the camera.
        stills: whether stills are published.
    """
    device, base = device_id(site, camera), camera_base(prefix, site, camera)
    parts: dict[str, dict[str, Any]] = {
        "flash": {
            "platform": "binary_sensor",
            "name": "Flash",
            "icon": "mdi:weather-lightning",
            "state_topic": f"{base}/flash",
            "off_delay": LIT_SECONDS,
        },
        "last_flash": {
            "platform": "sensor",
            "name": "Last flash",
            "device_class": "timestamp",
            "state_topic": f"{base}/last_flash",
        },
        "flashes_10_min": {
            "platform": "sensor",
            "name": "Flashes in 10 minutes",
            "icon": "mdi:counter",
            "state_class": "measurement",
            "unit_of_measurement": "flashes",
            "state_topic": f"{base}/flashes_10_min",
        },
        "connected": {
            "platform": "binary_sensor",
            "name": "Connected",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": f"{base}/connected",
        },
    }
    if stills:
        parts["still"] = {
            "platform": "image",
            "name": "Last flash",
            "content_type": "image/jpeg",
            "image_topic": f"{base}/still",
        }
    about = {"name": f"Lightning camera {camera}", "via_device": device_id(site)}
    return _payload(prefix, status, site, device, about, parts)


def site_device(prefix: str, status: str, site: str) -> dict[str, Any]:
    """Return the configuration of a site's device."""
    device, base = device_id(site), f"{prefix}/{site}"
    parts: dict[str, dict[str, Any]] = {
        "storm": {
            "platform": "binary_sensor",
            "name": "Storm",
            "icon": "mdi:weather-lightning-rainy",
            "state_topic": f"{base}/storm",
        },
        "all_clear": {
            "platform": "sensor",
            "name": "Quiet from",
            "device_class": "timestamp",
            "state_topic": f"{base}/all_clear",
        },
        "rate": {
            "platform": "sensor",
            "name": "Flash rate",
            "icon": "mdi:speedometer",
            "state_class": "measurement",
            "unit_of_measurement": "flashes/min",
            "state_topic": f"{base}/rate",
        },
    }
    return _payload(prefix, status, site, device, {"name": f"Lightning site {site}"}, parts)


def _payload(
    prefix: str, status: str, site: str, device: str, about: dict[str, str], parts: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    return {
        "device": {
            "identifiers": [device],
            "manufacturer": "Lightning Detector",
            "model": WARNING,
            "sw_version": __version__,
            **about,
        },
        "origin": {"name": "lightning-detector", "sw_version": __version__},
        "availability": [{"topic": status}, {"topic": f"{prefix}/{site}/status"}],
        "availability_mode": "all",
        "qos": 1,
        "components": {name: {**part, "unique_id": f"{device}_{name}"} for name, part in parts.items()},
    }
