"""Clips on disk: written in a separate thread, one file for all flashes that share it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from detector.events import Media
from detector.output.media_folder import MediaFolder
from detector.output.strip import Strip, strip_of
from stream import Clip, VideoError, reencode_clip

_log = logging.getLogger(__name__)

_WAITING_BYTES = 256 * 1024 * 1024  # limit for clips that wait for a slow disk or for re-encoding
_CLOSE_SECONDS = 600.0  # limit at the end of a run; re-encoding takes about as long as the clips last


class SharedClip:
    """The file of a clip: staged until one of its flashes keeps it, removed when the last flash drops it."""

    def __init__(self, folder: MediaFolder, name: str, users: Sequence[str]) -> None:
        self._folder = folder
        self._name = name
        self._users = set(users)
        self._kept = False
        self._lock = threading.Lock()

    def keep(self) -> str | None:
        """Keep the file for a flash, and return its path in the run's folder; None if there is no file."""
        with self._lock:
            if not self._kept:
                self._kept = self._folder.commit(self._name, "clip")
            return self._name if self._kept else None

    def drop(self, flash_id: str) -> None:
        """Remove a flash from those that share the file."""
        with self._lock:
            self._users.discard(flash_id)
            if not self._users:
                self._folder.remove(self._name)
                self._kept = False


@dataclass(frozen=True, slots=True)
class AttachedClip:
    """The result of cutting a clip, for one flash.

    Attributes:
        media: times of the clip and notes about it; its path follows from `file`.
        arrival: time.monotonic() of the frame at which it was cut.
        file: the clip; None if there is none.
        strip: the frames around the onset; None if there are none.
    """

    media: Media
    arrival: float
    file: SharedClip | None = None
    strip: Strip | None = None


class ClipTaker(Protocol):
    """A flash that waits for its clip."""

    @property
    def flash_id(self) -> str:
        """Id of the flash."""
        ...

    @property
    def onset_seconds(self) -> float:
        """Its start in seconds on the source's clock."""
        ...

    @property
    def utc_offset(self) -> float | None:
        """UTC minus the source's clock, in seconds; None if UTC is unknown."""
        ...

    @property
    def clip_name(self) -> str:
        """Path of its clip in the run's folder, without file ending."""
        ...

    @property
    def wants_clip(self) -> bool:
        """Whether it has not been rejected."""
        ...

    def attach(self, clip: AttachedClip) -> None:
        """Take the clip, or the reason why there is none."""
        ...


@dataclass(frozen=True, slots=True)
class _Job:
    clip: Clip
    takers: list[tuple[ClipTaker, str | None]]
    arrival: float


class ClipWriter:
    """Write clips in a separate thread, which starts with the first one.

    A clip that no browser plays is re-encoded there first. If too many clips wait for memory, replay waits and a
    camera's clip is left out, which its flash says.

    Args:
        folder: where clips are written.
        reencode_hevc: whether H.265, which not every browser plays, is re-encoded, too.
    """

    def __init__(self, folder: MediaFolder, *, reencode_hevc: bool = False) -> None:
        self._folder = folder
        self._reencode_hevc = reencode_hevc
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="clip-writer", daemon=True)

    def write(self, clip: Clip, takers: list[tuple[ClipTaker, str | None]], arrival: float, *, wait: bool) -> None:
        """Write `clip` and give it to each of `takers`, with a note about it.

        Args:
            clip: the clip.
            takers: flashes in the clip, and for each how the clip is shorter than set.
            arrival: time.monotonic() of the frame at which it was cut.
            wait: wait for room; otherwise the clip is left out if there is none.
        """
        size = len(clip.data)
        with self._change:
            if self._thread.ident is None:
                self._thread.start()
            if wait:
                self._change.wait_for(lambda: not self._bytes or self._bytes + size <= _WAITING_BYTES, _CLOSE_SECONDS)
            room = not self._bytes or self._bytes + size <= _WAITING_BYTES
            if room:
                self._jobs.append(_Job(clip, takers, arrival))
                self._bytes += size
                self._change.notify_all()
        if not room:
            self._folder.count_lost("clip", "too many clips wait for the disk, or to be re-encoded")
            _tell(takers, "no clip: too many clips waited for the disk, or to be re-encoded", arrival)

    def drain(self, seconds: float = _CLOSE_SECONDS) -> bool:
        """Wait until all clips are written, for `seconds` at most, and return whether they are."""
        with self._change:
            return self._change.wait_for(lambda: not self._bytes, seconds)

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """End the thread once all is written, after `seconds` at most."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        if self._thread.ident is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                _log.error("clips: %d were not written within %.0f s and are left out", len(self._jobs), seconds)

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._jobs or self._closing)
                if not self._jobs:
                    return
                job = self._jobs[0]
            try:
                self._write(job)
            except Exception as error:  # noqa: BLE001 - one clip that fails costs itself, not those after it
                _log.exception("%s: its clip could not be written", job.takers[0][0].flash_id)
                _tell(job.takers, f"no clip: {type(error).__name__}: {error}", job.arrival)
            with self._change:
                self._bytes -= len(self._jobs.popleft().clip.data)
                del job  # otherwise the last clip of a storm would stay in memory
                self._change.notify_all()

    def _write(self, job: _Job) -> None:
        takers = [(taker, note) for taker, note in job.takers if taker.wants_clip]
        if not takers:
            return
        clip, said = job.clip, None
        if clip.container == "mkv" or (clip.codec == "hevc" and self._reencode_hevc):
            clip, said = _reencoded(clip)
        name = f"{takers[0][0].clip_name}.{clip.container}"
        failure = self._folder.stage(name, clip.data, "clip")
        if failure is not None:
            _tell(takers, f"no clip: {failure}", job.arrival)
            return
        file = SharedClip(self._folder, name, [taker.flash_id for taker, _ in takers])
        for taker, note in takers:
            words = "; ".join(filter(None, (note, said))) or None
            media = Media(
                clip_start_seconds=round(clip.start_seconds, 6), clip_end_seconds=round(clip.end_seconds, 6), note=words
            )
            taker.attach(AttachedClip(media, job.arrival, file, _strip(clip, taker)))


def _reencoded(clip: Clip) -> tuple[Clip, str]:
    """Return a clip that browsers play, and the change made to it in words."""
    began = time.monotonic()
    try:
        made = reencode_clip(clip)
    except VideoError as error:
        return clip, f"browsers may not play the clip: {error}"
    _log.debug("a clip of %s was re-encoded in %.1f s", clip.codec, time.monotonic() - began)
    return made, f"clip re-encoded: not every browser plays {clip.codec}"


def _strip(clip: Clip, taker: ClipTaker) -> Strip | None:
    try:
        return strip_of(clip, taker.onset_seconds)
    except Exception as error:  # noqa: BLE001 - the clip is there without it
        _log.warning("%s: without its strip: %s: %s", taker.flash_id, type(error).__name__, error)
        return None


def _tell(takers: Sequence[tuple[ClipTaker, str | None]], problem: str, arrival: float) -> None:
    for taker, _ in takers:
        taker.attach(AttachedClip(Media(note=problem), arrival))
