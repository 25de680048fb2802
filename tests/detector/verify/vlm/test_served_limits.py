"""What a broken or hostile model server sends costs its answer, never the run's time or memory."""

import json
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from detector.errors import VerifierError
from detector.verify.vlm.openai_chat import NoLogprobs, request_body, score_in
from detector.verify.vlm.question import VlmInput
from detector.verify.vlm.served import ServedVerifier
from helpers.candidates import candidate
from helpers.model_server import ModelServer
from helpers.models import model_settings

Answerer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answerer) -> Iterator[str]:
    """A server that answers every POST as it likes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with suppress(OSError):  # it hung up, as it should
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def verdict_of(answer: Answerer, **served: object) -> tuple[str, float]:
    """The reason that its verdict gives, and how long it took."""
    with serving(answer) as endpoint:
        table = {"endpoint": endpoint, "model": "m", "timeout_seconds": 1.0, "retries": 0, **served}
        verifier = ServedVerifier(model_settings("served", served=table))
        began = time.monotonic()
        try:
            verdict = verifier.verify([candidate()])[0]
        finally:
            verifier.close()
    assert verdict.lightning is None
    return verdict.reason or "", time.monotonic() - began


def test_a_byte_a_second_ends_at_the_total_time_limit() -> None:
    pace = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            pace.wait(0.1)

    reason, seconds = verdict_of(drip)
    assert "no whole answer within 1 s" in reason
    assert seconds < 5


def test_an_endless_answer_is_not_read_and_takes_no_memory() -> None:
    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 1_000_000)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reason, seconds = verdict_of(flood, timeout_seconds=20.0)
    assert "larger than 1 MB (served.answer_limit_mb)" in reason
    assert seconds < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB


def test_a_compressed_answer_is_refused_since_nothing_bounds_what_it_becomes() -> None:
    def bomb(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()

    assert "compressed" in verdict_of(bomb)[0]


def test_what_a_server_says_of_its_failure_is_one_printable_line() -> None:
    def fail(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(400)
        handler.end_headers()
        handler.wfile.write(b"no\x1b[2Jway\r\nhere")

    reason, _ = verdict_of(fail)
    assert reason.isprintable()
    assert "no?[2Jway here" in reason


def reply(*words: tuple[str, float]) -> bytes:
    listed = [{"token": token, "logprob": chance} for token, chance in words]
    content = [{"token": words[0][0], "logprob": words[0][1], "top_logprobs": listed}]
    return json.dumps({"choices": [{"logprobs": {"content": content}}]}).encode()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((("Yes", 50.0), ("No", -2.0)), "one is 50, above 0"),
        ((("Yes", 1e300), ("No", -2.0)), "above 0"),
        ((("Yes", -0.1), ("No", -0.2)), "together they make 1.72"),
    ],
)
def test_log_probabilities_that_are_none_are_refused(words: tuple[tuple[str, float], ...], said: str) -> None:
    with pytest.raises(VerifierError, match=said):
        score_in(reply(*words), "http://server/v1")


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"choices": ' + b"[" * 100_000, b'{"x": ' + b'{"x": ' * 50_000])
def test_an_answer_nested_without_end_is_no_answer(text: bytes) -> None:
    with pytest.raises(VerifierError, match="not an answer"):
        score_in(text, "http://server/v1")


def test_yes_and_no_are_asked_for_by_their_tokens_where_the_server_tells_them() -> None:
    """As vLLM does: outside its 20 likeliest words both would count as equally unlikely."""
    others = {f"word{number}": 0.04 for number in range(24)}
    words = others | {"Yes": 0.0004, "No": 0.0001}
    with ModelServer(words=words, token_ids={"Yes": 9693, "No": 2753}) as server:
        verifier = ServedVerifier(model_settings("served", served={"endpoint": server.endpoint}))
        try:
            verifier.check()
            verdict = verifier.verify([candidate()])[0]
        finally:
            verifier.close()
    assert server.requests[-1]["logprob_token_ids"] == [9693, 2753]
    assert verdict.evidence["log_odds"] == pytest.approx(1.386, abs=1e-3)
    assert verdict.evidence["answer_mass"] == pytest.approx(0.0005, abs=1e-5)


def test_a_server_that_refuses_token_ids_is_asked_without_them() -> None:
    with ModelServer(token_ids={"Yes": 1, "No": 2}, failures=[400]) as server:
        verifier = ServedVerifier(model_settings("served", served={"endpoint": server.endpoint}))
        try:
            verifier.check()
        finally:
            verifier.close()
    assert ["logprob_token_ids" in body for body in server.requests] == [True, False]


def test_without_token_ids_the_request_is_the_plain_one() -> None:
    assert "logprob_token_ids" not in request_body("m", VlmInput([], "?"))
    with pytest.raises(NoLogprobs):
        score_in(reply(("Yes", -0.1)), "http://server/v1")
