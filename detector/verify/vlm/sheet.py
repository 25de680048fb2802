"""What a model is shown of a candidate, on one sheet for people: each image with its number and name."""

import math

import numpy as np

from detector.candidate import Candidate
from detector.errors import OutputError
from detector.verify.vlm.images import RgbImage, as_array, downscaled
from detector.verify.vlm.question import Question
from stream import load_opencv

_COLUMNS = 3
_CELL_PIXELS = 480  # width of an image on the sheet; the model gets about as many
_CAPTION_PIXELS = 28
_GAP_PIXELS = 6
_GROUND = 24
_JPEG_QUALITY = 85


def sheet_of(question: Question, candidate: Candidate, side_pixels: int) -> bytes:
    """Return a JPEG of all images that `question` shows of a candidate, in their order.

    Args:
        question: what is shown and asked.
        candidate: with its own frames.
        side_pixels: of the frames of candidates that wait for a model.

    Raises:
        OutputError: it cannot be written as JPEG.
    """
    shown = question.images(downscaled(candidate, side_pixels)).images
    cells = [_cell(f"{number} {name}", as_array(image)) for number, (name, image) in enumerate(shown.items(), 1)]
    columns = min(_COLUMNS, len(cells))
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    sheet = np.vstack([_row(row, columns) for row in rows])
    cv2 = load_opencv()
    done, code = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise OutputError(f"{candidate.id}: the sheet of its images cannot be written as JPEG")
    return bytes(code.tobytes())


def _cell(caption: str, image: RgbImage) -> RgbImage:
    """Return an image of the width of a cell, under its caption."""
    cv2 = load_opencv()
    height = max(1, math.ceil(image.shape[0] * _CELL_PIXELS / image.shape[1]))
    scaled = cv2.resize(image, (_CELL_PIXELS, height), interpolation=cv2.INTER_AREA)
    head = np.full((_CAPTION_PIXELS, _CELL_PIXELS, 3), _GROUND, np.uint8)
    cv2.putText(head, caption, (4, _CAPTION_PIXELS - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (235, 235, 235), 1, cv2.LINE_AA)
    return np.vstack([head, scaled]).astype(np.uint8)


def _row(cells: list[RgbImage], columns: int) -> RgbImage:
    """Return cells side by side on one ground, as wide as a row of `columns`."""
    height = max(cell.shape[0] for cell in cells) + _GAP_PIXELS
    width = columns * _CELL_PIXELS + (columns - 1) * _GAP_PIXELS
    row = np.full((height, width, 3), _GROUND, np.uint8)
    for number, cell in enumerate(cells):
        left = number * (_CELL_PIXELS + _GAP_PIXELS)
        row[: cell.shape[0], left : left + _CELL_PIXELS] = cell
    return row
