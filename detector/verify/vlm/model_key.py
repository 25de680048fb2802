"""The key of a model server, from the environment variable that the settings name."""

import os
from collections.abc import Mapping

from detector.errors import VerifierError


def model_key(variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """The key in `variable`, without blanks and line ends around it; empty if there is none.

    Raises:
        VerifierError: it cannot be sent; the message never holds it.
    """
    key = environment.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise VerifierError(
            f"the key in the variable {variable} holds a sign that no key has (a line end or a letter beyond ASCII); "
            "set it again"
        )
    return key
