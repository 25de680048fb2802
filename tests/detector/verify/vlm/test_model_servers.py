"""Several model servers behind `served`: real HTTP servers, some killed and started again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from detector.errors import VerifierError
from detector.verify.factory import choose_verifier
from detector.verify.vlm.served import ServedVerifier
from helpers.candidates import candidate
from helpers.model_server import ModelServer
from helpers.models import model_settings
from helpers.waiting import wait_until

FOLDER = Path(__file__).parents[3]


def asking(*endpoints: str, **changes: Any) -> tuple[ServedVerifier, str]:
    settings = model_settings("served", served={"endpoint": ",".join(endpoints), "retries": 1, **changes})
    verifier, line = choose_verifier(settings)
    assert isinstance(verifier, ServedVerifier)
    return verifier, line


@contextmanager
def process(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A model server in a process of its own, and its endpoint."""
    environment = os.environ | {"PYTHONPATH": str(FOLDER)}
    running = subprocess.Popen(
        [sys.executable, "-m", "helpers.model_server", str(port)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert running.stdout is not None
        yield running, running.stdout.readline().strip()
    finally:
        running.kill()
        running.communicate()


def states(verifier: ServedVerifier, count: int) -> list[str]:
    return [verdict.state for verdict in verifier.verify([candidate(str(number)) for number in range(count)])]


def test_three_servers_are_asked_at_the_same_time_as_many_questions_as_each_may_get() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(ModelServer()) for _ in range(3)]
        verifier, line = asking(*(one.endpoint for one in servers), concurrency=2)
        assert f"at {servers[0].endpoint}, {servers[1].endpoint} and {servers[2].endpoint} (asked for)" in line
        hold = threading.Event()
        for one in servers:
            one.hold = hold
        thread = threading.Thread(target=states, args=(verifier, 9))
        thread.start()
        wait_until(lambda: [one.busiest for one in servers] == [2, 2, 2])
        hold.set()
        thread.join(30)
        verifier.close()
        assert sum(len(one.requests) for one in servers) == 3 + 9


def test_the_least_loaded_server_is_asked_so_that_a_slow_one_gets_less() -> None:
    with ModelServer(seconds=0.5) as slow, ModelServer() as quick, ModelServer() as other:
        verifier, _line = asking(slow.endpoint, quick.endpoint, other.endpoint, concurrency=1)
        began = time.monotonic()
        assert states(verifier, 40) == ["confirmed"] * 40
        verifier.close()
        assert time.monotonic() - began < 10.0  # by turns it would take 7 s for its third alone
    assert len(slow.requests) <= 1 + 40 // 4
    assert len(quick.requests) + len(other.requests) >= 2 + 30


def test_a_killed_server_costs_no_answer_is_left_out_and_asked_again_once_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with process() as (first, first_at), process() as (_second, second_at), process() as (_third, third_at):
        verifier, _line = asking(first_at, second_at, third_at)
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert "unverified" not in states(verifier, 24)
        told = [one for one in caplog.messages if "is left out until it answers again" in one]
        assert len(told) == 1, told
        assert first_at in told[0]
        with process(int(first_at.split(":")[2].split("/")[0])) as (_again, again_at):
            assert again_at == first_at
            limit = time.monotonic() + 30.0
            while f"model server {first_at} answers again" not in caplog.messages:
                assert time.monotonic() < limit
                assert "unverified" not in states(verifier, 3)
        verifier.close()


def test_a_server_that_is_away_at_the_start_is_named_and_asked_once_it_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with ModelServer() as gone:
        port = int(gone.endpoint.split(":")[2].split("/")[0])
    with ModelServer() as there:
        verifier, line = asking(gone.endpoint, there.endpoint)
        assert f"at {gone.endpoint} (does not answer) and {there.endpoint}" in line
        with ModelServer(port=port, token_ids={"Yes": 9, "No": 10}) as late:
            limit = time.monotonic() + 30.0
            while not any("logprob_token_ids" in one for one in late.requests[1:]):  # introduced as at a start
                assert time.monotonic() < limit
                assert "unverified" not in states(verifier, 2)
            verifier.close()
    assert not any("logprob_token_ids" in one for one in there.requests)


def test_servers_with_different_models_are_not_mixed(caplog: pytest.LogCaptureFixture) -> None:
    with ModelServer() as one, ModelServer(model="another/model") as other:
        verifier, line = asking(one.endpoint, other.endpoint)
        assert "served, tiny/model at" in line
        assert states(verifier, 6) == ["confirmed"] * 6
        verifier.close()
    assert not other.requests
    assert any("serves another/model, another server tiny/model" in text for text in caplog.messages)


@pytest.mark.parametrize("status", [0, 401, 404, 429, 500])
def test_what_one_server_refuses_another_answers_without_a_pause(status: int) -> None:
    with ModelServer() as one, ModelServer() as other:
        verifier, _line = asking(one.endpoint, other.endpoint, retries=0)
        one.failures += [status] * 20
        began = time.monotonic()
        assert states(verifier, 4) == ["confirmed"] * 4
        assert time.monotonic() - began < 0.45  # the first pause is longer
        verifier.close()


def test_a_question_that_is_wrong_is_not_asked_of_the_next_server() -> None:
    with ModelServer() as one, ModelServer() as other:
        verifier, _line = asking(one.endpoint, other.endpoint)
        one.failures += [400]
        other.failures += [400]
        assert states(verifier, 1) == ["unverified"]
        assert len(one.requests) + len(other.requests) == 2 + 1
        verifier.close()


def test_where_all_are_away_the_run_does_not_start_and_one_of_them_is_named() -> None:
    with ModelServer() as one, ModelServer() as other:
        endpoints = one.endpoint, other.endpoint
    with pytest.raises(VerifierError, match=r"failed 2 times.*is the server running there") as refused:
        asking(*endpoints)
    assert any(endpoint in str(refused.value) for endpoint in endpoints)


@pytest.mark.parametrize("text", ["nonsense,http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1,http://127.0.0.1:99999/v1"])
def test_one_address_of_several_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(VerifierError, match="endpoint"):
        choose_verifier(model_settings("served", served={"endpoint": text, "retries": 0}))
