"""Work that is too long for the event loop, and how much of it is taken on at once.

Small requests are answered in the loop. Larger ones, and explanations, are worked on by a few threads, and
some may wait for a thread. One more is refused at once (503), because to wait longer than a caller does is
work for nobody. The same holds for a small request that waited long before it was begun: under overload the
oldest are refused, so that the others are still answered in time.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar, TypeVarTuple

from fairlead.serve.environment import Environment
from fairlead.serve.http import Header, Refused

INLINE_BYTES = 131_072
"""A body up to this size (some 150 rows of 30 numbers, a millisecond's work) is answered in the event loop, where a thread
would cost half as much again. A larger one is answered in a thread, so that probes and small requests need not wait for it."""

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_RETRY: tuple[Header, ...] = ((b"retry-after", b"1"),)


class Metrics(Protocol):
    """What :class:`fairlead.serve.metrics.registry.Metrics` offers for gauges."""

    def gauge(self, name: str, says: str, read: Callable[[], float]) -> None:
        """A number that is read when it is asked for."""


@dataclass(frozen=True)
class AdmissionSettings:
    """How much is taken on."""

    concurrency: int
    """Threads."""
    queue: int = 32
    """Pieces of work that may wait for one."""
    seconds: float = 10.0
    """For a piece of work, its wait included. The thread cannot be stopped, and keeps its place until it ends."""
    wait: float = 2.0
    """A request that came in longer ago than this, and is not begun, is refused."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self:
        """Read ``FAIRLEAD_LIMIT_CONCURRENCY``, ``_QUEUE``, ``_SECONDS``, ``_WAIT``. Raises ProjectError."""
        return cls(
            concurrency=env.whole("FAIRLEAD_LIMIT_CONCURRENCY", _processors(), low=1, high=256),
            queue=env.whole("FAIRLEAD_LIMIT_QUEUE", cls.queue, low=0),
            seconds=env.number("FAIRLEAD_LIMIT_SECONDS", cls.seconds, low=0.01),
            wait=env.number("FAIRLEAD_LIMIT_WAIT", cls.wait, low=0.01),
        )


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


class Admission:
    """Takes work on, or refuses it. Used from one event loop."""

    def __init__(self, settings: AdmissionSettings, metrics: Metrics | None = None) -> None:
        """Make the threads' pool; *metrics* show how full it is."""
        self._seconds = settings.seconds
        self._wait = settings.wait
        self._places = settings.concurrency + settings.queue
        self._free = threading.BoundedSemaphore(self._places)
        self._taken = 0
        self._begun: dict[int, float] = {}
        self._pool = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="fairlead-work")
        if metrics is not None:
            metrics.gauge(
                "fairlead_work_running", "Pieces of work in threads.", lambda: float(len(self._begun))
            )
            metrics.gauge("fairlead_work_taken", "Pieces of work in threads or waiting for one.", self.taken)

    def taken(self) -> float:
        """Pieces of work that are running or waiting."""
        return float(self._taken)

    def too_old(self, received: float, now: float) -> Refused | None:
        """The refusal of a request that came in at *received* and is only begun *now*; None if it is in time.

        Both in seconds of ``time.perf_counter()``.
        """
        waited = now - received
        if waited <= self._wait:
            return None
        return Refused(
            503, f"the request waited {waited:.1f} s to be begun, which is too long", headers=_RETRY
        )

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """The result of ``function(*arguments)``, worked out in a thread.

        Raises:
            Refused: 503 there are no places left; 504 it took too long.
            Exception: What the function raises.
        """
        if not self._free.acquire(blocking=False):
            raise Refused(503, f"there is work for {self._places} requests already", headers=_RETRY)
        self._taken += 1
        future = self._pool.submit(lambda: self._timed(function, *arguments))
        future.add_done_callback(self._give_back)
        try:
            # At the time-out, work that still waits for a thread is cancelled; work in a thread goes on.
            async with asyncio.timeout(self._seconds) as limit:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Refused(504, f"there was no answer within {self._seconds:g} s", headers=_RETRY) from None

    def longest(self) -> float:
        """For how many seconds the oldest piece of work in a thread has been running."""
        begun = list(self._begun.values())
        return time.monotonic() - min(begun) if begun else 0.0

    def close(self) -> None:
        """Take nothing on any more, and wait for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        thread = threading.get_ident()
        self._begun[thread] = time.monotonic()
        try:
            return function(*arguments)
        finally:
            del self._begun[thread]

    def _give_back(self, _future: Future[T]) -> None:
        """Called when the work has ended, which may be long after its request was answered; in its thread."""
        self._taken -= 1
        self._free.release()
