"""Build the snapshot's processor, from whatever parts the snapshot has: images and prompts in, tensors out."""

from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from detector.errors import VerifierError
from detector.verify.vlm.server45.imports import classes_of

# Typed in one of the versions for the type check, untyped in the one used at run time.
_AUTO_PROCESSOR: Any = AutoProcessor
_AUTO_IMAGE_PROCESSOR: Any = AutoImageProcessor
_CODE = {"trust_remote_code": True, "local_files_only": True}


def build_processor(folder: Path) -> tuple[Any | None, str]:
    """Return a processor with an image processor and a tokenizer, and its source; None if the snapshot has none.

    AutoProcessor returns one only if the snapshot's settings name it; otherwise it returns only the tokenizer or
    refuses ("Unrecognized processing class"). Then the snapshot's own class is built from its parts. Snapshots before
    MiniCPM-V 2.5 have no such class: their model prepares images itself.

    Raises:
        VerifierError: there is a processor class, but it cannot be built.
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
        raise VerifierError(
            f"the processor class {own[0]} cannot be put together: {first_line(error, folder)} ({reason}); "
            "the snapshot is incomplete: fetch it again, preprocessor_config.json included"
        ) from error
    if not _is_whole(processor):
        raise VerifierError(f"the processor class {own[0]} has no image processor or no tokenizer ({reason})")
    return processor, f"{own[0]} put together by hand ({reason})"


def _is_whole(processor: Any) -> bool:
    return getattr(processor, "image_processor", None) is not None and getattr(processor, "tokenizer", None) is not None


def _image_processor(folder: Path) -> Any:
    try:
        return _AUTO_IMAGE_PROCESSOR.from_pretrained(str(folder), **_CODE)
    except Exception:  # the snapshot's own class is tried next, and its error is the one to report
        own = classes_of(folder, "BaseImageProcessor")
        if not own:
            raise
        return _class(folder, own[0]).from_pretrained(str(folder))


def _tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(str(folder), **_CODE)


def _class(folder: Path, name: str) -> Any:
    return get_class_from_dynamic_module(name, str(folder), local_files_only=True)


def first_line(error: Exception, folder: Path) -> str:
    """Return type and first line of an error of the snapshot's code, without the paths of the staged copy."""
    words = str(error).strip().splitlines()
    return f"{type(error).__name__}: {words[0][:300] if words else ''}".replace(str(folder), "the snapshot")
