"""Plan the clips of one source: cut after a flash has ended, one for flashes in quick succession."""

import logging
from dataclasses import dataclass, field
from typing import Protocol

from detector.errors import OutputError
from detector.events import Media
from detector.output.clip_files import AttachedClip, ClipTaker, ClipWriter
from detector.settings import EvidenceSettings
from stream import Clip, Frame, VideoError

_log = logging.getLogger(__name__)

_SHARED_SECONDS = 30.0  # longest shared clip, unless the settings allow longer ones
_SETTLE_SECONDS = 5.0  # longest wait for a flash whose clip would overlap
_TOLERANCE_SECONDS = 0.1
_NOT_KEPT = (
    "no clip: nothing of its time is kept to cut it from; after a jump of the time stamps or a new connection that "
    "begins with the next key frame (set the camera to one every 1 or 2 s), and of a device nothing is kept"
)


class ClipSource(Protocol):
    """A video or camera that keeps its last packets."""

    def cut(self, start_seconds: float, end_seconds: float, utc_offset: float | None = None) -> Clip | None:
        """Return that time as a video file, or None if it is not kept."""
        ...


def history_seconds(settings: EvidenceSettings, longest_flash_seconds: float) -> float:
    """Return the seconds of packets to keep of a source so that every clip can be cut; 0 if clips are switched off."""
    if not settings.clips:
        return 0.0
    return _longest(settings, longest_flash_seconds) + _settle(settings) + 1.0


def _longest(settings: EvidenceSettings, longest_flash_seconds: float) -> float:
    return max(_SHARED_SECONDS, settings.before_seconds + longest_flash_seconds + settings.after_seconds)


def _settle(settings: EvidenceSettings) -> float:
    return min(settings.before_seconds, _SETTLE_SECONDS)


@dataclass(slots=True)
class _Wanted:
    """A clip to be cut, with its flashes and the time span that each wants."""

    takers: list[tuple[ClipTaker, float, float]] = field(default_factory=list)

    @property
    def start(self) -> float:
        return min(start for _, start, _ in self.takers)

    @property
    def end(self) -> float:
        return max(end for _, _, end in self.takers)


class ClipPlanner:
    """Cut the clips of one source: pass each closed flash, each frame, and the end.

    A clip is cut once the time after its flash has passed, and a little later if another flash may still share it. It
    is cut in the caller's thread, while the source still has it; `writer` does slower work.

    Args:
        source: the video or camera.
        writer: writes clips in a separate thread.
        settings: how long clips are.
        longest_flash_seconds: upper limit for the duration of a flash.
        live: whether it is a camera, which never waits for the writer, and whose end is a loss.
    """

    def __init__(
        self,
        source: ClipSource,
        writer: ClipWriter,
        settings: EvidenceSettings,
        longest_flash_seconds: float,
        *,
        live: bool,
    ) -> None:
        self._source = source
        self._writer = writer
        self._settings = settings
        self._longest = _longest(settings, longest_flash_seconds)
        self._live = live
        self._wanted: _Wanted | None = None
        self._begin: float | None = None  # start of the current epoch; earlier packets do not belong to it
        self._last: Frame | None = None

    def add(self, taker: ClipTaker, start_seconds: float, end_seconds: float) -> None:
        """Add a finished flash, with its start and end on the source's clock."""
        start = start_seconds - self._settings.before_seconds
        end = end_seconds + self._settings.after_seconds
        wanted = self._wanted
        if wanted is not None and (start > wanted.end or end - wanted.start > self._longest):
            self._cut(wanted.end, None)
            wanted = None
        if wanted is None:
            wanted = self._wanted = _Wanted()
        wanted.takers.append((taker, start, end))

    def advance(self, frame: Frame, open_since: float | None) -> None:
        """Take the next frame, after the flashes that it closed, and cut the clips that are due.

        Args:
            frame: the newest frame.
            open_since: start of the open flash; None if there is none.
        """
        last, self._last = self._last, frame
        if self._begin is None:
            self._begin = frame.seconds
        if last is not None and frame.epoch != last.epoch:
            self._cut(last.seconds + last.duration, "the stream was interrupted or jumped")
        wanted = self._wanted
        if wanted is None or frame.seconds < wanted.end:
            return
        if open_since is not None:
            shares = open_since - self._settings.before_seconds <= wanted.end
            due = not shares or frame.seconds - wanted.start >= self._longest
        else:
            due = frame.seconds >= wanted.end + _settle(self._settings)
        if due:
            self._cut(wanted.end, None)

    def finish(self) -> None:
        """Cut the wanted clips as far as possible, since the source has ended or is away."""
        if self._last is not None:
            why = "the camera was lost or watching ended" if self._live else None
            self._cut(self._last.seconds + self._last.duration, why)

    def _cut(self, until: float, why: str | None) -> None:
        """Cut the wanted clip, up to `until`; `why` says why that may be too early."""
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return
        takers = [one for one in wanted.takers if one[0].wants_clip]
        if not takers:
            return
        start, end = min(start for _, start, _ in takers), min(until, max(end for *_, end in takers))
        problem = _NOT_KEPT
        clip: Clip | None = None
        try:
            clip = self._source.cut(start, end, takers[0][0].utc_offset)
        except (VideoError, OutputError) as error:
            problem = f"no clip: {error}"
        except Exception as error:  # noqa: BLE001 - a flash without its clip is worth more than none
            problem = f"no clip: {type(error).__name__}: {error}"
        ready: list[tuple[ClipTaker, str | None]] = []
        for taker, begins, ends in takers:
            if clip is None or clip.start_seconds >= ends - self._settings.after_seconds:
                taker.attach(AttachedClip(media=Media(note=problem), arrival=self._arrival))
            else:
                ready.append((taker, self._shorter(clip, begins, ends, why)))
        if clip is not None and ready:
            self._writer.write(clip, ready, self._arrival, wait=not self._live)

    @property
    def _arrival(self) -> float:
        return 0.0 if self._last is None else self._last.arrival

    def _shorter(self, clip: Clip, begins: float, ends: float, why: str | None) -> str | None:
        """Return in words how the clip is shorter than set."""
        said = []
        late = clip.start_seconds - max(begins, self._begin or 0.0)
        if late > _TOLERANCE_SECONDS:
            bound = "capture.history_megabytes"
            said.append(
                f"begins {late:.1f} s late (what came before was not kept: a new connection, or beyond {bound})"
            )
        early = ends - clip.end_seconds
        if early > _TOLERANCE_SECONDS and why is not None:
            said.append(f"ends {early:.1f} s early ({why})")
        return f"clip cut short: {'; '.join(said)}" if said else None
