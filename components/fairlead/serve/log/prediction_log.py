"""The prediction log: one JSON line a scored request, a label or a shadow pair, written behind the requests' back.

A small request's line is made when its answer has been sent, and put into a bounded queue; a thread empties the queue
twenty times a second and appends what it held with one write. (Made in the thread, a line costs five times as much: the
two threads would take the interpreter from each other at every call of the system.) Of a large request the queue gets
what the line is made of, and the thread makes it. Nothing here ever makes a request wait or fail; what cannot be kept is
dropped and counted in ``fairlead_log_dropped_total`` by reason:

===========  ================================================================================
``queue``    the queue is full: more comes in than the thread can write
``disk``     the same because the disk is full or the folder cannot be written; it is tried again
``rate``     beyond ``FAIRLEAD_LOG_RATE``
``encode``   the record is no JSON (a number beyond 64 bits, half a surrogate pair)
``kept``     deleted unread, the oldest first, beyond ``FAIRLEAD_LOG_KEEP_BYTES``
``removed``  somebody removed the segment that was being written
``closed``   it came after the log was closed, or the time to write it out was over
===========  ================================================================================

Every record has the pod, the worker's epoch (another one after every start) and a number: 1, 2, … in the order
of arrival, given before anything can drop the record. So a missing number is a lost record, and readers see it
(:mod:`fairlead.monitor.segments`). Requests that sampling left out get no number. Copies that came from a shadow
are not logged: the pair is, by the server that sent the copy.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zlib import crc32

import orjson

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.guards.admission import INLINE_BYTES
from fairlead.serve.http import Answer, Request
from fairlead.serve.log.files import new_epoch, safe_pod
from fairlead.serve.log.privacy import Privacy, checked_salt
from fairlead.serve.log.records import Recorder
from fairlead.serve.log.writer import Bounds, SegmentWriter, finish_quietly
from fairlead.serve.pace import Pace
from fairlead.serve.rules import LogRules

if TYPE_CHECKING:
    from fairlead.serve.metrics.registry import Metrics

logger = logging.getLogger("fairlead.serve")

_Make = Callable[..., dict[str, Any]]
REASONS = ("queue", "disk", "rate", "encode", "kept", "removed", "closed")
_LINES_AT_ONCE = 4096
_RETRY_SECONDS = 1.0
_ROW_BYTES = 256
"""What a row of a large request counts for beside its share of the body, which says little where it came in binary form."""
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


class _Waiting(NamedTuple):
    """A record in the queue."""

    number: int
    size: int
    """What it counts for, in bytes."""
    line: bytes | Callable[[], bytes | None]
    """The line, or what makes it."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where the log goes and how much of the machine it may take."""

    folder: Path
    queue: int = 10_000
    """Records that wait; half a second of the highest rate one core serves."""
    queue_bytes: int = 8 << 20
    """Bytes that wait: of lines; of large requests, whose lines are still to be made, of their bodies and a little for each row.
    Parsed these take five times as much."""
    rate: float = 0.0
    """Records a second of one worker; 0: all."""
    wake_seconds: float = 0.05
    """Between two writes. A killed worker loses as much, and the reader is told so."""
    bounds: Bounds = field(default_factory=Bounds)
    salt: bytes | None = None
    """Of hashes; see :mod:`fairlead.serve.log.privacy`."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self | None:
        """Read ``FAIRLEAD_LOG_FOLDER`` (not set: no log) and ``FAIRLEAD_LOG_…``.

        Raises:
            ProjectError: A variable has no value of its kind, or the salt cannot be used.
        """
        folder = env.path("FAIRLEAD_LOG_FOLDER")
        if folder is None:
            return None
        usual = Bounds()
        return cls(
            folder=folder,
            queue=env.whole("FAIRLEAD_LOG_QUEUE", 10_000, low=1),
            queue_bytes=env.whole("FAIRLEAD_LOG_QUEUE_BYTES", 8 << 20, low=1),
            rate=env.number("FAIRLEAD_LOG_RATE", 0.0, low=0.0),
            wake_seconds=env.number("FAIRLEAD_LOG_WAKE_SECONDS", 0.05, low=0.001, high=60.0),
            bounds=Bounds(
                segment_bytes=env.whole("FAIRLEAD_LOG_SEGMENT_BYTES", usual.segment_bytes, low=1),
                segment_seconds=env.number("FAIRLEAD_LOG_SEGMENT_SECONDS", usual.segment_seconds, low=0.01),
                keep_bytes=env.whole("FAIRLEAD_LOG_KEEP_BYTES", usual.keep_bytes, low=0),
            ),
            salt=_salt_of(env.file("FAIRLEAD_LOG_SALT_FILE")),
        )


def _salt_of(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return checked_salt(path.read_bytes(), f"FAIRLEAD_LOG_SALT_FILE ({path})")
    except OSError as cause:
        raise ProjectError(f"FAIRLEAD_LOG_SALT_FILE ({path}) cannot be read: {cause.strerror}") from cause


class PredictionLog:
    """Keeps what was asked and answered. :meth:`observe`, :meth:`feedback` and :meth:`pair` return at once."""

    def __init__(
        self,
        settings: LogSettings,
        rules: LogRules,
        who: Mapping[str, str],
        metrics: Metrics,
        fields: Collection[str] = (),
    ) -> None:
        """Prepare; nothing is written before :meth:`start`.

        Args:
            settings: Where to, how much.
            rules: What the project lets be kept; they come with the bundle.
            who: ``slot``, ``bundle`` and ``pod`` of this process.
            metrics: Gets the counters.
            fields: All that a request's rows can have. Where the rules keep them all, bodies are kept as they came.
        """
        self.epoch = new_epoch()
        self._settings = settings
        self._privacy = Privacy(rules, settings.salt)
        pod = safe_pod(who.get("pod", ""))
        named = {
            "pod": pod,
            "epoch": self.epoch,
            "slot": who.get("slot", ""),
            "bundle": who.get("bundle", ""),
        }
        self._recorder = Recorder(named, self._privacy, whole=self._privacy.keeps_all(fields))
        self._prediction = self._recorder.prediction  # looked up once
        # What privacy remembers of the last row is not shared between threads.
        self._large_prediction = Recorder(named, Privacy(rules, settings.salt)).prediction
        self._below = int(rules.sample * 2**32)
        self._samples = rules.sample < 1.0
        self._dropped = {
            reason: metrics.counter(
                "fairlead_log_dropped_total", "Records that are not in the log, by reason.", reason=reason
            )
            for reason in REASONS
        }
        self._written = metrics.counter("fairlead_log_records_total", "Records written to the log.")
        self._faults = metrics.counter("fairlead_log_faults_total", "Failed writes; each is tried again.")
        self._queue: deque[_Waiting] = deque()
        metrics.gauge(
            "fairlead_log_waiting", "Records that wait to be written.", lambda: float(len(self._queue))
        )
        self._numbers = itertools.count(1)
        self._last: Any = [0]
        self._came, self._went = 0, 0  # bytes; each is written by one side only, so neither needs a lock
        self._pace = Pace(settings.rate)
        self._failing = False
        self._retry_at = 0.0
        self._unwritten: tuple[bytes, int, int] | None = None
        self._accepts = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._writer = SegmentWriter(settings.folder, pod, self.epoch, settings.bounds, self._count_lost)

    # --------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Begin to write. A folder that cannot be written is said, counted and tried again: it stops nothing."""
        for note in self._privacy.notes:
            logger.warning("prediction log: %s", note)
        self._attempt(self._enter)
        self._accepts = True
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Write out what waits and finish the segment, within *timeout* seconds."""
        self._accepts = False
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    # ------------------------------------------------------------------------------------ request's side

    def observe(self, request: Request, endpoint: str, answer: Answer, at: float, seconds: float) -> None:  # noqa: ARG002 - an observer
        """Log a scored answer; see :data:`fairlead.serve.http.Observer`."""
        scored = answer.scored
        if scored is None or request.route == "shadow":
            return
        identity = request.identity
        if self._samples and crc32(identity.encode()) >= self._below:
            return
        number = self._next()
        if not self._pace.allows(at):
            self._dropped["rate"].add()
            return
        rows = scored.rows
        size = len(request.body) + _ROW_BYTES * len(rows)
        what = (
            number,
            at,
            identity,
            request.route,
            request.caller,
            scored,
            seconds,
            request.headers,
        )
        if size <= INLINE_BYTES or self._recorder.copies(scored):
            self._put_line(number, self._prediction, what)
        else:
            self._put(_Waiting(number, size, lambda: self._line(self._large_prediction, what)))

    def feedback(self, record: Mapping[str, Any]) -> bool:
        """Log a label; whether it could be taken: a dropped one is counted.

        Args:
            record: ``id`` of the request, ``row`` in it, ``label``, and ``at``, when the label became known (ISO 8601 or Unix
                time).
        """
        number = self._next()
        return self._put_line(number, self._recorder.feedback, (number, time.time(), record))

    def pair(self, record: Mapping[str, Any]) -> bool:
        """Log two servers' answers to one request, as :func:`fairlead.serve.shadow.pairs.pair_record` puts them."""
        number = self._next()
        return self._put_line(number, self._recorder.pair, (number, time.time(), record))

    def _next(self) -> int:
        """The next number; the last one is remembered beyond a kill."""
        number = next(self._numbers)
        self._last[0] = number
        return number

    def _put_line(self, number: int, make: _Make, what: tuple[Any, ...]) -> bool:
        line = self._line(make, what)
        return line is not None and self._put(_Waiting(number, len(line), line))

    def _line(self, make: _Make, what: tuple[Any, ...]) -> bytes | None:
        """A record as a line; None, and counted, if it is no JSON: whatever a client can put into a row ends nothing."""
        try:
            return orjson.dumps(make(*what), option=_OPTIONS)
        except Exception:
            self._dropped["encode"].add()
            return None

    def _put(self, record: _Waiting) -> bool:
        waiting, size = len(self._queue), record.size
        if waiting and (
            waiting >= self._settings.queue or self._came - self._went + size > self._settings.queue_bytes
        ):
            self._dropped["disk" if self._failing else "queue"].add()
            return False
        if not self._accepts:
            self._dropped["closed"].add()
            return False
        self._came += size
        self._queue.append(record)
        return True

    # ------------------------------------------------------------------------------------ thread's side

    def _run(self) -> None:
        while not self._closing.wait(self._settings.wake_seconds):
            if time.monotonic() >= self._retry_at:
                self._attempt(self._wake)
        self._attempt(self._wake)
        self._attempt(self._leave)
        self._dropped["closed"].add(len(self._queue) + (self._unwritten[2] if self._unwritten else 0))

    def _attempt(self, action: Any) -> None:
        """Do a piece of the thread's work. The thread outlives whatever goes wrong with it."""
        try:
            action()
            self._failing, self._retry_at = False, 0.0
        except OSError as fault:
            self._faults.add()
            if not self._failing:
                logger.warning(
                    "prediction log: %s cannot be written (%s); trying again", self._settings.folder, fault
                )
            self._failing = True
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            finish_quietly(self._writer)
        except Exception:
            logger.exception("prediction log: a write failed")

    def _enter(self) -> None:
        """Take a place in the folder, and from then on keep the last number where a kill does not reach it."""
        kept = self._writer.enter(self._last[0], time.time()).last
        if kept is not self._last:
            given_out, self._last = self._last, kept
            kept[0] = max(kept[0], given_out[0])

    def _wake(self) -> None:
        """Write what waits, and finish the segment if it is time."""
        self._enter()
        while self._unwritten or self._queue:
            self._unwritten = self._unwritten or self._lines()
            lines, first, records = self._unwritten
            if lines:
                self._writer.write(lines, first, records, time.time())
            self._unwritten = None
            self._written.add(records)
        self._writer.rotate(time.time())

    def _leave(self) -> None:
        self._writer.close(self._last[0], time.time())

    def _lines(self) -> tuple[bytes, int, int]:
        """Lines of what waits, the first one's number, and how many there are."""
        lines: list[bytes] = []
        first = self._queue[0].number
        for _ in range(min(len(self._queue), _LINES_AT_ONCE)):
            _, size, made = self._queue.popleft()
            self._went += size
            line = made if isinstance(made, bytes) else made()
            if line is not None:
                lines.append(line)
            if not isinstance(made, bytes):
                time.sleep(0)  # let go of the interpreter, so that a request can be answered
        return b"".join(lines), first, len(lines)

    def _count_lost(self, reason: str, records: int) -> None:
        self._dropped[reason].add(records)
