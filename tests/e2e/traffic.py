"""Constant HTTP traffic from a client that retries nothing: every request is seen, and every error counts."""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

Reader = Callable[[http.client.HTTPMessage, bytes], str]


def first_word(_: http.client.HTTPMessage, body: bytes) -> str:
    """What the server of :mod:`tests.e2e.echo` calls its version."""
    return body.split(maxsplit=1)[0].decode() if body else ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        at: When its answer was complete or it failed, as `time.time()`.
        seconds: How long that took.
        status: Of HTTP; 0 where there was no answer.
        version: Who answered, by what the load's reader found in the answer.
        error: Empty for a status below 400.
    """

    at: float
    seconds: float
    status: int
    version: str
    error: str = ""


class Load:
    """Requests from some threads for as long as the `with` block runs.

    Bounded in count and time, so that a test that hangs does not fill the memory. Traffic that ended before its
    block would prove nothing about what came after, so that is an error, unless :meth:`join` waited for it.

    Attributes:
        requests: What was seen so far, in order of completion.
    """

    def __init__(
        self,
        address: str,
        path: str = "/",
        *,
        host: str = "",
        body: Any = None,
        headers: dict[str, str] | None = None,
        threads: int = 4,
        keep_alive: bool = True,
        pause: float = 0.005,
        most: int = 100_000,
        seconds: float = 120,
        timeout: float = 10,
        version_of: Reader = first_word,
    ) -> None:
        """Prepare the traffic.

        Args:
            address: HOST:PORT of the Gateway, or of a Service.
            path: Of each request.
            host: The Host header. Empty: *address*.
            body: Sent as JSON by POST. None: GET.
            headers: More headers.
            threads: How many requests may be under way at once.
            keep_alive: Whether a thread keeps its connection. Without, each request gets one of its own, and through
                a Service perhaps another pod.
            pause: Between a thread's requests, in seconds.
            most: Requests, of all threads.
            seconds: Life of the load.
            timeout: Of one request.
            version_of: Finds in an answer who gave it.
        """
        self.requests: list[Request] = []
        self._address, self._path, self._timeout = address, path, timeout
        self._keep_alive, self._pause, self._most, self._seconds = keep_alive, pause, most, seconds
        self._data = None if body is None else json.dumps(body)
        self._headers = {
            "Host": host or address,
            **({} if body is None else {"Content-Type": "application/json"}),
        }
        self._headers |= (headers or {}) | ({} if keep_alive else {"Connection": "close"})
        self._version_of = version_of
        self._stop = threading.Event()
        self._left = iter(range(most))  # next() on it is atomic: the threads share one budget
        self._joined = False
        self._end = math.inf
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Self:
        """Start the traffic, and return once the first answers are there."""
        self._end = time.monotonic() + self._seconds
        for thread in self._threads:
            thread.start()
        self.wait(min(len(self._threads), self._most))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the traffic; fail if it had stopped by itself."""
        ended = not any(thread.is_alive() for thread in self._threads)
        self._stop.set()
        for thread in self._threads:
            thread.join(self._timeout + 5)
        if ended and not self._joined and kind is None:
            raise AssertionError(
                f"the load ended before its block, after {len(self.requests)} requests: "
                f"give it more than most={self._most}, seconds={self._seconds}"
            )

    def join(self) -> None:
        """Wait until the load has made all its requests."""
        for thread in self._threads:
            thread.join(self._seconds + self._timeout)
        self._joined = True

    def wait(self, more: int, seconds: float = 30) -> None:
        """Wait until *more* requests are over, at most *seconds*."""
        wanted = len(self.requests) + more
        end = time.monotonic() + seconds
        while len(self.requests) < wanted and time.monotonic() < end:
            time.sleep(0.01)

    def errors(self) -> list[Request]:
        """The requests without an answer, and those answered with a status of 400 or more."""
        return [request for request in self.requests if request.error]

    def versions(self, since: float = 0, to: float = math.inf) -> Counter[str]:
        """How many answers each version gave between two times of `time.time()`."""
        return Counter(each.version for each in self.requests if not each.error and since <= each.at < to)

    def first(self, version: str) -> float:
        """When *version* gave its first answer; infinity if it gave none."""
        return min((each.at for each in self.requests if each.version == version), default=math.inf)

    def last(self, version: str) -> float:
        """When *version* gave its last answer; 0 if it gave none."""
        return max((each.at for each in self.requests if each.version == version), default=0.0)

    def quantile(self, share: float) -> float:
        """The time in seconds within which *share* of the requests were over; 0.99 for instance."""
        ordered = sorted(each.seconds for each in self.requests)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    def require_no_errors(self) -> int:
        """Fail unless there were requests and all were answered well; give their number."""
        assert self.requests, "the load made no request at all"
        if failed := self.errors():
            began = self.requests[0].at
            kinds = ", ".join(
                f"{n} × {kind}" for kind, n in Counter(each.error for each in failed).most_common()
            )
            lines = [f"{each.at - began:8.3f} s after the first  {each.error}" for each in failed[:20]]
            raise AssertionError(
                "\n".join([f"{len(failed)} of {len(self.requests)} requests failed: {kinds}", *lines])
            )
        return len(self.requests)

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=self._timeout)
        while not self._stop.is_set() and time.monotonic() < self._end and next(self._left, None) is not None:
            self.requests.append(self._one(connection))
            self._stop.wait(self._pause)
        connection.close()

    def _one(self, connection: http.client.HTTPConnection) -> Request:
        """Send one request; after an error the connection is closed, and the next request opens another."""
        began = time.monotonic()
        status, version, error = 0, "", ""
        try:
            connection.request("GET" if self._data is None else "POST", self._path, self._data, self._headers)
            response = connection.getresponse()
            body = response.read()
            status = response.status
            if status >= 400:
                error = f"{status} {response.reason}: {body[:200].decode(errors='replace')}".strip()
            else:
                version = self._version_of(response.headers, body)
            if not self._keep_alive:
                connection.close()
        except (OSError, http.client.HTTPException) as failed:
            error = f"{type(failed).__name__}: {failed}"
            connection.close()
        return Request(time.time(), time.monotonic() - began, status, version, error)
