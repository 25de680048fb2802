"""The verifier `served`, over real HTTP against a small server that speaks the protocol."""

import argparse
import math
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from detector.candidate import Candidate
from detector.cli.options import lay_verifier_arguments
from detector.errors import SettingsError, VerifierError
from detector.events import Verdict
from detector.settings import load_settings
from detector.verify.batcher import Batcher
from detector.verify.factory import choose_verifier
from detector.verify.vlm.openai_chat import NoLogprobs
from detector.verify.vlm.served import ServedVerifier
from helpers.candidates import candidate, frame
from helpers.model_server import ModelServer, images_in
from helpers.models import model_settings
from helpers.waiting import wait_until


def served(server: ModelServer, **changes: Any) -> ServedVerifier:
    settings = model_settings("served", served={"endpoint": server.endpoint, "retries": 3, **changes})
    verifier, _line = choose_verifier(settings)
    assert isinstance(verifier, ServedVerifier)
    return verifier


def test_the_servers_first_model_is_asked_and_the_verdict_carries_it() -> None:
    with ModelServer(probability=0.9) as server:
        settings = model_settings("served", served={"endpoint": server.endpoint})
        verifier, line = choose_verifier(settings)
        verdict = verifier.verify([candidate()])[0]
        verifier.close()
    assert line.startswith(f"verifier: served, tiny/model at {server.endpoint} (asked for), prompt 2-")
    assert verdict.lightning is True
    assert verdict.probability == pytest.approx((0.9 * 0.9 + 0.02) / (0.9 + 0.02), abs=1e-3)
    assert verdict.evidence["answer_mass"] == pytest.approx(0.92, abs=1e-3)
    assert (verdict.verifier, verdict.model, verdict.model_revision) == ("served", "tiny/model", None)
    assert (verdict.prompt_version or "").startswith("2-")
    assert verdict.seconds is not None


def test_it_shows_the_same_images_and_asks_for_one_word_with_its_probabilities() -> None:
    with ModelServer() as server:
        verifier = served(server)
        dusk = replace(candidate(size=(360, 640)), before=frame(90, size=(360, 640)), after=frame(150, size=(360, 640)))
        verifier.verify([dusk])
        verifier.close()
    body = server.requests[-1]
    assert (body["max_tokens"], body["temperature"], body["logprobs"], body["top_logprobs"]) == (1, 0, True, 20)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    before, peak, after = images_in(body)
    assert before.shape == peak.shape == after.shape == (360, 640, 3)
    assert peak[10, 320].mean() > before[10, 320].mean() + 80
    assert after[300, 10].mean() > before[300, 10].mean() + 50
    assert "Image 2 was taken shortly after." in body["messages"][0]["content"][-1]["text"]


def test_the_answer_follows_the_pixels() -> None:
    with ModelServer(probability=None) as server:
        settings = model_settings(
            "served", served={"endpoint": server.endpoint}, question={"pictures": ["peak", "difference"]}
        )
        verifier, _line = choose_verifier(settings)
        dim, bright = verifier.verify([candidate(peak=60), candidate(peak=235)])
        verifier.close()
    assert dim.evidence["log_odds"] < bright.evidence["log_odds"]


def test_a_server_without_logprobs_is_refused_at_the_start_with_the_reason() -> None:
    with ModelServer(logprobs=False) as server, pytest.raises(NoLogprobs, match=r"no log-probabilities.*vLLM"):
        served(server)


@pytest.mark.parametrize("failure", [0, 429, 500, 503])
def test_what_may_pass_is_tried_again(failure: int) -> None:
    with ModelServer(failures=[]) as server:
        verifier = served(server)
        server.failures += [failure, failure]
        verdict = verifier.verify([candidate()])[0]
        verifier.close()
    assert verdict.lightning is True
    assert len(server.requests) == 1 + 3


def test_what_cannot_pass_is_not_tried_again_and_is_unverified_with_the_servers_words() -> None:
    with ModelServer() as server:
        verifier = served(server)
        server.failures += [400]
        verdict = verifier.verify([candidate()])[0]
        verifier.close()
    assert verdict.lightning is None
    assert "HTTP 400" in (verdict.reason or "")
    assert "not now" in (verdict.reason or "")
    assert len(server.requests) == 2


def test_it_waits_as_long_as_the_server_asks() -> None:
    with ModelServer(retry_after="1") as server:
        verifier = served(server)
        server.failures += [503]
        began = time.monotonic()
        verifier.verify([candidate()])
        assert time.monotonic() - began >= 1.0
        verifier.close()


def test_a_server_that_gives_up_every_time_leaves_the_candidate_unverified() -> None:
    with ModelServer() as server:
        verifier = served(server, retries=1)
        server.failures += [500, 500]
        verdict = verifier.verify([candidate()])[0]
        verifier.close()
    assert verdict.lightning is None
    assert "failed 2 times" in (verdict.reason or "")


def test_a_slow_server_ends_at_the_time_limit() -> None:
    with ModelServer() as server:
        verifier = served(server, retries=0, timeout_seconds=0.3)
        server.hold = threading.Event()
        began = time.monotonic()
        verdict = verifier.verify([candidate()])[0]
        assert time.monotonic() - began < 5.0
        server.hold.set()
        verifier.close()
    assert verdict.lightning is None
    assert "no whole answer within 0.3 s" in (verdict.reason or "") or "ReadTimeout" in (verdict.reason or "")


def test_no_more_requests_run_at_once_than_allowed() -> None:
    with ModelServer() as server:
        verifier = served(server, concurrency=2)
        server.hold = threading.Event()
        asking = threading.Thread(target=verifier.verify, args=([candidate(str(n)) for n in range(6)],))
        asking.start()
        wait_until(lambda: server.busiest == 2)
        server.hold.set()
        asking.join(30)
        verifier.close()
    assert server.busiest == 2
    assert len(server.requests) == 7


def test_a_line_end_behind_the_key_does_not_belong_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_MODEL_KEY", "s3cret-key\r\n")
    with ModelServer(key="s3cret-key") as server:
        verifier = served(server)
        assert verifier.verify([candidate()])[0].lightning is True
        verifier.close()


@pytest.mark.parametrize("key", ["s3cret\rkey", "s3cret-schlüssel", "s3cret\x7f", "s3cret\udcf6"])
def test_a_key_that_cannot_be_sent_is_refused_by_the_name_of_its_variable(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTNING_MODEL_KEY", key)
    with ModelServer() as server, pytest.raises(VerifierError, match="LIGHTNING_MODEL_KEY") as refused:
        served(server)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:80a/v1", "http://[::1/v1", "http://127.0.0.1:99999/v1"])
def test_an_endpoint_that_is_no_address_is_named(endpoint: str) -> None:
    with pytest.raises(VerifierError, match="endpoint") as refused:
        choose_verifier(model_settings("served", served={"endpoint": endpoint, "retries": 0}))
    assert endpoint in str(refused.value)


def test_the_key_comes_from_the_environment_and_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelServer(key="s3cret-key") as server:
        with pytest.raises(VerifierError, match="LIGHTNING_MODEL_KEY") as refused:
            served(server)
        monkeypatch.setenv("LIGHTNING_MODEL_KEY", "s3cret-key")
        verifier = served(server)
        verdict = verifier.verify([candidate()])[0]
        verifier.close()
    assert verdict.lightning is True
    assert "s3cret" not in f"{refused.value}{verdict}"


def test_a_password_in_the_endpoint_is_shown_nowhere() -> None:
    settings = model_settings("served", served={"endpoint": "http://user:hunter2@127.0.0.1:9/v1", "retries": 0})
    with pytest.raises(VerifierError, match="is the server running there") as refused:
        choose_verifier(settings)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:8000", "file:///etc"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(VerifierError, match="--endpoint http://"):
        choose_verifier(model_settings("served", served={"endpoint": endpoint}))


def test_an_endpoint_without_the_verifier_that_asks_it_is_refused() -> None:
    flags = argparse.Namespace(endpoint="http://127.0.0.1:8000/v1", verifier="photometric")
    with pytest.raises(SettingsError, match="add --verifier served or fused"):
        lay_verifier_arguments(load_settings(), flags, {})
    flags = argparse.Namespace(endpoint="http://127.0.0.1:8000/v1")
    assert lay_verifier_arguments(model_settings("served"), flags, {}).served.endpoint == flags.endpoint


def test_extra_fields_must_be_a_json_object() -> None:
    for text in ("[1]", "{"):
        with pytest.raises(SettingsError, match=r"served.extra_json"):
            choose_verifier(model_settings("served", served={"endpoint": "http://127.0.0.1:9", "extra_json": text}))


def test_an_answer_that_is_neither_yes_nor_no_is_unverified() -> None:
    with ModelServer(words={"<think>": 0.98, "The": 0.01}) as server:
        settings = model_settings("served", served={"endpoint": server.endpoint}, question={"min_answer_mass": 0.1})
        verifier, _ = choose_verifier(settings)
        verdict = verifier.verify([candidate()])[0]
        verifier.close()
    assert verdict.lightning is None
    assert "neither Yes nor No" in (verdict.reason or "")


def test_a_word_beyond_the_listed_ones_counts_as_no_likelier_than_the_last_of_them() -> None:
    with ModelServer(words={"Yes": 0.99, "Maybe": 0.001}) as server:
        verifier = served(server)
        verdict = verifier.verify([candidate()])[0]
        verifier.close()
    assert verdict.evidence["log_odds"] == pytest.approx(math.log(0.99 / 0.001), abs=1e-4)


def test_closing_does_not_wait_for_a_server_that_is_silent() -> None:
    answers: list[Verdict] = []

    def answer(_: Candidate, verdict: Verdict) -> None:
        answers.append(verdict)

    with ModelServer() as server:
        verifier = served(server, retries=0)
        server.hold = threading.Event()
        began = time.monotonic()
        with Batcher(verifier, model_settings(batcher={"batch_wait_ms": 0.0}).batcher) as batcher:
            batcher.ask(candidate(), answer)
            wait_until(lambda: len(server.requests) == 2)
        assert time.monotonic() - began < 8.0
        server.hold.set()
    assert [verdict.state for verdict in answers] == ["unverified"]
