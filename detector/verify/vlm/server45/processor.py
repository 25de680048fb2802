"""Builds the snapshot's processor, whatever the snapshot ships: images and prompts in, the model's tensors out."""

from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from detector.verify.vlm.server45.imports import classes_of
from detector.verify.vlm.server45.serve_config import CannotServe

# Typed in one of the versions that this is checked with, untyped in the one that it runs with.
_AUTO_PROCESSOR: Any = AutoProcessor
_AUTO_IMAGE_PROCESSOR: Any = AutoImageProcessor
_CODE = {"trust_remote_code": True, "local_files_only": True}


def build_processor(folder: Path) -> tuple[Any | None, str]:
    """Return a processor with an image processor and a tokenizer, and how it came about; None if the snapshot has none.

    AutoProcessor gives one only if the snapshot's settings name it; else it returns the bare tokenizer or refuses
    ("Unrecognized processing class"). Then the snapshot's own class is put together from its parts. Snapshots of before
    MiniCPM-V 2.5 have no such class: their model prepares images itself.

    Raises:
        CannotServe: there is a processor class, but it cannot be put together.
    """
    try:
        found = _AUTO_PROCESSOR.from_pretrained(str(folder), **_CODE)
    except Exception as error:  # noqa: BLE001 - the snapshot's own code runs here and may raise anything
        reason = f"AutoProcessor: {first_line(error, folder)}"
    else:
        if _is_whole(found):
            return found, "AutoProcessor"
        reason = f"AutoProcessor gave a bare {type(found).__name__}"
    own = classes_of(folder, "ProcessorMixin")
    if not own:
        return None, f"{reason}; the snapshot has no processor class, so the model prepares the images itself"
    try:
        processor = _class(folder, own[0])(image_processor=_image_processor(folder), tokenizer=_tokenizer(folder))
    except Exception as error:  # as above
        raise CannotServe(
            f"the processor class {own[0]} cannot be put together: {first_line(error, folder)} ({reason}); "
            "the snapshot is incomplete: fetch it again, preprocessor_config.json included"
        ) from error
    if not _is_whole(processor):
        raise CannotServe(f"the processor class {own[0]} has no image processor or no tokenizer ({reason})")
    return processor, f"{own[0]} put together by hand ({reason})"


def _is_whole(processor: Any) -> bool:
    return getattr(processor, "image_processor", None) is not None and getattr(processor, "tokenizer", None) is not None


def _image_processor(folder: Path) -> Any:
    try:
        return _AUTO_IMAGE_PROCESSOR.from_pretrained(str(folder), **_CODE)
    except Exception:  # the snapshot's own class is tried next, and its error is the one to tell
        own = classes_of(folder, "BaseImageProcessor")
        if not own:
            raise
        return _class(folder, own[0]).from_pretrained(str(folder))


def _tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(str(folder), **_CODE)


def _class(folder: Path, name: str) -> Any:
    return get_class_from_dynamic_module(name, str(folder), local_files_only=True)


def first_line(error: Exception, folder: Path) -> str:
    """Return kind and first line of what the snapshot's code raised; paths of the staged copy say nothing to a user."""
    words = str(error).strip().splitlines()
    return f"{type(error).__name__}: {words[0][:300] if words else ''}".replace(str(folder), "the snapshot")
