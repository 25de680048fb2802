"""The question put to a model about a candidate's pictures: read from a file, with a version that verdicts carry."""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, get_args

import msgspec

from detector.errors import SettingsError
from detector.settings import PictureName

SHIPPED = "shipped"
# Models mark pictures and turns with tokens of these forms: in a question they would break its structure.
_CONTROL = re.compile(r"<\|[^|]*\|>|</?(?:image|slice|think|image_id)>")


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question and how each picture is named in it. `fingerprint` tells two files of one version apart."""

    version: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    question: str
    pictures: dict[PictureName, str]
    fingerprint: str = ""

    @property
    def label(self) -> str:
        """Version and fingerprint, as verdicts carry it, e.g. 1-9f86d081."""
        return f"{self.version}-{self.fingerprint}"

    def text(self, shown: Iterable[PictureName]) -> str:
        """The question about pictures of these kinds, in this order."""
        names = " ".join(self.pictures[name].replace("{number}", str(n)) for n, name in enumerate(shown, start=1))
        return self.question.strip().replace("{pictures}", names)


def read_prompt(where: str) -> Prompt:
    """The prompt in the file `where`, or the shipped one.

    Raises:
        SettingsError: the file cannot be read, lacks a part, or holds a model's control tokens.
    """
    path = Path(__file__).with_name("prompt.toml") if where == SHIPPED else Path(where)
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode("utf-8"))
        prompt = msgspec.convert(table | {"fingerprint": hashlib.sha256(content).hexdigest()[:8]}, Prompt)
    except OSError as error:
        raise SettingsError(f"question.prompt = {where!r}: cannot read it: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: not a prompt file: {error}; the shipped prompt.toml shows the form") from error
    _check(prompt, path)
    return prompt


def _check(prompt: Prompt, path: Path) -> None:
    missing = set(get_args(PictureName)) - set(prompt.pictures)
    if missing:
        raise SettingsError(f"{path}: [pictures] lacks {', '.join(sorted(missing))}; each needs a sentence")
    if "{pictures}" not in prompt.question:
        raise SettingsError(f"{path}: the question has no {{pictures}}; the pictures must be named in it")
    found = _CONTROL.search(prompt.text(get_args(PictureName)))
    if found:
        raise SettingsError(f"{path}: {found[0]!r} is a control token of the model; leave it out")
