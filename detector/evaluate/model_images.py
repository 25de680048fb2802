"""Write the model's input for each candidate to files, for people to look at."""

from pathlib import Path

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.settings import Settings
from detector.verify.vlm.images import as_array, downscaled
from detector.verify.vlm.question import Question
from stream import load_opencv

_JPEG_QUALITY = 95  # the same as for model servers


class ModelImages:
    """Write the images and the question of each candidate into a folder, as for `minicpm` and `served`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Write into `folder`, which is created if missing.

        Raises:
            SettingsError: the prompt cannot be used.
            OutputError: the folder cannot be created.
        """
        self.written = 0
        self._folder = folder
        self._side_pixels = settings.batcher.picture_side_pixels
        self._question = Question(settings.question, self._side_pixels)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error

    def write(self, candidate: Candidate) -> None:
        """Write NAME-SECONDS-NUMBER-KIND.jpg for each image, and NAME-SECONDS.txt with the question.

        Raises:
            OutputError: a file cannot be written.
        """
        waiting = downscaled(candidate, self._side_pixels)
        shown = self._question.images(waiting)
        stem = f"{candidate.camera}-{candidate.start_seconds:09.3f}"
        files = {f"{stem}.txt": self._question.show(waiting).text.encode()}
        cv2 = load_opencv()
        for number, (kind, image) in enumerate(shown.images.items()):
            colours = cv2.cvtColor(as_array(image), cv2.COLOR_RGB2BGR)
            done, code = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            if not done:
                raise OutputError(f"{stem}: the image {kind} cannot be written as JPEG")
            files[f"{stem}-{number}-{kind}.jpg"] = code.tobytes()
        for name, content in files.items():
            path = self._folder / name
            try:
                path.write_bytes(content)
            except OSError as error:
                raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
        self.written += 1
