"""Scores clips with stand-in snapshots, in the second environment: python score.py JOBS.json, answers on stdout.

JOBS: a list of {"folder", "pack_frames", "text", "clips": [[grey, ...], ...]}; a clip is a list of grey values or, as
[grey, width, height], images of another size. Answers: for each, the origin of the processor, the log-odds of each
clip alone and of all in one batch.
"""

import json
import sys
from pathlib import Path

from PIL import Image

from detector.errors import VerifierError
from detector.verify.vlm.server45.model import MARK, Clip, Model
from detector.verify.vlm.server45.serve_config import ServeConfig

QUESTION = "Is this lightning! Answer Yes or No."


def clip(values: list, text: str) -> Clip:
    images = []
    for value in values:
        grey, *size = value if isinstance(value, list) else [value, 96, 64]
        images.append(Image.linear_gradient("L").resize(size).point(lambda x, g=grey: (x + g) % 256).convert("RGB"))
    return Clip("\n".join([MARK] * len(images) + [text]), tuple(images))


def odds(model: Model, clips: list[Clip]) -> list[float]:
    yes, no = model.answer_ids
    return [float(one[yes] - one[no]) for one in model.score(clips)]


def answer(order: dict) -> dict:
    config = ServeConfig(
        model="stand-in", revision="0" * 40, folder=order["folder"], attention="sdpa", precision="fp32", device="cpu",
        threads=1, pack_frames=order.get("pack_frames", 1), host="127.0.0.1", port=0, batch_size=4, batch_wait_ms=0.0,
        waiting_limit=4, request_limit_mb=1.0, pictures_limit=8, answer_limit_seconds=10.0,
    )  # fmt: skip
    try:
        model = Model(config)
    except VerifierError as error:
        return {"error": str(error)}
    clips = [clip(values, order.get("text", QUESTION)) for values in order["clips"]]
    return {
        "processor": model.processor_origin,
        "alone": [odds(model, [one])[0] for one in clips],
        "together": odds(model, clips),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps([answer(order) for order in json.loads(Path(sys.argv[1]).read_text())]))
