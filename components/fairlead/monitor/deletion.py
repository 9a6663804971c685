"""Rows that must go: because a person asks for it, or because they are old.

A file is written anew without the rows and takes the old one's place at once. A person's labels and pairs go first and the
predictions last: these alone tell which labels are whose, so that after a kill the same call finds the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fairlead.monitor.partitions import partitioned
from fairlead.monitor.retention import expired
from fairlead.monitor.shipping import parquet_of, read_table
from fairlead.monitor.tables import SCHEMAS
from fairlead.monitor.target import Target


@dataclass(slots=True)
class Forgotten:
    """What was removed, rows by table."""

    rows: dict[str, int] = field(default_factory=lambda: {"predictions": 0, "feedback": 0, "pairs": 0})
    files: int = 0
    """Written anew, or deleted because nothing was left in them."""


def forget(target: Target, subjects: Iterable[str]) -> Forgotten:
    """Delete all rows of a person, known by the hashes of the subject's field (one a salt that was ever in use).

    What is in no file yet is not found: segments that wait to be shipped come in later.
    """
    wanted = pa.array(sorted(set(subjects)), pa.string())
    names = target.names()
    holding = {
        name: keys
        for name in names
        if name.startswith("predictions/") and len(keys := _keys_of(target, name, wanted))
    }
    done = Forgotten()
    if not holding:
        return done
    keys = pa.concat_arrays([chunk for found in holding.values() for chunk in found.chunks])
    for name in names:
        if name.startswith(("feedback/", "pairs/")):
            _remove(target, name, lambda rows: pc.is_in(row_keys(rows), keys), done)
    for name in holding:
        _remove(target, name, lambda rows: pc.is_in(rows["subject"], wanted), done)
    return done


def row_keys(rows: pa.Table) -> pa.ChunkedArray:
    """A text for each row that says which row of which request it is about."""
    return pc.binary_join_element_wise(pc.cast(rows["row"], pa.string()), rows["id"], " ")


def _keys_of(target: Target, name: str, subjects: pa.Array) -> pa.ChunkedArray:
    rows = read_table(target, name, ["id", "row", "subject"])
    return row_keys(rows.filter(pc.is_in(rows["subject"], subjects)))


def _remove(target: Target, name: str, chosen: Callable[[pa.Table], Any], done: Forgotten) -> None:
    rows = read_table(target, name)
    gone = chosen(rows)
    removed = rows.filter(gone)
    if not len(removed):
        return
    kept = rows.filter(pc.invert(gone))
    _say_not_lost(target, name, kept, removed)
    if len(kept):
        target.write(name, parquet_of(kept))
    else:
        target.delete(name)
    done.rows[name.partition("/")[0]] += len(removed)
    done.files += 1


def _say_not_lost(target: Target, name: str, kept: pa.Table, removed: pa.Table) -> None:
    """Keep the sequence numbers that no row has any more, or readers would take them for records that were lost."""
    columns = SCHEMAS["workers"].names[:-1]
    gone = removed.select(columns).filter(
        pc.invert(pc.is_in(_numbers(removed), _numbers(kept).combine_chunks()))
    )
    if not len(gone):
        return
    events = gone.append_column("event", pa.array(["forgotten"] * len(gone), pa.string())).cast(
        SCHEMAS["workers"]
    )
    stem = name.rpartition("/")[2].removesuffix(".parquet")
    kind = name.partition("/")[0]
    for folder, part in partitioned("workers", events).items():
        at = f"{folder}/{stem}-forgotten-{kind}.parquet"
        before = [read_table(target, at)] if at in target.names(folder) else []
        target.write(at, parquet_of(pa.concat_tables([*before, part])))


def _numbers(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(
        pc.cast(rows["pod"], pa.string()),
        pc.cast(rows["epoch"], pa.string()),
        pc.cast(rows["seq"], pa.string()),
        " ",
    )


def delete_expired(target: Target, now: float, keep_days: float) -> int:
    """Delete the files in which all is older than *keep_days*; returns how many."""
    old = expired(target.names(), now, keep_days)
    for name in old:
        target.delete(name)
    return len(old)
