"""The processes of a measurement: a publisher, a subscriber that records its messages, plain sockets beside it."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import zmq

from stream import Cursor, FeedOptions, Publisher, Subscriber, SubscriberOptions, WireMessage
from stream.feed.keys import read_client_keys

PADDING = "x" * 500  # about the size of a real event


def start(role: str, *words: object) -> "subprocess.Popen[bytes]":
    """Run this file as a separate process, in the given role."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "feed_bench.roles", role, *map(str, words)], cwd=Path(__file__).parents[1]
    )


def publish(endpoint: str, journal: str, rate: str, keys: str = "", latencies: str = "") -> None:
    """Publish at `rate` per second until SIGUSR1, then only serve, until SIGTERM.

    At SIGUSR1 it writes for each message the time in ms until it was on disk and passed to ZeroMQ.
    """
    quiet, end = threading.Event(), threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: quiet.set())
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    options = FeedOptions(
        site="bench", endpoint=endpoint, journal=Path(journal), heartbeat_seconds=0.5, keys=Path(keys) if keys else None
    )
    handed: list[float] = []

    def on_message(wire: WireMessage) -> None:
        if latencies:
            handed.append((time.monotonic_ns() - wire.message.data["at_ns"]) / 1e6)

    with Publisher(options, schema={}, on_message=on_message) as feed:
        due = time.monotonic()
        while not end.is_set():
            if quiet.is_set():
                if latencies and not Path(latencies).exists():
                    Path(latencies).write_text(json.dumps(handed))
                end.wait(0.1)
                continue
            due = max(due + 1 / float(rate), time.monotonic() - 0.1)
            time.sleep(max(0.0, due - time.monotonic()))
            data = {"camera": "cam1", "state": "confirmed", "at_ns": time.monotonic_ns(), "padding": PADDING}
            feed.publish(topic="ev.flash.cam1", type="bench", subject="cam1", dataschema="urn:bench", data=data)


def keep(endpoint: str, kept: str) -> None:
    """Append `feed run sequence id` of each message to a file; continue where the file ends."""
    path = Path(kept)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]))
        lines.pop()
    cursors = {}
    if lines:
        feed, run, sequence, _ = lines[-1].split()
        cursors[feed] = Cursor(run, int(sequence))
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with Subscriber(endpoint, options=SubscriberOptions(since=0, cursors=cursors)) as events:
        for event in events:
            line = f"{event.message.feed} {event.cursor.run} {event.sequence} {event.message.id}\n"
            os.write(out, line.encode())


def plain(endpoint: str, kept: str) -> None:
    """Append the number of each message that a plain SUB socket gets."""
    out = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.connect(endpoint)
        socket.subscribe(b"ev.")
        while True:
            _, number, _ = socket.recv_multipart()
            os.write(out, b"%d\n" % struct.unpack(">Q", number)[0])


def many(endpoint: str, count: str, key: str, latencies: str) -> None:
    """Run `count` SUB sockets with CURVE; on SIGTERM write each message's latency in ms, as JSON."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    keys = read_client_keys(Path(key))
    found = []
    with zmq.Context() as context:
        poller = zmq.Poller()
        sockets = [context.socket(zmq.SUB) for _ in range(int(count))]
        for socket in sockets:
            socket.curve_serverkey = keys.server.encode()
            socket.curve_publickey = keys.public.encode()
            socket.curve_secretkey = keys.secret.encode()
            socket.connect(endpoint)
            socket.subscribe(b"ev.")
            poller.register(socket, zmq.POLLIN)
        while not ended.is_set():
            for socket, _ in poller.poll(100):
                with suppress(zmq.Again):
                    body = socket.recv_multipart(zmq.NOBLOCK)[2]
                    found.append((time.monotonic_ns(), body))
        for socket in sockets:
            socket.close(0)
    milliseconds = [(got - json.loads(body)["data"]["at_ns"]) / 1e6 for got, body in found]
    Path(latencies).write_text(json.dumps(milliseconds))


if __name__ == "__main__":
    {"publish": publish, "keep": keep, "plain": plain, "many": many}[sys.argv[1]](*sys.argv[2:])
