"""Batches of a useful size: small ones joined, large ones cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

ROWS = 65_536
"""Rows of a batch: enough that the cost a batch does not matter, few enough that ten columns of them take some 10 MiB."""
BYTES = 32 << 20
"""Where rows are long, a batch ends after this many bytes."""


def coalesced(batches: Iterable[pa.RecordBatch], rows: int = ROWS) -> Iterator[pa.RecordBatch]:
    """Join neighbours with the same columns until there are about *rows* rows, and cut what has more.

    Neighbours with different columns are never joined: a column that a file lacks must be noticed, not filled in.
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if waiting and _columns(batch) != _columns(waiting[0]):
            yield _joined(waiting)
            waiting = []
        for start in range(0, batch.num_rows, rows):
            waiting.append(batch.slice(start, rows))
            if (
                sum(part.num_rows for part in waiting) >= rows
                or sum(part.nbytes for part in waiting) >= BYTES
            ):
                yield _joined(waiting)
                waiting = []
    if waiting:
        yield _joined(waiting)


def batch_of(columns: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
    """A batch from Python values. A column of mixed types becomes text, nested values become JSON."""
    return pa.RecordBatch.from_pydict({name: _array(values) for name, values in columns.items()})


def _columns(batch: pa.RecordBatch) -> list[tuple[str, pa.DataType]]:
    return sorted(((field.name, field.type) for field in batch.schema), key=lambda pair: pair[0])


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(parts) == 1:
        return parts[0]
    order = parts[0].schema.names
    table = pa.Table.from_batches([part.select(order) for part in parts])
    [batch] = table.combine_chunks().to_batches()
    return batch


def _array(values: Sequence[Any]) -> pa.Array:
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([_text(value) for value in values], pa.string())
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        return pa.array([_text(value) for value in values], pa.string())
    return array


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="replace")
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)
