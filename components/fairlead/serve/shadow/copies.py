"""Shadow traffic: a sample of live requests is asked again of another server, and the two answers are kept.

What the caller gets never depends on it. An answer has been sent before its request is copied; copying puts a
record into a bounded queue and never waits; a few tasks of the same event loop send what is in the queue, each
call with a time-out; what does not fit is dropped and counted by reason:

===========  ==================================================================================
``queue``    the queue is full: the other server, or the core this process has, is too slow; or this
             server ended before the copy was answered
``rate``     more than ``FAIRLEAD_SHADOW_RATE`` a second: a copy costs this process several times what a
             prediction does, and so many may be spent on it
``size``     a body or an answer of more than 1 MiB: reading it would hold the event loop
``timeout``  no complete answer within ``FAIRLEAD_SHADOW_SECONDS``
``error``    no connection, a broken one, or not HTTP
``status``   any answer but 200; it is kept as a pair without answers
``answer``   200, but not an answer to this request
``paused``   after five failures in a row nothing is sent for 1 s, then 2 s, … up to 30 s
===========  ==================================================================================

A copy carries the internal credential and ``X-Fairlead-Route: shadow``, so that the other server neither counts
it as traffic nor copies it again. It keeps the request's id and its trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import ProjectError
from fairlead.schema import Output
from fairlead.serve.environment import Environment
from fairlead.serve.guards.access.watched import Watched
from fairlead.serve.http import Answer, Request
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.pace import Pace
from fairlead.serve.shadow.failures import Failed
from fairlead.serve.shadow.pairs import (
    Reading,
    Unreadable,
    changed_rows,
    pair_record,
    read_infer,
    read_predict,
)

if TYPE_CHECKING:
    from fairlead.serve.shadow.client import ShadowClient

logger = logging.getLogger("fairlead.serve")

LARGEST = 1024 * 1024
"""Bytes of a body or an answer: JSON of this size is read in about 5 ms."""
QUEUE_BYTES = 16 * LARGEST
"""The queue is bounded by its size too, because a request can be small or large."""
REASONS = ("queue", "rate", "size", "timeout", "error", "status", "answer", "paused")

_READERS = {"/predict": read_predict, "/v2/models/{name}/infer": read_infer}
"""The endpoints that are copied."""
_VERSION = re.compile(r"/versions/[^/]+")
_PASSED_ON = frozenset({b"content-type", b"inference-header-content-length", b"traceparent", b"tracestate"})


@dataclass(frozen=True, slots=True)
class ShadowSettings:
    """Where copies go, and how much may be spent on them."""

    url: str
    """The other server, without a path."""
    sample: float
    """Share of live requests that are copied."""
    rate: float
    """Copies a second, with as many at once; 0 for no bound."""
    seconds: float
    """For one call."""
    queue: int
    """Requests that may wait."""
    concurrency: int
    """Calls at a time."""
    tolerance: float
    """Values further apart than this share of the larger one are a flip."""
    token: Path | None
    """File with the credential of internal calls."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self | None:
        """The settings, or None where no ``FAIRLEAD_SHADOW_URL`` is set. Raises ProjectError."""
        url = env.text("FAIRLEAD_SHADOW_URL").rstrip("/")
        if not url:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            raise ProjectError(
                f"FAIRLEAD_SHADOW_URL is {url!r}, must be http or https, a host and a port",
                hint="For example http://fraud-preview:8080; the path is that of each request.",
            )
        return cls(
            url=url,
            sample=env.number("FAIRLEAD_SHADOW_SAMPLE", 1.0, low=0.0, high=1.0),
            rate=env.number("FAIRLEAD_SHADOW_RATE", 100.0, low=0.0),
            seconds=env.number("FAIRLEAD_SHADOW_SECONDS", 1.0, low=0.001, high=60.0),
            queue=env.whole("FAIRLEAD_SHADOW_QUEUE", 256, low=1, high=100_000),
            concurrency=env.whole("FAIRLEAD_SHADOW_CONCURRENCY", 8, low=1, high=256),
            tolerance=env.number("FAIRLEAD_SHADOW_TOLERANCE", 0.01, low=0.0, high=1.0),
            token=env.file("FAIRLEAD_INTERNAL_TOKEN_FILE"),
        )


@dataclass(slots=True)
class Copy:
    """A request that waits to be asked again, and what was answered to it."""

    request: Request
    endpoint: str
    answers: NDArray[np.float64]
    at: float
    seconds: float

    @property
    def size(self) -> int:
        """Bytes it holds while it waits."""
        return len(self.request.body) + int(self.answers.nbytes)


class Circuit:
    """Stops calls to a server that fails again and again, and tries again later.

    >>> now = 0.0
    >>> circuit = Circuit(lambda: now)
    >>> for _ in range(5): circuit.failed()
    >>> circuit.paused
    True
    >>> now = 1.0
    >>> circuit.paused
    False
    """

    FAILURES = 5
    FIRST_SECONDS = 1.0
    LONGEST_SECONDS = 30.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = self.FIRST_SECONDS
        self._until = -1.0

    @property
    def paused(self) -> bool:
        """Whether nothing should be sent now."""
        return self._clock() < self._until

    def failed(self) -> None:
        """A call failed. Calls that were under way when the pause began do not prolong it."""
        self._failures += 1
        if self._failures >= self.FAILURES and not self.paused:
            self._until = self._clock() + self._pause
            self._pause = min(2 * self._pause, self.LONGEST_SECONDS)

    def worked(self) -> None:
        """A call was answered."""
        self._failures = 0
        self._pause = self.FIRST_SECONDS


class Shadow:
    """Copies sampled requests to another server and keeps both answers."""

    def __init__(
        self,
        settings: ShadowSettings,
        output: Output,
        who: Mapping[str, str],
        metrics: Metrics,
        keep: Callable[[Mapping[str, Any]], Any] | None = None,
    ) -> None:
        """Prepare; nothing is sent before :meth:`start`.

        Args:
            settings: Where to, how much.
            output: What our model answers.
            who: ``slot`` and ``bundle`` of this server, for the records.
            metrics: Gets the counters of pairs, flips and what was shed.
            keep: Takes a pair's record, such as the prediction log's ``pair``; without it pairs are only counted.
        """
        self._settings = settings
        self._output = output
        self._who = {"slot": who.get("slot", ""), "bundle": who.get("bundle", "")}
        self._keep = keep
        self._token = Watched(settings.token, _credential) if settings.token is not None else None
        self._pairs = metrics.counter("fairlead_shadow_pairs_total", "Requests answered by both servers.")
        self._flips = metrics.counter("fairlead_shadow_flips_total", "Pairs with another label or value.")
        self._shed = {
            reason: metrics.counter(
                "fairlead_shadow_shed_total", "Copies that gave no pair, by reason.", reason=reason
            )
            for reason in REASONS
        }
        self._circuit = Circuit()
        self._pace = Pace(settings.rate)
        self._queue: asyncio.Queue[Copy] = asyncio.Queue(settings.queue)
        self._waiting_bytes = 0
        self._client: ShadowClient | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # --------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Open the client and begin to send."""
        from fairlead.serve.shadow.client import ShadowClient  # noqa: PLC0415 - brings aiohttp

        settings = self._settings
        self._client = ShadowClient(
            settings.url, seconds=settings.seconds, connections=settings.concurrency, largest=LARGEST
        )
        self._tasks = [asyncio.create_task(self._work(self._client)) for _ in range(settings.concurrency)]

    async def stop(self, seconds: float = 1.0) -> None:
        """Send what waits for at most *seconds*, then end. What is left is counted as shed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
            self._shed["queue"].add()
        if self._client is not None:
            await self._client.close()

    # ------------------------------------------------------------------------------------ request's side

    def observe(self, request: Request, endpoint: str, answer: Answer, at: float, seconds: float) -> None:
        """Copy the request if it is live and drawn; see :data:`fairlead.serve.http.Observer`."""
        if request.route != "live" or endpoint not in _READERS or answer.scored is None:
            return
        if random.random() >= self._settings.sample:  # noqa: S311 - a sample, not a secret
            return
        copy = Copy(request, endpoint, answer.scored.answers, at, seconds)
        if reason := self._obstacle(copy):
            self._shed[reason].add()
            return
        self._waiting_bytes += copy.size
        self._queue.put_nowait(copy)

    def _obstacle(self, copy: Copy) -> str:
        """Why the copy cannot wait to be sent; empty if it can."""
        if self._circuit.paused:
            return "paused"
        if copy.size > LARGEST:
            return "size"
        if self._queue.full() or self._waiting_bytes + copy.size > QUEUE_BYTES:
            return "queue"
        return "" if self._pace.allows(time.monotonic()) else "rate"

    # -------------------------------------------------------------------------------------- other's side

    async def _work(self, client: ShadowClient) -> None:
        while True:
            copy = await self._queue.get()
            self._waiting_bytes -= copy.size
            try:
                await self._ask(client, copy)
            except asyncio.CancelledError:
                self._shed["queue"].add()
                raise
            except Exception:
                self._shed["error"].add()
                logger.exception("the shadow copy of request %s failed", copy.request.identity)
            finally:
                self._queue.task_done()

    async def _ask(self, client: ShadowClient, copy: Copy) -> None:
        """Send one copy and keep the pair, or count why there is none."""
        if self._circuit.paused:
            self._shed["paused"].add()
            return
        started = time.perf_counter()
        request = copy.request
        try:
            body, json_length = await client.post(
                _VERSION.sub("", request.path), request.body, self._headers(request)
            )
            seconds = time.perf_counter() - started
            self._circuit.worked()
            reading = _READERS[copy.endpoint](body, json_length, self._output)
            flipped = changed_rows(self._output, copy.answers, reading, self._settings.tolerance)
        except Unreadable:
            self._shed["answer"].add()
            return
        except Failed as failure:
            self._count(copy, failure, time.perf_counter() - started)
            return
        self._pairs.add()
        if flipped:
            self._flips.add()
        self._record(copy, 200, seconds, reading, flipped)

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.headers
            if name in _PASSED_ON
        }
        headers["X-Request-ID"] = request.identity
        headers["X-Fairlead-Route"] = "shadow"
        if self._token is not None:
            headers["X-Fairlead-Internal"] = self._token.value
        return headers

    def _count(self, copy: Copy, failure: Failed, seconds: float) -> None:
        self._shed[failure.reason].add()
        if failure.says_overload:
            self._circuit.failed()
        else:
            self._circuit.worked()
        if failure.reason == "status":
            self._record(copy, failure.status, seconds, None, 0)

    def _record(self, copy: Copy, status: int, seconds: float, other: Reading | None, flipped: int) -> None:
        if self._keep is None:
            return
        said = {
            "id": copy.request.identity,
            "at": copy.at,
            "endpoint": copy.endpoint,
            **self._who,
            "seconds": copy.seconds,
            "other_status": status,
            "other_seconds": seconds,
        }
        self._keep(pair_record(said, copy.answers, other, flipped))


def _credential(content: bytes) -> str:
    """The internal credential as a header's value. Raises ValueError."""
    return content.decode("ascii").strip()
