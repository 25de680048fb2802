"""A complete subscriber that needs only pyzmq: events in order, each once. Run: subscribe.py tcp://HOST:PORT [LAST]."""

import json
import sys

import zmq

host, _, port = sys.argv[1].rpartition(":")
feed, run, last = None, None, int(sys.argv[2]) if len(sys.argv) > 2 else 0
context = zmq.Context()
events = context.socket(zmq.SUB)
events.connect(sys.argv[1])
events.subscribe(b"ev.")
events.subscribe(b"hb")


def catch_up() -> bool:
    """Fetch one page of messages after `last`, and return True if there are more."""
    global feed, run, last  # noqa: PLW0603 - a script's state
    with context.socket(zmq.REQ) as history:
        history.linger = 0
        history.connect(f"{host}:{int(port) + 1}")
        history.send_json({"op": "since", "sequence": last})
        if not history.poll(2000):
            return False  # no answer: the next heartbeat tries again
        head, *rows = history.recv_multipart()
    head = json.loads(head)
    known, feed, run = (feed, run), head["feed"], head["run"]
    if known not in {(None, None), (feed, run)}:  # another journal, or one restored from an older copy
        last = 0 if known[0] != feed else min(last, head["run_first"] - 1)
        return True
    for number, body in zip(rows[1::3], rows[2::3], strict=True):
        last = int.from_bytes(number, "big")
        print(body.decode(), flush=True)
    if not rows and "error" not in head:
        last = head["last"]  # the missing messages are no longer kept
    return last < head["last"] and "error" not in head


while True:
    topic, number, body = events.recv_multipart()
    message, sequence = json.loads(body), int.from_bytes(number, "big")
    if topic != b"hb" and (message["feed"], message["run"], sequence) == (feed, run, last + 1):
        last = sequence
        print(body.decode(), flush=True)
    elif (message["feed"], message["run"]) != (feed, run) or sequence > last:
        while catch_up():
            pass
