"""The serving process, run with the second environment's Python: load the model, and answer until stopped."""

import os
import select
import shutil
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path

import msgspec

from detector.errors import VerifierError
from detector.verify.vlm.server45.model import Model
from detector.verify.vlm.server45.request_batcher import RequestBatcher
from detector.verify.vlm.server45.serve_config import ServeConfig
from detector.verify.vlm.server45.server import ModelServer

_POLL_SECONDS = 0.2


def serve(config: ServeConfig) -> None:
    """Load the model, and answer until SIGTERM comes or the process that started this one is gone.

    Ctrl-C does not arrive here: this process has a session of its own.

    Raises:
        VerifierError: the model cannot be loaded, the address cannot be used, or the scoring thread ended.
    """
    stop = threading.Event()
    _say(f"loading {config.model} at {config.revision}")
    model = Model(config)
    # Until here the signal simply ends the process: there is nothing to finish, and loading may take minutes.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _say(f"ready: {model.describe()}")
    batcher = RequestBatcher(
        model.score,
        batch_size=config.batch_size,
        batch_wait_seconds=config.batch_wait_ms / 1000,
        waiting_limit=config.waiting_limit,
    )
    # The batcher closes first and refuses the waiting questions; the server can then wait for its threads.
    with ModelServer(config, model, batcher) as server, closing(batcher):
        print(server.url, flush=True)  # noqa: T201 - the one result: where it answers
        while not stop.wait(_POLL_SECONDS) and batcher.failure is None and server.alive and not _owner_is_gone():
            pass
    if batcher.failure is not None:
        raise VerifierError(f"the scoring thread ended: {type(batcher.failure).__name__}: {batcher.failure}")


def main() -> int:
    """Serve the config in the file named by the first argument, and return the exit code."""
    config = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ServeConfig)
    try:
        serve(config)
    except VerifierError as error:
        _say(str(error))
        return 1
    finally:
        if _owner_is_gone():
            shutil.rmtree(Path(sys.argv[1]).parent, ignore_errors=True)  # the owner cannot do it any more
    return 0


def _owner_is_gone() -> bool:
    """Return whether the pipe of the starting process has closed: a model must not outlive its owner."""
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and os.read(sys.stdin.fileno(), 1) == b""


def _say(line: str) -> None:
    print(f"serve-45: {line}", file=sys.stderr, flush=True)  # noqa: T201 - this process is a command of its own


if __name__ == "__main__":
    sys.exit(main())
