"""Secrets in addresses: {NAME} stands for an environment variable, so that no command line contains a secret."""

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from detector.errors import SettingsError

_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled(label: str, url: str, environment: Mapping[str, str] | None = None, *, encode_query: bool = False) -> str:
    """Return `url` with each {NAME} replaced; the part before the @ is encoded, as a password may hold any sign.

    Args:
        label: start of error messages.
        url: the address as written.
        environment: variables for the names; those of the process if omitted.
        encode_query: also encode the part after the ?.

    Raises:
        SettingsError: a variable is not set.
    """
    known = os.environ if environment is None else environment
    secret_end, query = url.rfind("@"), url.find("?") if encode_query else -1

    def value(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise SettingsError(f"{label}: the environment variable {match[1]} in its url is not set")
        found = known[match[1]]
        encoded = match.start() < secret_end or -1 < query < match.start()
        return quote(found, safe="") if encoded else found

    return _VARIABLE.sub(value, url)


def named_variables(text: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of the {NAMES} in `text` that are set."""
    known = os.environ if environment is None else environment
    return {match[1]: known[match[1]] for match in _VARIABLE.finditer(text) if match[1] in known}


def secrets_of(urls: Iterable[str], environment: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the values of the {NAMES} in `urls`, plain and encoded, to remove them from logs."""
    known = os.environ if environment is None else environment
    found = {known.get(match[1], "") for url in urls for match in _VARIABLE.finditer(url)}
    return frozenset(text for secret in found for text in (secret, quote(secret, safe="")) if len(text) > 2)
