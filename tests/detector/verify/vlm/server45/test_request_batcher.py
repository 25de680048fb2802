"""Questions that arrive together are answered together, within bounds, whatever happens to one of them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.waiting import wait_until

torch = pytest.importorskip("torch")

from detector.verify.vlm.server45.model import Clip  # noqa: E402 - needs torch and transformers
from detector.verify.vlm.server45.request_batcher import RequestBatcher, Unanswered  # noqa: E402 - needs torch

pytestmark = pytest.mark.model


class Scorer:
    """Stands where the model stands: answers with the text's number; can be held back, and told what to fail on."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_go = threading.Event()
        self.busy = threading.Event()
        self.may_go.set()

    def score(self, clips: Sequence[Clip]) -> list["torch.Tensor"]:
        self.batches.append([clip.text for clip in clips])
        self.busy.set()
        assert self.may_go.wait(10)
        for clip in clips:
            if clip.text == "bad":
                raise ValueError("this image cannot be taken")
            if clip.text == "huge":
                raise torch.OutOfMemoryError
            if clip.text == "fatal":
                raise SystemExit(3)
        return [torch.tensor([float(clip.text)]) for clip in clips]


@pytest.fixture
def scorer() -> Scorer:
    return Scorer()


@pytest.fixture
def batcher_of(scorer: Scorer) -> Iterator[Callable[..., RequestBatcher]]:
    opened: list[RequestBatcher] = []

    def open_batcher(batch_size: int = 4, wait: float = 0.5, room: int = 8) -> RequestBatcher:
        opened.append(RequestBatcher(scorer.score, batch_size=batch_size, batch_wait_seconds=wait, waiting_limit=room))
        return opened[-1]

    yield open_batcher
    scorer.may_go.set()
    for batcher in opened:
        batcher.close()


def ask(batcher: RequestBatcher, text: str, limit: float = 10.0) -> float:
    return float(batcher.ask(Clip(text, ()), limit)[0])


def held(batcher: RequestBatcher, scorer: Scorer, pool: ThreadPoolExecutor) -> None:
    """Leave the scorer busy with one question."""
    scorer.may_go.clear()
    pool.submit(ask, batcher, "0")
    assert scorer.busy.wait(10)


def test_questions_that_arrive_together_are_scored_together_and_each_gets_its_own_answer(
    batcher_of: Callable[..., RequestBatcher], scorer: Scorer
) -> None:
    batcher = batcher_of(batch_size=4)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: ask(batcher, text), "1234")) == [1.0, 2.0, 3.0, 4.0]
    assert [sorted(batch) for batch in scorer.batches] == [list("1234")]


def test_a_batch_closes_when_its_first_question_has_waited_long_enough(
    batcher_of: Callable[..., RequestBatcher], scorer: Scorer
) -> None:
    assert ask(batcher_of(batch_size=64, wait=0.01), "7") == 7.0
    assert scorer.batches == [["7"]]


def test_a_question_too_many_is_refused_at_once_and_the_others_are_answered(
    batcher_of: Callable[..., RequestBatcher], scorer: Scorer
) -> None:
    batcher = batcher_of(batch_size=1, room=2)
    with ThreadPoolExecutor(4) as pool:
        held(batcher, scorer, pool)
        waiting = [pool.submit(ask, batcher, text) for text in "12"]
        wait_until(lambda: batcher.waiting == 2)
        with pytest.raises(Unanswered, match="2 questions are waiting") as refused:
            ask(batcher, "3")
        assert refused.value.status == 503
        scorer.may_go.set()
        assert [one.result(10) for one in waiting] == [1.0, 2.0]


def test_a_question_that_is_given_up_is_not_scored_any_more(
    batcher_of: Callable[..., RequestBatcher], scorer: Scorer
) -> None:
    batcher = batcher_of(batch_size=1)
    with ThreadPoolExecutor(2) as pool:
        held(batcher, scorer, pool)
        with pytest.raises(Unanswered) as refused:
            ask(batcher, "1", limit=0.05)
        assert refused.value.status == 504
        scorer.may_go.set()
        assert ask(batcher, "2") == 2.0
    assert ["1"] not in scorer.batches


def test_a_question_that_is_given_up_makes_room_for_another(
    batcher_of: Callable[..., RequestBatcher], scorer: Scorer
) -> None:
    batcher = batcher_of(batch_size=1, room=1)
    with ThreadPoolExecutor(2) as pool:
        held(batcher, scorer, pool)
        with pytest.raises(Unanswered) as refused:
            ask(batcher, "1", limit=0.05)
        assert refused.value.status == 504
        assert batcher.waiting == 0
        other = pool.submit(ask, batcher, "2")
        wait_until(lambda: batcher.waiting == 1)
        scorer.may_go.set()
        assert other.result(10) == 2.0


def test_clients_take_turns_so_that_a_busy_one_starves_no_other(
    batcher_of: Callable[..., RequestBatcher], scorer: Scorer
) -> None:
    batcher = batcher_of(batch_size=2, wait=0.0)
    with ThreadPoolExecutor(6) as pool:
        held(batcher, scorer, pool)
        for number, client in enumerate(("busy", "busy", "busy", "quiet"), start=1):
            pool.submit(batcher.ask, Clip(str(number), ()), 10.0, client)
            wait_until(lambda: batcher.waiting == number)  # noqa: B023 - within the turn
        scorer.may_go.set()
    assert scorer.batches[1:] == [["1", "4"], ["2", "3"]]


def test_one_bad_question_costs_the_others_nothing(batcher_of: Callable[..., RequestBatcher]) -> None:
    batcher = batcher_of(batch_size=3)
    with ThreadPoolExecutor(3) as pool:
        good, bad, other = (pool.submit(ask, batcher, text) for text in ("1", "bad", "2"))
        assert (good.result(10), other.result(10)) == (1.0, 2.0)
        with pytest.raises(Unanswered, match="ValueError: this image cannot be taken") as refused:
            bad.result(10)
    assert refused.value.status == 500


def test_a_question_that_does_not_fit_into_memory_is_told_so(batcher_of: Callable[..., RequestBatcher]) -> None:
    batcher = batcher_of()
    with pytest.raises(Unanswered, match="do not fit") as refused:
        ask(batcher, "huge")
    assert refused.value.status == 507
    assert ask(batcher, "5") == 5.0


def test_closing_turns_away_who_waits(batcher_of: Callable[..., RequestBatcher], scorer: Scorer) -> None:
    batcher = batcher_of(batch_size=1)
    with ThreadPoolExecutor(3) as pool:
        held(batcher, scorer, pool)
        late = pool.submit(ask, batcher, "1")
        wait_until(lambda: batcher.waiting == 1)
        closing = pool.submit(batcher.close)
        wait_until(lambda: batcher.closing)
        scorer.may_go.set()
        closing.result(10)
        with pytest.raises(Unanswered, match="closing"):
            late.result(10)
    with pytest.raises(Unanswered, match="closing"):
        ask(batcher, "2")


def test_what_ends_the_thread_reaches_the_owner_and_leaves_nobody_waiting(
    batcher_of: Callable[..., RequestBatcher],
) -> None:
    batcher = batcher_of()
    with pytest.raises(Unanswered) as refused:
        ask(batcher, "fatal")
    assert refused.value.status == 503
    wait_until(lambda: batcher.failure is not None)
    assert isinstance(batcher.failure, SystemExit)
