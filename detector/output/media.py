"""What is kept of each flash to look at: a still of its brightest picture and a clip of its moment."""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Protocol

import numpy as np

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.events import Media
from detector.settings import EvidenceSettings
from stream import Clip, Frame, VideoError, load_opencv

_log = logging.getLogger(__name__)

CLIPS = "clips"  # the folder of a run's clips, in the run's own
_UNDECIDED = ".new"  # ends the name of a picture until its verdict is there; what a killed run leaves is known by it
_JPEG_QUALITY = 92
_NOT_KEPT = (
    "nothing of its time is kept to cut it from; after a jump of the time stamps or a new connection that begins with "
    "the next key frame (set the camera to one every 1 or 2 s), and of a device nothing is kept"
)


class ClipSource(Protocol):
    """A video or camera that keeps its last seconds."""

    def cut(self, start_seconds: float, end_seconds: float) -> Clip | None:
        """The pictures of that time as a file, or None where they are not kept."""
        ...


class MediaWriter:
    """The folders `stills/` and `clips/` of a run. lost: how many pictures and clips could not be written."""

    def __init__(self, folder: Path, settings: EvidenceSettings) -> None:
        self.lost = 0
        self._folder = folder
        self._settings = settings

    def take(self, candidate: Candidate, source: ClipSource | None) -> "Evidence":
        """The pictures of a closed candidate; to be called while its source still has them. It never raises."""
        problems: list[str] = []
        still = clip = None
        with _costing_no_event("still", problems):
            # A close stroke may turn the whole picture white: the brightest one that shows something tells more.
            still = encode_still(candidate.clear or candidate.peak)
        with _costing_no_event("clip", problems):
            if source is not None and self._settings.clips:
                start = candidate.start_seconds - self._settings.before_seconds
                clip = source.cut(start, candidate.end_seconds + self._settings.after_seconds)
                if clip is None or clip.start_seconds >= candidate.end_seconds:
                    clip = None
                    problems.append(f"without its clip: {_NOT_KEPT}")
        return Evidence(self, candidate.id, still, clip, tuple(problems))

    def put_aside(self, flash_id: str, still: bytes | None, clip: Clip | None) -> Media:
        """Write the pictures under names that say that nothing is decided; gives back their paths in the run's folder.

        What cannot be written is logged: a full disk must not cost the event itself.
        """
        return Media(
            still=None if still is None else self._write("stills", f"{flash_id}.jpg", still),
            clip=None if clip is None else self._write(CLIPS, f"{flash_id}.{clip.container}", clip.data),
        )

    def keep(self, aside: Media) -> Media:
        """Give pictures that were put aside their own names; what cannot be renamed is logged."""
        return Media(still=self._rename(aside.still), clip=self._rename(aside.clip))

    def remove(self, media: Media) -> None:
        """Take pictures out again; what cannot be removed is logged."""
        try:
            remove_media(self._folder, media)
        except OSError as error:
            _log.error("%s: cannot be removed: %s", error.filename, error.strerror)

    def _write(self, kind: str, name: str, data: bytes) -> str | None:
        path = self._folder / kind / name.replace(":", "")
        aside = path.with_name(f"{path.name}{_UNDECIDED}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(aside, [data])
        except OSError as error:
            self.lost += 1
            _log.error("%s: cannot write the %s: %s", path, kind[:-1], error.strerror)
            return None
        return f"{kind}/{aside.name}"

    def _rename(self, aside: str | None) -> str | None:
        if aside is None:
            return None
        kept = aside.removesuffix(_UNDECIDED)
        try:
            (self._folder / aside).replace(self._folder / kept)
        except OSError as error:
            self.lost += 1
            _log.error("%s: cannot be renamed to %s: %s", self._folder / aside, PurePath(kept).name, error.strerror)
            return None
        return kept


class Evidence:
    """A candidate's pictures: in memory first, then aside on disk, then in the run or nowhere; any thread may decide.

    problems: why a picture that was wanted is missing; logged once, when the others become part of the run.
    """

    def __init__(
        self, album: MediaWriter, flash_id: str, still: bytes | None, clip: Clip | None, problems: tuple[str, ...] = ()
    ) -> None:
        self.still = still
        self.clip = clip
        self.problems = problems
        self._album = album
        self._flash_id = flash_id
        self._written: Media | None = None  # None: only in memory
        self._decided = False
        self._lock = threading.Lock()

    def put_aside(self) -> None:
        """Write its pictures to where they wait for the decision, if that is still to come."""
        with self._lock:
            self._put_aside()

    def write(self) -> Media:
        """Where its pictures are: they become part of the run if nothing was decided before."""
        with self._lock:
            media = self._put_aside()
            if self._decided:
                return media
            for problem in self.problems:
                _log.warning("%s: %s", self._flash_id, problem)
            return self._decide(self._album.keep(media))

    def discard(self) -> Media:
        """Where its pictures are: nowhere, from now on."""
        with self._lock:
            if self._written is not None:
                self._album.remove(self._written)
            return self._decide(Media())

    def _put_aside(self) -> Media:
        if self._written is None:
            self._written = self._album.put_aside(self._flash_id, self.still, self.clip)
            self.still = self.clip = None
        return self._written

    def _decide(self, media: Media) -> Media:
        self._written, self._decided, self.still, self.clip = media, True, None, None
        return media


@contextmanager
def _costing_no_event(picture: str, problems: list[str]) -> Iterator[None]:
    """Whatever fails inside is added to `problems`, in words."""
    try:
        yield
    except (VideoError, OutputError) as error:
        problems.append(f"without its {picture}: {error}")
    except Exception as error:  # noqa: BLE001 - a flash without a picture is worth more than none
        problems.append(f"without its {picture}: {type(error).__name__}: {error}")


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write `chunks` to `path`, one after the other: all of them, or what was there before stays.

    Raises:
        OSError: it cannot be written; nothing new is left.
    """
    scratch = path.with_name(f"{path.name}.new")
    try:
        with scratch.open("wb") as file:
            file.writelines(chunks)
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def remove_media(folder: Path, media: Media) -> None:
    """Remove the pictures of a flash from a run's folder, and nothing that lies elsewhere.

    Raises:
        OSError: one cannot be removed.
    """
    for kind, made in (("stills", media.still), (CLIPS, media.clip)):
        if made is not None:
            (folder / kind / PurePath(made).name).unlink(missing_ok=True)


def encode_still(frame: Frame) -> bytes:
    """`frame` upright and in full size as a JPEG file's bytes."""
    cv2 = load_opencv()
    picture = np.ascontiguousarray(frame.rgb()[..., ::-1])
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise OutputError(f"{frame.camera}: OpenCV could not encode a {picture.shape[1]}x{picture.shape[0]} still")
    return bytes(data)
