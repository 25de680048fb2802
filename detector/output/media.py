"""What is kept of each flash to look at: a still of its brightest frame and a clip."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Protocol

import numpy as np

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.events import Media
from detector.output.files import make_folder, write_whole
from detector.settings import EvidenceSettings
from stream import Clip, Frame, VideoError, load_opencv

_log = logging.getLogger(__name__)

CLIPS = "clips"  # the folder of a run's clips, in the run's own
_UNDECIDED = ".new"  # ends the name of a file until its verdict is there; what a killed run leaves is known by it
_JPEG_QUALITY = 92
_NOT_KEPT = (
    "nothing of its time is kept to cut it from; after a jump of the time stamps or a new connection that begins with "
    "the next key frame (set the camera to one every 1 or 2 s), and of a device nothing is kept"
)


class ClipSource(Protocol):
    """A video or camera that keeps its last seconds."""

    def cut(self, start_seconds: float, end_seconds: float) -> Clip | None:
        """Return that time as a video file, or None where it is not kept."""
        ...


class MediaWriter:
    """The folders `stills/` and `clips/` of a run.

    Attributes:
        lost: how many stills and clips could not be written.
    """

    def __init__(self, folder: Path, settings: EvidenceSettings) -> None:
        self.lost = 0
        self._folder = folder
        self._settings = settings

    def take(self, candidate: Candidate, source: ClipSource | None) -> "CandidateMedia":
        """Return still and clip of a closed candidate; call it while its source still has them. It never raises."""
        problems: list[str] = []
        still = clip = None
        with _costing_no_event("still", problems):
            # A close stroke may turn a whole frame white: the brightest one that shows something tells more.
            still = encode_still(candidate.clear or candidate.peak)
        with _costing_no_event("clip", problems):
            if source is not None and self._settings.clips:
                start = candidate.start_seconds - self._settings.before_seconds
                clip = source.cut(start, candidate.end_seconds + self._settings.after_seconds)
                if clip is None or clip.start_seconds >= candidate.end_seconds:
                    clip = None
                    problems.append(f"without its clip: {_NOT_KEPT}")
        return CandidateMedia(self, candidate.id, still, clip, tuple(problems))

    def stage(self, flash_id: str, still: bytes | None, clip: Clip | None) -> Media:
        """Write still and clip under names that say that nothing is decided; return their paths in the run's folder.

        What cannot be written is logged: a full disk must not cost the event itself.
        """
        return Media(
            still=None if still is None else self._write("stills", f"{flash_id}.jpg", still),
            clip=None if clip is None else self._write(CLIPS, f"{flash_id}.{clip.container}", clip.data),
        )

    def commit(self, staged: Media) -> Media:
        """Give files that were staged their own names; what cannot be renamed is logged."""
        return Media(still=self._rename(staged.still), clip=self._rename(staged.clip))

    def remove(self, media: Media) -> None:
        """Remove still and clip; what cannot be removed is logged."""
        try:
            remove_media(self._folder, media)
        except OSError as error:
            _log.error("%s: cannot be removed: %s", error.filename, error.strerror)

    def _write(self, kind: str, name: str, data: bytes) -> str | None:
        path = self._folder / kind / name.replace(":", "")
        staged = path.with_name(f"{path.name}{_UNDECIDED}")
        try:
            make_folder(path.parent)
            write_whole(staged, [data])
        except OSError as error:
            self.lost += 1
            _log.error("%s: cannot write the %s: %s", path, kind[:-1], error.strerror)
            return None
        return f"{kind}/{staged.name}"

    def _rename(self, staged: str | None) -> str | None:
        if staged is None:
            return None
        kept = staged.removesuffix(_UNDECIDED)
        try:
            (self._folder / staged).replace(self._folder / kept)
        except OSError as error:
            self.lost += 1
            _log.error("%s: cannot be renamed to %s: %s", self._folder / staged, PurePath(kept).name, error.strerror)
            return None
        return kept


class CandidateMedia:
    """Still and clip of a candidate: in memory, then staged on disk, then committed or discarded, by any thread.

    Attributes:
        still: the still's bytes while they are in memory.
        clip: the clip while it is in memory.
        problems: why a still or clip is missing; logged once, when the other is committed.
    """

    def __init__(
        self, writer: MediaWriter, flash_id: str, still: bytes | None, clip: Clip | None, problems: tuple[str, ...] = ()
    ) -> None:
        self.still = still
        self.clip = clip
        self.problems = problems
        self._writer = writer
        self._flash_id = flash_id
        self._written: Media | None = None  # None: only in memory
        self._decided = False
        self._lock = threading.Lock()

    def stage(self) -> None:
        """Write them to where they wait for the decision, if that is still to come."""
        with self._lock:
            self._stage()

    def commit(self) -> Media:
        """Make them part of the run, if nothing was decided before; return where they are."""
        with self._lock:
            media = self._stage()
            if self._decided:
                return media
            for problem in self.problems:
                _log.warning("%s: %s", self._flash_id, problem)
            return self._decide(self._writer.commit(media))

    def discard(self) -> Media:
        """Remove them; return that they are nowhere."""
        with self._lock:
            if self._written is not None:
                self._writer.remove(self._written)
            return self._decide(Media())

    def _stage(self) -> Media:
        if self._written is None:
            self._written = self._writer.stage(self._flash_id, self.still, self.clip)
            self.still = self.clip = None
        return self._written

    def _decide(self, media: Media) -> Media:
        self._written, self._decided, self.still, self.clip = media, True, None, None
        return media


@contextmanager
def _costing_no_event(kind: str, problems: list[str]) -> Iterator[None]:
    """Add whatever fails inside to `problems`, in words."""
    try:
        yield
    except (VideoError, OutputError) as error:
        problems.append(f"without its {kind}: {error}")
    except Exception as error:  # noqa: BLE001 - a flash without still or clip is worth more than none
        problems.append(f"without its {kind}: {type(error).__name__}: {error}")


def remove_media(folder: Path, media: Media) -> None:
    """Remove still and clip of a flash from a run's folder, and nothing that lies elsewhere.

    Raises:
        OSError: one cannot be removed.
    """
    for kind, made in (("stills", media.still), (CLIPS, media.clip)):
        if made is not None:
            (folder / kind / PurePath(made).name).unlink(missing_ok=True)


def encode_still(frame: Frame) -> bytes:
    """Return `frame`, upright and in full size, as the bytes of a JPEG file."""
    cv2 = load_opencv()
    image = np.ascontiguousarray(frame.rgb()[..., ::-1])
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise OutputError(f"{frame.camera}: OpenCV could not encode a {image.shape[1]}x{image.shape[0]} still")
    return bytes(data)
