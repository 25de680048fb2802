"""Load what a command needs, in less time."""

import gc
from importlib import import_module
from types import ModuleType


def load(name: str) -> ModuleType:
    """Return the module `name`, loaded without collecting garbage meanwhile.

    Modules make objects that stay: looking through them again and again takes a tenth of the start. They are left
    out of later collections, too.
    """
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.enable()
        gc.freeze()
