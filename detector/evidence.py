"""What is kept of each flash to look at: a still of its peak and a clip of its moment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from detector.errors import OutputError
from detector.flash import Candidate, Media
from detector.settings import EvidenceSettings
from stream import BadVideo, Clip, Frame, load_opencv

CLIPS = "clips"  # the folder of a run's clips, in the run's own
_JPEG_QUALITY = 92


class ClipSource(Protocol):
    """A video or camera that keeps its last seconds."""

    def cut(self, start_seconds: float, end_seconds: float) -> Clip | None:
        """The pictures of that time as a file, or None where they are not kept."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """A flash's pictures, ready to be written. clip: None where the source keeps none of that time."""

    still: bytes
    clip: Clip | None
    problem: str | None = None


class Album:
    """The folders `stills/` and `clips/` of a run."""

    def __init__(self, folder: Path, settings: EvidenceSettings) -> None:
        self._folder = folder
        self._settings = settings

    def take(self, candidate: Candidate, source: ClipSource | None) -> Evidence:
        """The pictures of a closed candidate; to be called while its source still has them."""
        still = encode_still(candidate.peak)
        if source is None or not self._settings.clips:
            return Evidence(still, None)
        start = candidate.start_seconds - self._settings.before_seconds
        try:
            return Evidence(still, source.cut(start, candidate.end_seconds + self._settings.after_seconds))
        except BadVideo as error:
            return Evidence(still, None, str(error))

    def keep(self, flash_id: str, evidence: Evidence) -> Media:
        """Write the pictures; gives back their paths relative to the run's folder.

        Raises:
            OutputError: they cannot be written.
        """
        clip = evidence.clip
        return Media(
            still=self._write("stills", f"{flash_id}.jpg", evidence.still),
            clip=None if clip is None else self._write(CLIPS, f"{flash_id}.{clip.container}", clip.data),
        )

    def _write(self, kind: str, name: str, data: bytes) -> str:
        path = self._folder / kind / name.replace(":", "")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise OutputError(f"{path}: cannot write the {kind[:-1]}: {error.strerror}") from error
        return f"{kind}/{path.name}"


def encode_still(frame: Frame) -> bytes:
    """`frame` upright and in full size as a JPEG file's bytes."""
    cv2 = load_opencv()
    picture = np.ascontiguousarray(frame.rgb()[..., ::-1])
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise OutputError(f"{frame.camera}: OpenCV could not encode a {picture.shape[1]}x{picture.shape[0]} still")
    return bytes(data)
