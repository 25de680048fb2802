"""Lightning in video: the public API, and the program built on it.

Names load on first use: `import detector` itself needs no other package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.api import Colour, Detector, find_flashes
    from detector.candidate import Candidate
    from detector.errors import DetectorError, OutputError, SettingsError, UsageError, VerifierError
    from detector.events import Flash, Media, Pulse, Verdict
    from detector.settings import Settings, load_settings
    from detector.verify.base import Verifier
    from stream import Frame, OpenError, StreamError, VideoError

__version__ = "0.2.0"

_HOMES = {
    "Candidate": "detector.candidate",
    "Colour": "detector.api",
    "Detector": "detector.api",
    "DetectorError": "detector.errors",
    "Flash": "detector.events",
    "Frame": "stream",
    "Media": "detector.events",
    "OpenError": "stream",
    "OutputError": "detector.errors",
    "Pulse": "detector.events",
    "Settings": "detector.settings",
    "SettingsError": "detector.errors",
    "StreamError": "stream",
    "UsageError": "detector.errors",
    "Verdict": "detector.events",
    "Verifier": "detector.verify.base",
    "VerifierError": "detector.errors",
    "VideoError": "stream",
    "find_flashes": "detector.api",
    "load_settings": "detector.settings",
}

__all__ = [
    "Candidate",
    "Colour",
    "Detector",
    "DetectorError",
    "Flash",
    "Frame",
    "Media",
    "OpenError",
    "OutputError",
    "Pulse",
    "Settings",
    "SettingsError",
    "StreamError",
    "UsageError",
    "Verdict",
    "Verifier",
    "VerifierError",
    "VideoError",
    "__version__",
    "find_flashes",
    "load_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'detector' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
