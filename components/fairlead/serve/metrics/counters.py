"""Where one process keeps its counts: a block of memory that says itself what is in it.

The block begins with text, a line a series (kind, name, labels, help, first cell, bucket edges), and goes on with
cells, which are doubles. To count is ``cells[i] += 1.0``. If the block is a file mapped to memory, ``kill -9``
loses nothing of what was counted, and any other process can read it (:mod:`fairlead.serve.metrics.workers`).

A series has these cells: its value (the sum of what was observed, for a histogram), the Unix time of its first
registration, and for a histogram one cell a bucket, the last one for what is above all edges.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Self

import orjson

logger = logging.getLogger("fairlead.serve")

TEXT_BYTES = 256 * 1024
"""For the lines: some 1,500 series."""
CELLS = 16 * 1024
SIZE = TEXT_BYTES + 8 * CELLS
"""Bytes of a block. Memory that no series needs is never touched."""
_SPARE = 128
"""The last cells. They take what no series is left for, and nobody reads them."""

BUCKETS = 2
"""Where the buckets of a histogram begin, after its first cell."""

Kind = Literal["counter", "histogram", "gauge", "least", "info"]
"""``gauge`` is added up over processes; of ``least`` the smallest counts; ``info`` is always 1."""
LASTING: frozenset[Kind] = frozenset({"counter", "histogram"})
"""What counts beyond the end of its process."""


@dataclass(frozen=True, slots=True)
class Series:
    """What is counted."""

    kind: Kind
    name: str
    """As in the text format: that of a counter ends in ``_total``."""
    help: str
    labels: str = ""
    """Rendered once, by :func:`labels_of`."""
    edges: tuple[float, ...] = ()
    """Histogram only: upper bounds of the buckets, rising and finite."""
    signed: bool = False
    """Histogram only: values may be negative, so their sum may fall, which a sum of a histogram must not."""

    @property
    def cells(self) -> int:
        """How many cells it has."""
        return BUCKETS + len(self.edges) + 1 if self.kind == "histogram" else BUCKETS


@dataclass(slots=True)
class Reading:
    """A series and its values at one moment."""

    series: Series
    values: list[float]
    """One a process, as they were counted."""
    created: float
    """Unix time."""
    buckets: dict[float, float] = field(default_factory=dict)
    """Upper edge to what fell between it and the edge before; the last edge is infinity."""

    @property
    def key(self) -> tuple[str, str]:
        """What is one series to whoever reads the text."""
        return self.series.name, self.series.labels

    @property
    def value(self) -> float:
        """Of all processes together.

        The exact sum, rounded once. If each addition were rounded, files added in another order could give a
        sum that is smaller in the last digit, and to Prometheus a counter that falls begins again from zero.
        """
        return min(self.values) if self.series.kind in ("least", "info") else math.fsum(self.values)

    def merge(self, other: Reading) -> None:
        """Take in the same series of another process.

        Histograms with different edges, as two bundles may have had them, get the edges of both. What was
        counted without an edge is then missing below it, and right again from the next common edge on.
        """
        self.values += other.values
        self.created = min(self.created, other.created)
        for edge, count in other.buckets.items():
            self.buckets[edge] = self.buckets.get(edge, 0.0) + count

    def to_json(self) -> list[Any]:
        """A form for JSON, where infinity is null."""
        series = self.series
        kept = [series.kind, series.name, series.help, series.labels, series.signed]
        return [*kept, condensed(self.values), self.created, list(self.buckets.items())]

    @classmethod
    def from_json(cls, raw: list[Any]) -> Self:
        """The inverse of :meth:`to_json`, but for edges that no bucket has."""
        kind, name, says, labels, signed, values, created, pairs = raw
        buckets = {math.inf if edge is None else edge: count for edge, count in pairs}
        edges = tuple(sorted(edge for edge in buckets if edge != math.inf))
        return cls(Series(kind, name, says, labels, edges, signed), values, created, buckets)


def condensed(values: Iterable[float]) -> list[float]:
    """The fewest doubles with exactly the same sum; mostly one or two.

    >>> condensed([0.5, 0.25, 0.0, 0.25]), condensed([1e16, 1.0, 1.0, 1.0])
    ([1.0], [1.0000000000000004e+16, -1.0])
    """
    rest, found = sum(map(Fraction, values)), [0.0]
    while rest:
        found.append(float(rest))
        rest -= Fraction(found[-1])
    return found[1:] or found


def total(parts: Iterable[tuple[Iterable[Reading], bool]]) -> list[Reading]:
    """Sums over processes: readings, and whether their process lives. Without that, only counters count."""
    found: dict[tuple[str, str], Reading] = {}
    for readings, alive in parts:
        for reading in readings:
            if not alive and reading.series.kind not in LASTING:
                continue
            if reading.key in found:
                found[reading.key].merge(reading)
            else:
                found[reading.key] = reading
    return list(found.values())


class Store:
    """The series of one process.

    ``cells[i] += n`` is exact without a lock, in whatever thread: CPython switches threads between statements
    that loop or call, and this one does neither (a test has threads race for one cell).
    """

    __slots__ = ("_block", "_end", "_free", "_full", "_known", "_lock", "cells")

    def __init__(self) -> None:
        self._known: dict[Series, int] = {}
        self._lock = threading.Lock()
        self._end = 0
        self._free = 0
        self._full = False
        self._use(memoryview(bytearray(SIZE)))

    def _use(self, block: memoryview) -> None:
        self._block = block
        self.cells: memoryview[float] = block[TEXT_BYTES:].cast("d")

    def move_to(self, block: memoryview) -> None:
        """Go on in another block of ``SIZE`` bytes, such as a mapped file. Nothing may be counted meanwhile."""
        with self._lock:
            block[:] = self._block
            self._use(block)

    def add(self, series: Series, value: float = 0.0) -> int:
        """The first cell of *series*, which is registered with *value* if it is new."""
        with self._lock:
            first = self._known.get(series)
            if first is None:
                first = self._known[series] = self._register(series, value)
            return first

    def _register(self, series: Series, value: float) -> int:
        """Cells are prepared before the line that tells of them is written, so no reader sees half a series."""
        first, cells = self._free, series.cells
        if cells > _SPARE:
            raise ValueError(
                f"{series.name} has {len(series.edges)} edges, must have at most {_SPARE - BUCKETS - 1}"
            )
        line = _line_of(series, first)
        end = self._end + len(line)
        if end >= TEXT_BYTES or first + cells > CELLS - _SPARE:
            return self._no_room(series)
        self.cells[first] = value
        self.cells[first + 1] = time.time()
        self._block[self._end : end] = line
        self._end, self._free = end, first + cells
        return first

    def _no_room(self, series: Series) -> int:
        if not self._full:
            logger.warning(
                "no room for %s{%s}, nor for any further series: not counted", series.name, series.labels
            )
        self._full = True
        return CELLS - _SPARE

    def read(self) -> list[Reading]:
        """All series with their values."""
        return read(self._block)


def read(block: memoryview) -> list[Reading]:
    """The series in a block, which another process may be counting in.

    A line counts once it is complete and nothing before it is missing, so a process may be killed at any time
    while it writes one. Each cell is read at once: it has 8 bytes, and lies on a multiple of 8.
    """
    text = bytes(block[:TEXT_BYTES]).partition(b"\0")[0]
    cells = block[TEXT_BYTES:].cast("d")
    return [_reading(*_series_of(line), cells) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def _line_of(series: Series, first: int) -> bytes:
    kept = [series.kind, series.name, series.help, series.labels, series.edges, series.signed, first]
    return orjson.dumps(kept) + b"\n"


def _series_of(line: bytes) -> tuple[Series, int]:
    kind, name, says, labels, edges, signed, first = orjson.loads(line)
    return Series(kind, name, says, labels, tuple(edges), signed), first


def _reading(series: Series, first: int, cells: memoryview[float]) -> Reading:
    value, created, *counts = cells[first : first + series.cells].tolist()
    edges = (*series.edges, math.inf)
    buckets: dict[float, float] = dict(zip(edges, counts, strict=True)) if counts else {}
    return Reading(series, [value], created, buckets)


def labels_of(**labels: str) -> str:
    r"""Labels as both text formats write them, without braces. An empty value is the same as no label.

    >>> labels_of(field='a"b', code="200", slot="")
    'field="a\\"b",code="200"'
    """
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items() if value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Counter:
    """A count of something."""

    __slots__ = ("_cell", "_store")

    def __init__(self, store: Store, series: Series) -> None:
        self._store = store
        self._cell = store.add(series)

    def add(self, n: float = 1.0) -> None:
        """Count *n* more, from any thread; 0.1 µs."""
        self._store.cells[self._cell] += n
