"""Messages between the program and the model's process: short JSON texts; images are in shared memory."""

import msgspec

from detector.verify.vlm.question import Score

SLOTS = 2
"""Batches that the process holds at once: one that is computed and one that is prepared meanwhile."""


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """The first message to the process: load the model in this folder with these options."""

    folder: str
    device: str
    precision: str
    attention: str
    downsample_mode: str
    picture_side_pixels: int
    threads: int


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded"):
    """The model is ready.

    Attributes:
        memory_mib: memory of the process on the CPU, or of the card on a GPU.
    """

    device: str
    device_name: str
    precision: str
    attention: str
    threads: int
    seconds: float
    memory_mib: float
    torch: str
    transformers: str


class ImageRef(msgspec.Struct, frozen=True, array_like=True):
    """The place of an RGB image of (height, width, 3) bytes in the shared memory.

    Attributes:
        offset: offset of its first byte.
        height: in pixels.
        width: in pixels.
        before_offset: offset of the image before, if the image is the difference from it; -1 otherwise.
    """

    offset: int
    height: int
    width: int
    before_offset: int = -1


class Clip(msgspec.Struct, frozen=True, array_like=True):
    """One candidate's images and the question about them.

    Attributes:
        images: places of the images.
        question: index in `ScoreRequest.questions`.
    """

    images: list[ImageRef]
    question: int


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """Score these clips in one batch.

    Attributes:
        number: number of the request, also in its reply.
        slot: index of the shared memory with its images; nothing else is written there before the reply.
        clips: in the order of the scores.
        questions: each once, since most of a batch are equal.
    """

    number: int
    slot: int
    clips: list[Clip]
    questions: list[str]


class ScoreReply(msgspec.Struct, frozen=True, kw_only=True, tag="scored"):
    """A score for each clip of request `number`, in order.

    Attributes:
        seconds: duration for all of them.
    """

    number: int
    scores: list[Score]
    seconds: float
    memory_mib: float


class WorkerError(msgspec.Struct, frozen=True, kw_only=True, tag="trouble"):
    """A request failed. After a failed load (number 0) the process ends; after a failed score it continues."""

    reason: str
    number: int = 0
    out_of_memory: bool = False


Reply = Loaded | ScoreReply | WorkerError
Request = Load | ScoreRequest

encode = msgspec.json.encode


def decode_reply(message: bytes) -> Reply:
    """Return the message of the process."""
    reply: Reply = msgspec.json.decode(message, type=Reply)
    return reply


def decode_request(message: bytes) -> Request:
    """Return the message of the program."""
    request: Request = msgspec.json.decode(message, type=Request)
    return request
