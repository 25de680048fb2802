"""Light curves of a run without an end: a file for each month, of which the oldest go."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

_log = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0
_STEMS = ("curves", "flash-curves")
_MONTH = "[0-9][0-9][0-9][0-9]-[0-9][0-9]"


@dataclass(frozen=True, slots=True)
class CurveMonths:
    """How long curves by month are kept; those of the newest month always are.

    Attributes:
        limit_megabytes: size of all months together, 10^6 bytes, beyond which the oldest go; 0: no bound.
        keep_days: months that ended longer ago go; 0: none do.
    """

    limit_megabytes: float = 0.0
    keep_days: float = 0.0

    @staticmethod
    def name(plain: str, utc: float | None) -> str:
        """Return the name of a file for a month, e.g. curves-2026-11.jsonl for curves.jsonl.

        Args:
            plain: the name without a month.
            utc: when what is written began, seconds since 1970; now where that is not known.
        """
        when = datetime.fromtimestamp(time.time() if utc is None else utc, UTC)
        return plain.replace(".jsonl", f"-{when:%Y-%m}.jsonl")

    def trim(self, folder: Path, now: float | None = None) -> None:
        """Remove the months that are too old or too much; what cannot be removed is logged.

        Args:
            folder: of the run.
            now: seconds since 1970, as the clock says if omitted.
        """
        if not self.limit_megabytes and not self.keep_days:
            return
        files = [path for stem in _STEMS for path in folder.glob(f"{stem}-{_MONTH}.jsonl")]
        sizes = {path: _size(path) for path in files}
        months = sorted({_month(path) for path in files})
        oldest = (time.time() if now is None else now) - self.keep_days * _DAY_SECONDS
        for month, following in pairwise(months):
            too_much = self.limit_megabytes and sum(sizes.values()) > self.limit_megabytes * 1e6
            too_old = self.keep_days and _begin(following) < oldest
            if not too_much and not too_old:
                return
            _log.warning("%s: removed the light curves of %s", folder, month)
            for path in [path for path in sizes if _month(path) == month]:
                del sizes[path]
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    _log.error("%s: cannot be removed: %s", path, error.strerror)


def _month(path: Path) -> str:
    return path.stem[-7:]


def _begin(month: str) -> float:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
