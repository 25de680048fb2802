"""Growing, random waits between failed attempts."""

import random


class Backoff:
    """Growing, random waits between failed attempts.

    The n-th wait in a row lies between half and all of `first_seconds * 2 ** (n - 1)`, capped, so that clients that
    failed together do not all return together.

    Attributes:
        failures: waits given since the last reset.
    """

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        """Start without failures.

        Args:
            first_seconds: the first wait, before it is randomised.
            longest_seconds: the cap of all waits.

        Raises:
            ValueError: a wait is not positive.
        """
        if not (first_seconds > 0 and longest_seconds > 0):
            raise ValueError(f"waits must be positive, got {first_seconds} s and at most {longest_seconds} s")
        self.failures = 0
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds

    def next_wait(self, longest_seconds: float | None = None) -> float:
        """Return the seconds to wait before the next attempt, and count a failure.

        Args:
            longest_seconds: a lower cap for this wait.
        """
        longest = min(self._longest_seconds, self._longest_seconds if longest_seconds is None else longest_seconds)
        doubled: float = self._first_seconds * 2.0 ** min(self.failures, 20)
        self.failures += 1
        return with_jitter(min(doubled, longest))

    def reset(self) -> None:
        """Start again with the first wait, after an attempt that succeeded."""
        self.failures = 0


def with_jitter(seconds: float) -> float:
    """Return a random wait between half of `seconds` and `seconds`."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
