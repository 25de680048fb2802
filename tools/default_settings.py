"""Print configs/default.toml, made from the defaults and the field texts of the settings.

Usage: python tools/default_settings.py > configs/default.toml
"""

import ast
import inspect
import re
import sys
import textwrap
from itertools import pairwise

import msgspec

from detector.settings import Settings

_WIDTH = 116
_HEAD = """\
# Every setting, its default and its unit. A settings file needs only the keys that it changes;
# `--set section.key=value` changes one for a run. Units are part of the names.
"""


def field_texts(kind: type) -> dict[str, str]:
    """Return the text of each field of a struct.

    It is the string under the field, or else its entry ("name: text") in the docstring of the class.
    """
    text = textwrap.dedent(inspect.getdoc(kind) or "")
    entries = re.findall(r"^ *(\w+): (.+(?:\n(?! *\w+: ).+)*)", text, re.MULTILINE)
    found = {name: _sentence(words) for name, words in entries}
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef))
    for field, under in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(under, ast.Expr):
            found[field.target.id] = " ".join(ast.literal_eval(under.value).split())
    return found


def _sentence(words: str) -> str:
    joined = " ".join(words.split())
    return joined[:1].upper() + joined[1:]


def as_toml(value: object) -> str:
    """Return a default as a TOML value."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'" if '"' in value else f'"{value}"'
        case tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case _:
            return repr(value)


def default_toml() -> str:
    """Return the whole file."""
    parts = [_HEAD]
    settings = Settings()
    for section in msgspec.structs.fields(Settings):
        values = getattr(settings, section.name)
        texts = field_texts(type(values))
        parts.append(f"\n[{section.name}]\n")
        for field in msgspec.structs.fields(values):
            text = texts.get(field.name, "")
            parts += [f"# {line}\n" for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False)]
            value = getattr(values, field.name)
            parts.append(f"# {field.name} =\n" if value is None else f"{field.name} = {as_toml(value)}\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(default_toml())
