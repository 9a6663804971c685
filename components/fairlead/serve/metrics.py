"""Counters and a histogram in the Prometheus text format 0.0.4. An observation costs about a microsecond.

Series:

====================================================  =================================================
``fairlead_requests_total{route,code}``               answers by status
``fairlead_errors_total{route}``                      answers with a status of 500 or above
``fairlead_request_seconds{route}`` (histogram)       time to the answer, of answers below 400 only
``fairlead_rows_total``                               rows scored
``fairlead_validation_failures_total{field}``         values that broke a rule
``fairlead_requests_in_flight``                       requests being worked on
``fairlead_model_info{name,version,digest,format}``   1, once the model is loaded
``fairlead_ready``                                    1 while ``/readyz`` answers 200
``process_start_time_seconds``                        tells a restarted process from its predecessor
====================================================  =================================================

A refusal is quicker than an answer, so the histogram leaves refusals out: they would hide that answers got
slower. Labels come from the routes and the schema only; what a client sends can never make a new series.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency buckets, in seconds."""


class Metrics:
    """The counters of one process. Used from the event loop only, so there are no locks."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.ready = False
        self.model: Mapping[str, str] = {}
        """Labels of the model info series; empty until a model is loaded."""
        self._started = time.time()
        self._requests: dict[tuple[str, int], int] = defaultdict(int)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self._seconds: dict[str, float] = defaultdict(float)
        self._rows = 0
        self._failures: dict[str, int] = defaultdict(int)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests[route, status] += 1
        if status < 400:
            self._buckets[route][bisect_left(BOUNDS, seconds)] += 1
            self._seconds[route] += seconds

    def count_rows(self, rows: int, failures: Mapping[str, int]) -> None:
        """Count scored rows, and validation failures by field."""
        self._rows += rows
        for field, count in failures.items():
            self._failures[field] += count

    def render(self) -> bytes:
        """All series as text."""
        return "".join(f"{line}\n" for line in self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        requests = sorted(self._requests.items())
        yield from _series(
            "fairlead_requests_total", "counter", "Answers by route and status.",
            (({"route": route, "code": str(code)}, count) for (route, code), count in requests))  # fmt: skip
        errors = {route: 0 for (route, _), _ in requests}
        for (route, code), count in requests:
            errors[route] += count if code >= 500 else 0
        yield from _series(
            "fairlead_errors_total", "counter", "Answers with a status of 500 or above.",
            (({"route": route}, count) for route, count in errors.items()))  # fmt: skip
        yield from self._histogram("fairlead_request_seconds")
        yield from _series("fairlead_rows_total", "counter", "Rows scored.", [({}, self._rows)])
        yield from _series(
            "fairlead_validation_failures_total", "counter", "Values that broke a rule, by field.",
            (({"field": field}, count) for field, count in sorted(self._failures.items())))  # fmt: skip
        yield from _series(
            "fairlead_requests_in_flight", "gauge", "Requests being worked on.", [({}, self.in_flight)]
        )
        yield from _series("fairlead_ready", "gauge", "1 while ready for traffic.", [({}, int(self.ready))])
        info = [(self.model, 1)] if self.model else []
        yield from _series("fairlead_model_info", "gauge", "The model that answers.", info)
        yield from _series(
            "process_start_time_seconds", "gauge", "Start of this server, Unix time.", [({}, self._started)]
        )

    def _histogram(self, name: str) -> Iterator[str]:
        yield f"# HELP {name} Seconds to the answer, of answers with a status below 400."
        yield f"# TYPE {name} histogram"
        for route, counts in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), counts, strict=True):
                total += count
                yield f"{name}_bucket{_labels({'route': route, 'le': str(bound)})} {total}"
            yield f"{name}_sum{_labels({'route': route})} {self._seconds[route]!r}"
            yield f"{name}_count{_labels({'route': route})} {total}"


def _series(
    name: str, kind: str, says: str, samples: Iterable[tuple[Mapping[str, str], float]]
) -> Iterator[str]:
    yield f"# HELP {name} {says}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{_labels(labels)} {value!r}"


def _labels(labels: Mapping[str, str]) -> str:
    """Labels in braces, escaped.

    >>> _labels({"field": "a", "code": "200"}), _labels({})
    ('{field="a",code="200"}', '')
    """
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
