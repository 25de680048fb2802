"""The only import of OpenCV: without its thread pool, and with a clear message if a library is missing."""

from functools import cache
from typing import Any

from stream.errors import OpenError


@cache
def load_opencv() -> Any:
    """Import OpenCV, and switch its thread pool off.

    The pool's threads spin while they wait for work, and on small grids they wait most of the time.

    Returns:
        the module `cv2`.

    Raises:
        OpenError: it cannot be loaded; the message names what to install.
    """
    try:
        import cv2 as module  # noqa: PLC0415 - the loader's own error does not say what to install
    except ImportError as error:
        raise OpenError(_explain(str(error)), permanent=True) from error
    module.setNumThreads(0)
    return module


def _explain(reason: str) -> str:
    if "No module named" in reason:
        return "OpenCV is not installed: pip install opencv-python"
    library = reason.partition(":")[0]
    return (
        f"OpenCV cannot be loaded, {library} is missing on this machine: apt-get install libgl1 libglib2.0-0, or "
        "pip install --force-reinstall opencv-python-headless"
    )
