"""Requests that are scored together, for models whose cost is mostly per call and not per row.

The first request is scored at once, or after ``wait_ms`` if more time is given. While it is being scored, others come in; they
are scored together as soon as it is done. So nobody waits for company while the model is idle, and the more there is to do
the larger the batches become. A model that takes long is asked in a thread, so that probes are answered meanwhile; one that
is quick is asked in the event loop, where a thread would cost more than it gives.

Whether it pays is measured when the bundle is built (``fairlead.bundle.batching``).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Batch
from fairlead.serve.backends import Predict
from fairlead.serve.http import Refused

WAITING_ROWS = 4_096
"""More rows than this do not wait: the answer is 503 with Retry-After."""
THREAD_SECONDS = 0.001
"""A call that took longer is followed by calls in a thread; handing work over and back costs some 0.1 ms."""

_Waiting = tuple[Batch, "asyncio.Future[NDArray[np.float64]]"]


class Batcher:
    """Collects the encoded rows of concurrent requests. For one event loop."""

    def __init__(
        self,
        answers: Predict,
        rows: int,
        wait_ms: float = 0.0,
        *,
        waiting_rows: int = WAITING_ROWS,
        scored: Callable[[int], None] | None = None,
    ) -> None:
        """Score with *answers*.

        Args:
            answers: Encoded rows to answers. Called from one thread at a time.
            rows: Rows of a call at most; a request that has more goes alone.
            wait_ms: How long the first request of a call waits for others, while the model is idle.
            waiting_rows: Rows that may wait.
            scored: Told of the rows of each call.
        """
        self._answers = answers
        self._rows = rows
        self._wait_seconds = wait_ms / 1000
        self._most_waiting = waiting_rows
        self._scored = scored
        self._waiting: deque[_Waiting] = deque()
        self._waiting_rows = 0
        self._worker: asyncio.Task[None] | None = None
        self._last_seconds = np.inf  # unknown: the first call does not hold the loop up

    async def __call__(self, batch: Batch) -> NDArray[np.float64]:
        """The answers for *batch*, float64, shape (rows, k).

        A call that fails is repeated for each of its requests alone, so that only those get an error that cause one. A
        caller that is cancelled while it waits is left out; its neighbours do not notice.

        Raises:
            Refused: 503, too many rows are waiting.
            Exception: Whatever the model raises for these rows alone.
        """
        if self._waiting_rows + len(batch) > self._most_waiting and self._waiting:
            raise Refused(503, "too many rows are waiting to be scored", headers=((b"retry-after", b"1"),))
        future: asyncio.Future[NDArray[np.float64]] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, future))
        self._waiting_rows += len(batch)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be scored."""
        return self._waiting_rows

    async def _work(self) -> None:
        """Score what waits, until nothing does."""
        try:
            if self._wait_seconds > 0 and self._waiting_rows < self._rows:
                await asyncio.sleep(self._wait_seconds)
            while self._waiting:
                await self._score(self._next())
                await asyncio.sleep(0)  # let requests in that came meanwhile
        finally:
            self._worker = None
            for _, future in self._waiting:  # only if the loop closes
                future.cancel()
            self._waiting.clear()
            self._waiting_rows = 0

    def _next(self) -> list[_Waiting]:
        """The requests of the next call: those that wait, in order, as far as they fit; one at least."""
        chosen: list[_Waiting] = []
        count = 0
        while self._waiting and (not chosen or count + len(self._waiting[0][0]) <= self._rows):
            batch, future = self._waiting.popleft()
            self._waiting_rows -= len(batch)
            if not future.done():
                chosen.append((batch, future))
                count += len(batch)
        return chosen

    async def _score(self, requests: Sequence[_Waiting]) -> None:
        """One call for *requests*; if it fails, one for each."""
        if not requests:
            return
        try:
            answers = await self._call(together([batch for batch, _ in requests]))
        except asyncio.CancelledError:  # the loop closes
            for _, future in requests:
                future.cancel()
            raise
        except Exception as failure:
            if len(requests) == 1:
                _settle(requests[0][1], failure)
                return
            for request in requests:
                if not request[1].done():
                    await self._score([request])
            return
        start = 0
        for batch, future in requests:
            _settle(future, answers[start : start + len(batch)])
            start += len(batch)

    async def _call(self, batch: Batch) -> NDArray[np.float64]:
        started = time.perf_counter()
        if self._last_seconds > THREAD_SECONDS:
            answers = await asyncio.to_thread(self._answers, batch)
        else:
            answers = self._answers(batch)
        self._last_seconds = time.perf_counter() - started
        if len(answers) != len(batch):
            raise ValueError(f"the model gave {len(answers)} answers for {len(batch)} rows")
        if self._scored is not None:
            self._scored(len(batch))
        return answers


def together(batches: Sequence[Batch]) -> Batch:
    """The rows of all batches, in order."""
    if len(batches) == 1:
        return batches[0]
    texts = zip(*(batch.texts for batch in batches), strict=True)
    return Batch(
        np.concatenate([batch.numbers for batch in batches]), tuple(np.concatenate(text) for text in texts)
    )


def _settle(future: asyncio.Future[NDArray[np.float64]], result: NDArray[np.float64] | Exception) -> None:
    """Hand over a result, unless its caller has gone."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
