"""Lines of a segment to records, and the sequence numbers that no record has. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("prediction", "feedback", "pair", "worker")

Record = Mapping[str, Any]
Worker = tuple[str, str]
"""Pod and epoch: one process that logged."""


@dataclass(slots=True)
class Reading:
    """What was read of some segments."""

    records: list[Record] = field(default_factory=list)
    torn: int = 0
    """Lines that are no record: a kill ends the last one early."""


def read_lines(lines: Iterable[bytes]) -> Reading:
    """The records of *lines*; what is no record of a known kind is counted as torn.

    >>> reading = read_lines([b'{"kind": "worker", "pod": "a", "epoch": "1", "seq": 0}', b'{"kind": "predi', b""])
    >>> len(reading.records), reading.torn
    (1, 1)
    """
    reading = Reading()
    for line in lines:
        if not line.strip():
            continue
        record = _record(line)
        if record is None:
            reading.torn += 1
        else:
            reading.records.append(record)
    return reading


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    known = isinstance(record, dict) and record.get("kind") in KINDS and isinstance(record.get("seq"), int)
    return _with_inputs(record) if known else None


def _with_inputs(record: dict[str, Any]) -> Record:
    """*record*, with each row's inputs where it is, if the request's body was kept instead.

    >>> _with_inputs({"rows": [{"answer": [0.5]}], "asked": {"rows": [{"amount": 2}]}})
    {'rows': [{'inputs': {'amount': 2}, 'answer': [0.5]}]}
    """
    asked = record.pop("asked", None)
    if asked is not None:
        pairs = zip(asked["rows"], record["rows"], strict=True)
        record["rows"] = [{"inputs": inputs, **answered} for inputs, answered in pairs]
    return record


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Sequence numbers of one worker that no record has."""

    pod: str
    epoch: str
    first: int
    last: int

    @property
    def records(self) -> int:
        """How many records were lost."""
        return self.last - self.first + 1


class Seen:
    """Which sequence numbers of which workers were seen, in any order, any number of times. Mergeable.

    A worker's numbers begin at 1 if its first record (``begin``) was seen; otherwise older ones may have been deleted, and the
    smallest number seen is taken for the begin. They end with what its last record (``end`` or ``killed``) says; a worker
    without one may still run, or its pod was lost with its disk, and then nobody knows what came after the last number.

    >>> seen = Seen()
    >>> for number in (1, 2, 5): seen.add("fraud-0", "18a-1", number)
    >>> seen.event("fraud-0", "18a-1", "begin", 0)
    >>> seen.event("fraud-0", "18a-1", "killed", 7)
    >>> seen.gaps()
    [Gap(pod='fraud-0', epoch='18a-1', first=3, last=4), Gap(pod='fraud-0', epoch='18a-1', first=6, last=7)]
    """

    def __init__(self) -> None:
        self._ranges: dict[Worker, list[tuple[int, int]]] = {}
        self._begun: set[Worker] = set()
        self._ends: dict[Worker, int] = {}

    def add(self, pod: str, epoch: str, first: int, last: int | None = None) -> None:
        """See one number, or all from *first* to *last*."""
        ranges = self._ranges.setdefault((pod, epoch), [])
        last = first if last is None else last
        if ranges and ranges[-1][0] <= first <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], max(last, ranges[-1][1]))  # nearly always: numbers come in order
        else:
            ranges.append((first, last))

    def event(self, pod: str, epoch: str, event: str, number: int) -> None:
        """See a record of kind ``worker``; ``forgotten`` numbers were deleted on purpose and are not lost."""
        worker = (pod, epoch)
        self._ranges.setdefault(worker, [])
        if event == "begin":
            self._begun.add(worker)
        elif event == "forgotten":
            self.add(pod, epoch, number)
        else:
            self._ends[worker] = max(number, self._ends.get(worker, 0))

    def gaps(self) -> list[Gap]:
        """All gaps, by worker."""
        return [Gap(*worker, *gap) for worker in sorted(self._ranges) for gap in self._gaps_of(worker)]

    def unfinished(self) -> list[Worker]:
        """Workers whose end was not seen: what they gave out last is not known."""
        return sorted(set(self._ranges) - set(self._ends))

    def _gaps_of(self, worker: Worker) -> Iterator[tuple[int, int]]:
        ranges = sorted(self._ranges[worker])
        expected = 1 if worker in self._begun or not ranges else ranges[0][0]
        for first, last in ranges:
            if first > expected:
                yield expected, first - 1
            expected = max(expected, last + 1)
        if self._ends.get(worker, 0) >= expected:
            yield expected, self._ends[worker]
