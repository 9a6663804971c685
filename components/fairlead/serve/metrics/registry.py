"""What the server counts about itself, and ``GET /metrics``.

==========================================================  ====================================================
``fairlead_requests_total{endpoint,route,code}``            answers
``fairlead_errors_total{endpoint,route}``                   answers with a status of 500 or above
``fairlead_request_seconds{endpoint,route}`` (histogram)    time to the answer, of answers below 400
``fairlead_requests_in_flight``                             requests being worked on
``fairlead_rows_total{route}``                              rows scored
``fairlead_batch_rows{route}`` (histogram)                  rows of a request
``fairlead_prediction{route}`` (histogram)                  answers, in the bins of the bundle's reference
``fairlead_predicted_labels_total{route,label}``            rows by what was called
``fairlead_validation_failures_total{field}``               values that broke a rule
``fairlead_model_info{name,version,digest,format}``         1, once the model is loaded
``fairlead_pod_info{pod,pod_uid,started}``                  1
``fairlead_ready``                                          1 while ``/readyz`` answers 200
``fairlead_worker_starts_total``                            processes that have begun to count
``process_start_time_seconds``                              since when this pod has been serving
``process_resident_memory_bytes``                           memory in use
==========================================================  ====================================================

All but ``process_…`` also have the labels ``slot`` and ``bundle``. An ``endpoint`` is a path with its variable
parts in braces. A ``route`` is live, preview or shadow: whoever looks for errors, latency or drift looks at live
only. No label is ever what a client sent. Refusals are not in the histogram of seconds: they are quicker than
answers, and would hide that answers got slower.

With several workers that share a folder, each answers with the sums of all, which never fall as long as the
folder is there, whichever worker dies. The start time is that of the worker that has served longest:

- It is the same whichever worker is asked. If each told its own, every scrape would look like a restart.
- If counters begin again from zero, it has changed: that takes the end of every process. So a reader that takes
  differences of counters may, and must, begin anew when it has changed.
- The converse does not hold: when the oldest of several workers dies, it moves on, and the sums stay. Restarts of
  workers are counted by ``fairlead_worker_starts_total``, each once.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import ServiceError
from fairlead.serve.guards.watchdog import resident_bytes
from fairlead.serve.loading import LoadedModel
from fairlead.serve.metrics.counters import BUCKETS, Counter, Kind, Reading, Series, Store, labels_of, total
from fairlead.serve.metrics.exposition import content_type_of, text_of
from fairlead.serve.metrics.predictions import PredictionCounts
from fairlead.serve.metrics.workers import Folder, Part

logger = logging.getLogger("fairlead.serve")

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency buckets. The model's objective is put in between."""
ROWS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0)
"""Upper bounds of the buckets of rows a request."""

REFRESH_SECONDS = 1.0
"""So old may a gauge of another worker be."""

_START = "process_start_time_seconds"


class Metrics:
    """All counts of one process, and their sums over the pod.

    Counting costs CPU time, by timeit under CPython 3.11 (best of nine, one core of a cloud machine):
    :meth:`observe` 0.3 µs, :meth:`enter` and :meth:`leave` 0.1 µs together, :meth:`count_rows` 0.3 µs,
    :meth:`count_answers` 0.4 µs for one row and 9 µs for a hundred. A scrape costs 0.4 ms a worker. Nothing is
    formatted and nothing locked: what a request counts is looked up by endpoint, route and status in a dict, and
    is then a position in an array.
    """

    def __init__(self, slot: str = "", pod: str = "", pod_uid: str = "", folder: Path | None = None) -> None:
        """Count in memory of this process, until :meth:`open`.

        Args:
            slot: Name of the release slot; empty where there are none.
            pod: Name of the pod.
            pod_uid: Its unique identifier.
            folder: Shared by the workers of a pod, and by nobody else; None for one worker.
        """
        self._slot = slot
        self._pod = labels_of(pod=pod, pod_uid=pod_uid)
        self._constant = labels_of(slot=slot)
        self._folder = Folder(folder) if folder is not None else None
        self._is_shared = False
        self._closed = threading.Event()
        self._store = Store()
        self._seconds: tuple[float, ...] = SECONDS
        self._answers: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._rows: dict[str, tuple[int, int]] = {}
        self._failures: dict[str, Counter] = {}
        self._predictions: PredictionCounts | None = None
        self._gauges: list[tuple[int, Callable[[], float]]] = []
        self._describe_process()

    def _describe_process(self) -> None:
        self._in_flight = self._add("gauge", "fairlead_requests_in_flight", "Requests being worked on.")
        self._ready = self._add("least", "fairlead_ready", "1 while ready for traffic.")
        self._store.add(Series("least", _START, "Since when the server runs, Unix time."), time.time())
        self.counter("fairlead_worker_starts_total", "Processes that have begun to count.").add()
        if Path("/proc/self/statm").exists():
            self.gauge("process_resident_memory_bytes", "Memory in use.", resident_bytes)

    # -------------------------------------------------------------------------------------------- life

    def open(self) -> None:
        """Count in the shared folder, if there is one, from now on.

        Called in the process that serves, before it serves: a process that only imports the service must not be
        taken for a worker. A full disk is logged and served through; the counts of this worker are then in its
        own answers only.

        Raises:
            ServiceError: The folder cannot be written.
        """
        if self._folder is None or self._is_shared:
            return
        try:
            self._folder.join(self._store)
        except OSError as cause:
            if cause.errno in (errno.ENOSPC, errno.EDQUOT):
                logger.error("no room for counts: %s; this worker counts apart", cause)  # noqa: TRY400 - said in full
                return
            raise ServiceError(
                f"FAIRLEAD_METRICS_FOLDER cannot be used: {cause}",
                hint="Give a folder on a local disk that the server may write, or leave it out with one worker.",
            ) from cause
        self._is_shared = True
        threading.Thread(target=self._keep_fresh, name="fairlead-metrics", daemon=True).start()

    def close(self) -> None:
        """Count as a worker that has ended."""
        self._closed.set()
        if self._folder is not None:
            self._folder.leave()

    def attach(self, model: LoadedModel) -> None:
        """Name the model that answers, count its answers, and put its objective into the latency buckets."""
        self.open()
        self._constant = labels_of(slot=self._slot, bundle=model.version)
        named = labels_of(name=model.name, version=model.version, digest=model.digest, format=model.format)
        self._set(
            self._store.add(Series("info", "fairlead_model_info", "The model that answers.", named)), 1.0
        )
        self._predictions = PredictionCounts(self._store, model.schema.output, model.reference)
        self._seconds = tuple(sorted({*SECONDS, model.rules.objective_seconds}))
        self._answers = {}

    @property
    def ready(self) -> bool:
        """Whether this worker wants traffic. The pod is ready if all of its workers are."""
        return bool(self._store.cells[self._ready])

    @ready.setter
    def ready(self, value: bool) -> None:
        self._set(self._ready, float(value))

    # ---------------------------------------------------------------------------------------- counting

    def enter(self) -> None:
        """A request has come."""
        self._store.cells[self._in_flight] += 1.0

    def leave(self) -> None:
        """It is answered, or given up."""
        self._store.cells[self._in_flight] -= 1.0

    def observe(self, endpoint: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        answers = self._answers.get((endpoint, route, status))
        if answers is None:
            answers = self._register_answers(endpoint, route, status)
        first, more = answers
        cells = self._store.cells
        cells[first] += 1.0
        if status < 400:
            cells[more] += seconds
            cells[more + BUCKETS + bisect_left(self._seconds, seconds)] += 1.0
        elif status >= 500:
            cells[more] += 1.0

    def _register_answers(self, endpoint: str, route: str, status: int) -> tuple[int, int]:
        """Cells of the count, and of the histogram or the errors. Errors begin at 0, so that shares can be had."""
        where = labels_of(endpoint=endpoint, route=route)
        coded = labels_of(endpoint=endpoint, route=route, code=str(status))
        first = self._add(
            "counter", "fairlead_requests_total", "Answers by endpoint, route and status.", coded
        )
        more = self._add("counter", "fairlead_errors_total", "Answers with a status of 500 or above.", where)
        if status < 400:
            says = "Seconds to the answer, of answers with a status below 400."
            more = self._add("histogram", "fairlead_request_seconds", says, where, self._seconds)
        self._answers[endpoint, route, status] = first, more
        return first, more

    def count_rows(self, rows: int, route: str = "live") -> None:
        """Count the rows of one request, which were scored."""
        found = self._rows.get(route)
        if found is None:
            found = self._register_rows(route)
        first, batches = found
        cells = self._store.cells
        cells[first] += rows
        cells[batches] += rows
        cells[batches + BUCKETS + bisect_left(ROWS, rows)] += 1.0

    def _register_rows(self, route: str) -> tuple[int, int]:
        where = labels_of(route=route)
        first = self._add("counter", "fairlead_rows_total", "Rows scored.", where)
        batches = self._add("histogram", "fairlead_batch_rows", "Rows of a request.", where, ROWS)
        self._rows[route] = first, batches
        return first, batches

    def count_answers(self, route: str, answers: NDArray[np.float64]) -> None:
        """Count what the model answered, shape (rows, k) of :mod:`fairlead.schema.answers`."""
        if self._predictions is not None:
            self._predictions.count(route, answers)

    def count_failures(self, failures: Mapping[str, int]) -> None:
        """Count values that broke a rule, by field of the schema. The caller names unknown fields all alike."""
        for field, count in failures.items():
            if field not in self._failures:
                says = "Values that broke a rule, by field."
                self._failures[field] = self.counter("fairlead_validation_failures_total", says, field=field)
            self._failures[field].add(count)

    # ------------------------------------------------------------------------------- series of other parts

    def counter(self, name: str, says: str, **labels: str) -> Counter:
        """A counter, which starts at 0. Its name ends in ``_total``; the same name and labels are the same one.

        >>> Metrics().counter("fairlead_log_dropped_total", "Records that were not kept.", reason="queue").add(2)
        """
        if not name.endswith("_total"):
            raise ValueError(f"a counter's name ends in _total, and {name!r} does not")
        return Counter(self._store, Series("counter", name, says, labels_of(**labels)))

    def gauge(
        self,
        name: str,
        says: str,
        read: Callable[[], float],
        *,
        merge: Literal["sum", "least"] = "sum",
        **labels: str,
    ) -> None:
        """A value that *read* tells, at a scrape, or once a second for scrapes of other workers.

        Args:
            name: Of the series.
            says: Its help.
            read: Quick, and fit to be called from another thread. If it raises, the last value stays.
            merge: How values of several workers become one.
            labels: Of the series, no value from a client.
        """
        kind: Kind = "gauge" if merge == "sum" else "least"
        self._gauges.append((self._add(kind, name, says, labels_of(**labels)), read))

    # ---------------------------------------------------------------------------------------- answering

    def render(self, accept: bytes = b"") -> tuple[bytes, bytes]:
        """All series of the pod as text, and its content type, for an ``Accept`` header."""
        content_type = content_type_of(accept)
        self._refresh()
        readings = total(self._parts())
        readings += [self._pod_info(one) for one in readings if one.series.name == _START]
        return text_of(readings, self._constant, content_type), content_type

    def _parts(self) -> list[Part]:
        others = self._folder.read() if self._folder is not None else []
        return others if self._is_shared else [*others, (self._store.read(), True)]

    def _pod_info(self, start: Reading) -> Reading:
        started = datetime.fromtimestamp(start.value, UTC).isoformat(timespec="milliseconds")
        labels = ",".join(filter(None, (self._pod, labels_of(started=started))))
        return Reading(
            Series("info", "fairlead_pod_info", "The pod that answers.", labels), [1.0], start.created
        )

    def _refresh(self) -> None:
        for cell, read in self._gauges:
            try:
                self._set(cell, read())
            except Exception:
                logger.exception("a gauge could not be read")

    def _keep_fresh(self) -> None:
        while not self._closed.wait(REFRESH_SECONDS):
            self._refresh()

    def _add(self, kind: Kind, name: str, says: str, labels: str = "", edges: tuple[float, ...] = ()) -> int:
        return self._store.add(Series(kind, name, says, labels, edges))

    def _set(self, cell: int, value: float) -> None:
        self._store.cells[cell] = value
