"""The public API under one name, `lightning_detector`, which the wheel installs beside `detector` and `stream`.

The import checks that those two belong to this program, and are not a user's modules of the same name.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector import (
        Candidate,
        Colour,
        Detector,
        DetectorError,
        Flash,
        Frame,
        Media,
        OpenError,
        OutputError,
        Pulse,
        Settings,
        SettingsError,
        StreamError,
        UsageError,
        Verdict,
        Verifier,
        VerifierError,
        VideoError,
        __version__,
        find_flashes,
        load_settings,
    )
    from stream import Subscriber

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
    "Subscriber",
    "UsageError",
    "Verdict",
    "Verifier",
    "VerifierError",
    "VideoError",
    "__version__",
    "find_flashes",
    "load_settings",
]

_OWN_FILES = {"stream": "feed/message.py", "detector": "events.py"}
"""A file that identifies each package."""


def _check(package: str) -> None:
    """Raise ImportError unless `package` belongs to this program; a foreign package is located but not run."""
    loaded = sys.modules.get(package)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        spec = find_spec(package)
        if spec is None:
            raise ImportError(
                f"lightning_detector: {package!r} is missing: pip install --force-reinstall lightning-detector"
            )
        origin = spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    if origin is None or not (Path(origin).parent / _OWN_FILES[package]).is_file():
        raise ImportError(
            f"lightning_detector: {origin} is found before this program's package {package!r}: rename it, or run "
            "from another folder"
        )


for _package in _OWN_FILES:
    _check(_package)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lightning_detector' has no attribute {name!r}")
    return getattr(import_module("stream" if name == "Subscriber" else "detector"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
