"""The picture kept of each flash."""

from pathlib import Path

import numpy as np

from detector.errors import OutputError
from stream import Frame, load_opencv

_JPEG_QUALITY = 92


def encode_still(frame: Frame) -> bytes:
    """`frame` upright and in full size as a JPEG file's bytes."""
    cv2 = load_opencv()
    picture = np.ascontiguousarray(frame.rgb()[..., ::-1])
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise OutputError(f"{frame.camera}: OpenCV could not encode a {picture.shape[1]}x{picture.shape[0]} still")
    return bytes(data)


class Stills:
    """The folder `stills/` of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, flash_id: str, data: bytes) -> str:
        """Keep `data` as the still of a flash; gives back its path relative to the run's folder.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._folder / "stills" / f"{flash_id.replace(':', '')}.jpg"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise OutputError(f"{path}: cannot write the still: {error.strerror}") from error
        return f"stills/{path.name}"
