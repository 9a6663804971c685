"""Which file a record belongs to, and which segments make a file. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from fairlead.monitor.tables import PARTITIONED_BY


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A finished segment."""

    name: str
    """Names sort by time."""
    opened: float
    """Unix time of its begin."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large files should become: small ones are slow to read, large ones are late."""

    bytes: int = 32 << 20
    """Of segments that make a file; JSON lines of a model with 30 fields become Parquet of about an eighth."""
    seconds: float = 300.0
    """Segments that are older are shipped, however few."""


def next_batch(waiting: Sequence[Waiting], sizes: Sizes, now: float) -> list[Waiting]:
    """The oldest segments that are to be shipped together now; empty if it is too early.

    A batch is as many as fit into ``sizes.bytes``, at least one. It goes when it is full, or when its oldest segment is
    ``sizes.seconds`` old.

    >>> sizes = Sizes(bytes=100, seconds=60)
    >>> two = [Waiting("a", opened=0, bytes=40), Waiting("b", opened=30, bytes=40)]
    >>> [len(next_batch(two, sizes, now)) for now in (50, 60)]
    [0, 2]
    >>> [segment.name for segment in next_batch([*two, Waiting("c", opened=45, bytes=40)], sizes, now=50)]
    ['a', 'b']
    """
    batch: list[Waiting] = []
    total = 0
    for segment in sorted(waiting):
        if batch and total + segment.bytes > sizes.bytes:
            return batch
        batch.append(segment)
        total += segment.bytes
    due = batch and (total >= sizes.bytes or now - batch[0].opened >= sizes.seconds)
    return batch if due else []


def batch_name(segments: Sequence[str]) -> str:
    """The name of what these segments become: the same for the same ones, another for any others.

    >>> batch_name(["b", "a"]) == batch_name(["a", "b"]), batch_name(["a"])
    (True, 'ca978112ca1bbdcafac231b39a23dc4d')
    """
    return hashlib.sha256("\n".join(sorted(segments)).encode()).hexdigest()[:32]


def folder_of(table: str, hour: int) -> str:
    """The partition of an hour, counted from 1970.

    >>> folder_of("predictions", 498702)
    'predictions/date=2026-11-22/hour=06'
    """
    at = datetime.fromtimestamp(hour * 3600, UTC)
    return f"{table}/date={at:%Y-%m-%d}/hour={at:%H}"


def partitioned(table: str, rows: pa.Table) -> dict[str, pa.Table]:
    """The rows of a table by the folder they belong to, in their order."""
    hours = pc.cast(pc.floor_temporal(rows[PARTITIONED_BY[table]], unit="hour"), pa.int64())
    return {
        folder_of(table, hour // 3_600_000_000): rows.filter(pc.equal(hours, hour))
        for hour in sorted(pc.unique(hours).to_pylist())
    }
