"""Requests at a steady rate, for demonstrations and tests of releases: each is counted, and none is tried twice."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

THREADS = 8


class Traffic:
    """Sends one row a request to ``/predict``; a context, which ends it."""

    def __init__(self, host: str, port: int, rows: Sequence[Mapping[str, Any]], rate: float) -> None:
        """Send *rows* again and again, *rate* a second in all, over :data:`THREADS` connections."""
        self._address = (host, port)
        self._bodies = [json.dumps({"rows": [row]}).encode() for row in rows]
        self._gap = THREADS / rate
        self._next = itertools.count()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.statuses: Counter[str] = Counter()
        """Answers by status; ``broken`` for those that never came."""
        self.failures: list[tuple[float, str]] = []
        """When, in seconds since 1970, which answer was none of 200."""
        self._threads = [threading.Thread(target=self._send_on, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> Traffic:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, after the requests under way are answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send_on(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=30)
        due = time.monotonic()
        while not self._stop.is_set():
            self._count(self._send(connection))
            due = max(
                due + self._gap, time.monotonic() - 1.0
            )  # what was missed long ago is not caught up with
            self._stop.wait(max(0.0, due - time.monotonic()))
        connection.close()

    def _send(self, connection: http.client.HTTPConnection) -> str:
        body = self._bodies[next(self._next) % len(self._bodies)]
        try:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return str(answer.status)
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens another one
            return "broken"

    def _count(self, status: str) -> None:
        with self._lock:
            self.statuses[status] += 1
            if status != "200":
                self.failures.append((time.time(), status))
