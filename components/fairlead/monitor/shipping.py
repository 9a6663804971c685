"""Finished segments of a folder become Parquet files of a target, each record once, whatever is killed when.

Names of folders are the state, and renaming is the step, so there is nothing to get out of step::

    SEGMENT.jsonl …   →  .claimed/   segments that will be shipped together; some may be in already
    .claimed/         →  .batch/     complete: what the files hold, and so their names, is fixed
    upload each file                 again after a kill: the same names and the same content
    .batch/           →  .shipped/   all files are there
    remove .shipped/

The writer deletes old segments where a disk fills up (``FAIRLEAD_LOG_KEEP_BYTES``), but none that are claimed. One shipper works
on a folder, others are refused; any number work on a target.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fairlead.errors import Conflict
from fairlead.monitor.partitions import Sizes, Waiting, batch_name, next_batch, partitioned
from fairlead.monitor.segments import Record, read_lines
from fairlead.monitor.tables import SCHEMAS, tables_of
from fairlead.monitor.target import Target
from fairlead.serve.log.files import FINISHED, SegmentName, finish_dead

_CLAIMED, _BATCH, _SHIPPED, _LOCK = ".claimed", ".batch", ".shipped", ".shipper"
_LINES_AT_ONCE = 4096
"""Records that are Python objects at one time, some 20 MB; as Arrow they take a tenth."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """A batch that is in the target."""

    segments: int
    records: int
    torn: int
    """Lines that were no record."""
    files: tuple[str, ...]
    bytes: int


def ship(
    folder: Path, target: Target, sizes: Sizes, now: float, *, everything: bool = False
) -> Iterator[Shipped]:
    """Ship what is due, batch by batch, beginning with what a killed shipper left.

    Args:
        folder: Where the prediction log writes.
        target: Where the tables are.
        sizes: When segments are due.
        now: Unix time.
        everything: All that is finished is due.

    Raises:
        Conflict: Another shipper works on the folder.
        ServiceError: The target cannot be written. Nothing is lost: run again.
        OSError: The folder cannot.
    """
    with _alone(folder):
        finish_dead(folder)
        yield from _resumed(folder, target)
        while batch := next_batch(_waiting(folder), sizes, float("inf") if everything else now):
            (folder / _CLAIMED).mkdir()
            for segment in batch:
                with suppress(FileNotFoundError):  # deleted by the writer, who has too many
                    (folder / segment.name).rename(folder / _CLAIMED / segment.name)
            yield from _resumed(folder, target)


def waiting_bytes(folder: Path) -> int:
    """Bytes that are finished and not shipped."""
    return sum(segment.bytes for segment in _waiting(folder))


def _waiting(folder: Path) -> list[Waiting]:
    found = []
    for path in folder.glob(f"*{FINISHED}"):
        name = SegmentName.parse(path.name)
        with suppress(FileNotFoundError):
            if name is not None:
                found.append(Waiting(path.name, name.at, path.stat().st_size))
    return found


def _resumed(folder: Path, target: Target) -> Iterator[Shipped]:
    """Go on from whichever step was the last."""
    claimed, batch, shipped = (folder / name for name in (_CLAIMED, _BATCH, _SHIPPED))
    shutil.rmtree(shipped, ignore_errors=not shipped.exists())
    if claimed.exists() and not batch.exists():
        claimed.rename(batch)
    if batch.exists():
        for path in (batch, folder):
            _sync(path)  # else a power cut could undo the renaming, but not the upload
        if segments := sorted(batch.iterdir()):
            yield _upload(segments, target)
        batch.rename(shipped)
        shutil.rmtree(shipped)
    if claimed.exists():
        yield from _resumed(folder, target)


def _upload(segments: list[Path], target: Target) -> Shipped:
    name = batch_name([path.name for path in segments])
    files: dict[str, list[pa.Table]] = defaultdict(list)
    records = torn = 0
    for path in segments:
        for tables, count, bad in _read(path):
            records += count
            torn += bad
            for table, rows in tables.items():
                for where, part in partitioned(table, rows).items():
                    files[f"{where}/{name}.parquet"].append(part)
    names = sorted(files)
    written = sum(_write(target, file, files.pop(file)) for file in names)
    return Shipped(len(segments), records, torn, tuple(names), written)


def _write(target: Target, name: str, parts: list[pa.Table]) -> int:
    content = parquet_of(pa.concat_tables(parts))
    target.write(name, content)
    return int(content.size)


def parquet_of(rows: pa.Table) -> pa.Buffer:
    """A Parquet file. The same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows.unify_dictionaries(), sink, compression="zstd")
    return sink.getvalue()


def _read(path: Path) -> Iterator[tuple[dict[str, pa.Table], int, int]]:
    """A segment as tables, piece by piece, with how many records and how many torn lines each had."""
    with path.open("rb") as lines:
        while some := list(islice(lines, _LINES_AT_ONCE)):
            reading = read_lines(some)
            tables, bad = _tables(reading.records)
            yield tables, len(reading.records) - bad, reading.torn + bad


_NO_RECORD = (pa.ArrowException, KeyError, TypeError, ValueError, AttributeError, OverflowError)


def _tables(records: list[Record]) -> tuple[dict[str, pa.Table], int]:
    """The records as tables, and how many are in none because they do not fit: one must not hold up the others."""
    try:
        return tables_of(records), 0
    except _NO_RECORD:
        good = [record for record in records if _fits(record)]
        return tables_of(good), len(records) - len(good)


def _fits(record: Record) -> bool:
    try:
        tables_of([record])
    except _NO_RECORD:
        return False
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise Conflict(f"another process ships {folder}", hint="Leave the work to it.") from cause
        yield


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_table(target: Target, name: str, columns: list[str] | None = None) -> pa.Table:
    """A file of the target, or some of its columns. The file's name begins with the table's."""
    schema = SCHEMAS[name.partition("/")[0]]
    with target.open(name) as file:
        return pq.read_table(file, columns=columns).select(columns or schema.names)
