"""Requests that are scored together get the answers they would get alone, whatever happens to their neighbours."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.schema import Batch
from fairlead.serve.batching import Batcher, together
from fairlead.serve.http import Refused

Answers = NDArray[np.float64]


def rows_of(*values: float) -> Batch:
    return Batch(np.array([[value] for value in values], dtype=np.float32))


class Model:
    """Doubles each row, and remembers its calls. A row of -1 cannot be scored."""

    def __init__(self, seconds: float = 0.002) -> None:
        self.calls: list[int] = []
        self.threads: set[int] = set()
        self._seconds = seconds

    def __call__(self, batch: Batch) -> Answers:
        self.calls.append(len(batch))
        self.threads.add(threading.get_ident())
        time.sleep(self._seconds)
        if (batch.numbers == -1).any():
            raise ValueError("a row of -1")
        return batch.numbers.astype(np.float64) * 2


async def ask(batcher: Batcher, *requests: Batch) -> list[Any]:
    return await asyncio.gather(*(batcher(request) for request in requests), return_exceptions=True)


def test_concurrent_requests_share_a_call_and_get_their_own_answers() -> None:
    model = Model()
    answers = asyncio.run(ask(Batcher(model, 64), *(rows_of(value) for value in range(40))))
    assert [float(answer[0, 0]) for answer in answers] == [2.0 * value for value in range(40)]
    assert len(model.calls) <= 2
    assert sum(model.calls) == 40


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.integers(1, 16))
def test_every_request_gets_as_many_answers_as_it_has_rows_and_no_call_is_larger_than_allowed(
    sizes: list[int], most: int
) -> None:
    model = Model(seconds=0)
    requests = [rows_of(*range(100 * number, 100 * number + size)) for number, size in enumerate(sizes)]
    answers = asyncio.run(ask(Batcher(model, most), *requests))
    for request, answer in zip(requests, answers, strict=True):
        assert np.array_equal(answer, request.numbers * 2)
    assert all(calls <= max(most, *sizes) for calls in model.calls)
    assert sum(model.calls) == sum(sizes)


def test_a_request_that_is_larger_than_a_call_goes_alone() -> None:
    model = Model()
    answers = asyncio.run(ask(Batcher(model, 4), rows_of(1), rows_of(*range(9)), rows_of(2)))
    assert [len(answer) for answer in answers] == [1, 9, 1]
    assert 9 in model.calls


def test_a_row_that_breaks_the_model_fails_only_its_own_request() -> None:
    answers = asyncio.run(ask(Batcher(Model(), 64), rows_of(1), rows_of(-1), rows_of(3, 4)))
    assert np.array_equal(answers[0], [[2.0]])
    assert isinstance(answers[1], ValueError)
    assert np.array_equal(answers[2], [[6.0], [8.0]])


def test_after_a_failure_the_next_request_is_answered() -> None:
    async def twice() -> list[Any]:
        batcher = Batcher(Model(), 64)
        return [*await ask(batcher, rows_of(-1)), *await ask(batcher, rows_of(5))]

    failed, answered = asyncio.run(twice())
    assert isinstance(failed, ValueError)
    assert np.array_equal(answered, [[10.0]])


def test_a_model_that_loses_rows_is_an_error_and_not_a_shifted_answer() -> None:
    def short(batch: Batch) -> Answers:
        return np.zeros((len(batch) - 1, 1))

    answers = asyncio.run(ask(Batcher(short, 8), rows_of(1), rows_of(2)))
    assert all(isinstance(answer, ValueError) for answer in answers)


def test_a_caller_that_goes_away_leaves_no_hole() -> None:
    async def one_goes() -> tuple[Answers, bool, int]:
        model = Model(seconds=0.02)
        batcher = Batcher(model, 64)
        first = asyncio.create_task(batcher(rows_of(1)))
        await asyncio.sleep(0.005)  # the first is being scored
        leaving, staying = asyncio.create_task(batcher(rows_of(2))), asyncio.create_task(batcher(rows_of(3)))
        await asyncio.sleep(0)
        leaving.cancel()
        answer = await staying
        await first
        return answer, leaving.cancelled(), sum(model.calls)

    answer, cancelled, scored = asyncio.run(one_goes())
    assert np.array_equal(answer, [[6.0]])
    assert cancelled
    assert scored == 2  # the row of the one who left was not


def test_a_caller_that_goes_away_while_it_is_scored_does_not_stop_the_others() -> None:
    async def one_goes() -> Answers:
        batcher = Batcher(Model(seconds=0.02), 64)
        leaving, staying = asyncio.create_task(batcher(rows_of(2))), asyncio.create_task(batcher(rows_of(3)))
        await asyncio.sleep(0.005)
        leaving.cancel()
        return await staying

    assert np.array_equal(asyncio.run(one_goes()), [[6.0]])


def test_when_too_many_rows_wait_a_request_is_refused_with_503() -> None:
    async def crowd() -> list[Any]:
        return await ask(Batcher(Model(), 4, waiting_rows=10), *(rows_of(value) for value in range(30)))

    answers = asyncio.run(crowd())
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert {refusal.status for refusal in refused} == {503}
    assert len(refused) == 20


def test_a_request_larger_than_the_queue_is_answered_when_nothing_waits() -> None:
    (answer,) = asyncio.run(ask(Batcher(Model(), 4, waiting_rows=10), rows_of(*range(20))))
    assert len(answer) == 20


def test_the_first_request_waits_for_others_only_where_time_is_given() -> None:
    async def staggered(wait_ms: float) -> list[int]:
        model = Model(seconds=0)
        batcher = Batcher(model, 64, wait_ms)
        tasks = []
        for value in range(3):
            tasks.append(asyncio.create_task(batcher(rows_of(value))))
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        return model.calls

    assert asyncio.run(staggered(0.0)) == [1, 1, 1]
    assert asyncio.run(staggered(200.0)) == [3]


def test_a_slow_model_does_not_hold_up_the_event_loop() -> None:
    async def longest_pause() -> float:
        longest, busy = 0.0, asyncio.create_task(ask(Batcher(Model(seconds=0.2), 4), rows_of(1)))
        while not busy.done():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)
        return longest

    assert asyncio.run(longest_pause()) < 0.15


def test_a_quick_model_is_asked_in_the_event_loop() -> None:
    async def main() -> bool:
        model = Model(seconds=0)
        batcher = Batcher(model, 4)
        for value in range(50):
            await batcher(rows_of(value))
        return threading.get_ident() in model.threads

    assert asyncio.run(main())


def test_when_the_loop_closes_nobody_waits_for_ever() -> None:
    async def close() -> list[bool]:
        batcher = Batcher(Model(seconds=0.05), 1)
        tasks = [asyncio.create_task(batcher(rows_of(value))) for value in range(3)]
        await asyncio.sleep(0.01)
        assert batcher._worker is not None
        batcher._worker.cancel()
        await asyncio.wait(tasks, timeout=1)
        return [task.done() for task in tasks]

    assert asyncio.run(close()) == [True, True, True]


def test_texts_stay_with_their_rows() -> None:
    def batch(*texts: str) -> Batch:
        return Batch(np.zeros((len(texts), 0), np.float32), (np.array(texts, dtype=object),))

    joined = together([batch("a"), batch("b", "c"), batch("d")])
    assert joined.texts[0].tolist() == ["a", "b", "c", "d"]
    assert len(joined) == 4


@pytest.mark.parametrize("count", [1, 7])
def test_the_rows_of_each_call_are_told(count: int) -> None:
    told: list[int] = []
    watch: Callable[[int], None] = told.append
    asyncio.run(ask(Batcher(Model(), 64, scored=watch), *(rows_of(value) for value in range(count))))
    assert sum(told) == count
