"""Records to tables. The schemas are fixed: they do not depend on the model, so files of years can be read together.

``predictions`` has one row a row of a request; ``inputs`` is JSON text, because models have different fields, and
:func:`inputs_of` gives them as columns again. ``feedback`` has one row a label, ``pairs`` one a row of a request that two servers
answered, ``workers`` one an event of a writer's life. Times are UTC.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from fairlead.monitor.segments import Record

_TIME = pa.timestamp("us", tz="UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())
"""Of names that repeat: a pod, an epoch, a bundle."""
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_WHO = [
    ("pod", _NAME),
    ("epoch", _NAME),
    ("seq", pa.int64()),
    ("at", _TIME),
    ("slot", _NAME),
    ("bundle", _NAME),
]

SCHEMAS: Mapping[str, pa.Schema] = {
    "predictions": pa.schema([
        ("id", pa.string()), ("row", pa.int32()), *_WHO, ("route", _NAME), ("caller", pa.string()), ("trace", pa.string()),
        ("subject", pa.string()), ("inputs", pa.string()), ("answer", pa.list_(pa.float64())), ("seconds", pa.float64()),
    ]),
    "feedback": pa.schema([
        ("id", pa.string()), ("row", pa.int32()), *_WHO, ("received", _TIME), ("label", pa.string()), ("value", pa.float64()),
    ]),
    "pairs": pa.schema([
        ("id", pa.string()), ("row", pa.int32()), *_WHO, ("endpoint", _NAME), ("answer", pa.list_(pa.float64())),
        ("seconds", pa.float64()), ("other_bundle", _NAME), ("other_status", pa.int32()),
        ("other_answer", pa.list_(pa.float64())), ("other_seconds", pa.float64()), ("flipped", pa.bool_()),
    ]),
    "workers": pa.schema([*_WHO, ("event", _NAME)]),
}  # fmt: skip
"""By table. ``flipped`` is of the whole request; null where the other gave no answer."""

PARTITIONED_BY = {"predictions": "at", "feedback": "received", "pairs": "at", "workers": "at"}
"""The time that a row's partition is told by. A label's own time may be long ago; it is kept where it came in."""


def tables_of(records: Iterable[Record]) -> dict[str, pa.Table]:
    """The records as tables, in their order; tables without rows are left out.

    >>> record = {"kind": "feedback", "id": "a", "row": 0, "pod": "p", "epoch": "e", "seq": 1, "at": 0, "received": 5.5,
    ...           "slot": "", "bundle": "", "label": True}
    >>> tables = tables_of([record])
    >>> list(tables), tables["feedback"]["label"].to_pylist(), tables["feedback"]["at"][0].as_py().year
    (['feedback'], ['true'], 1970)
    """
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in SCHEMAS}
    for record in records:
        table, made = _ROWS[record["kind"]]
        rows[table].extend(made(record))
    return {table: _table(found, SCHEMAS[table]) for table, found in rows.items() if found}


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    columns = []
    for column in schema:
        values = [row.get(column.name) for row in rows]
        if column.type == _TIME:
            values = [None if value is None else round(value * 1e6) for value in values]
        columns.append(pa.array(values, column.type))
    return pa.table(columns, schema=schema)


def _who(record: Record) -> dict[str, Any]:
    return {name: record.get(name) for name, _ in _WHO}


def _predictions(record: Record) -> Iterator[dict[str, Any]]:
    common = _who(record) | {name: record.get(name) for name in ("id", "route", "caller", "trace", "seconds")}
    for number, row in enumerate(record["rows"]):
        inputs = _to_json(row["inputs"]) if "inputs" in row else None
        yield common | {
            "row": number,
            "subject": row.get("subject"),
            "inputs": inputs,
            "answer": row["answer"],
        }


def _feedback(record: Record) -> Iterator[dict[str, Any]]:
    label = record["label"]
    number = isinstance(label, (int, float)) and not isinstance(label, bool)
    yield _who(record) | {
        "id": record["id"], "row": record["row"], "received": record["received"],
        "label": label if isinstance(label, str) else json.dumps(label),
        "value": float(label) if number else None,
    }  # fmt: skip


def _pairs(record: Record) -> Iterator[dict[str, Any]]:
    names = ("id", "endpoint", "seconds", "other_bundle", "other_status", "other_seconds", "flipped")
    common = _who(record) | {name: record.get(name) for name in names}
    others = record.get("other_answers") or []
    for number, answer in enumerate(record["answers"]):
        other = others[number] if number < len(others) else None
        yield common | {"row": number, "answer": answer, "other_answer": other}


def _workers(record: Record) -> Iterator[dict[str, Any]]:
    yield _who(record) | {"event": record["event"]}


_ROWS = {
    "prediction": ("predictions", _predictions),
    "feedback": ("feedback", _feedback),
    "pair": ("pairs", _pairs),
    "worker": ("workers", _workers),
}


def inputs_of(predictions: pa.Table) -> pa.Table:
    """The logged inputs as columns, a row a prediction; null where a field was not logged.

    >>> inputs_of(pa.table({"inputs": ['{"amount": 1.5}', None]})).to_pylist()
    [{'amount': 1.5}, {'amount': None}]
    """
    texts = pc.fill_null(predictions["inputs"].cast(pa.string()), "{}").to_pylist()
    if not any(text != "{}" for text in texts):
        return pa.table({}).select([])
    return pj.read_json(io.BytesIO("\n".join(texts).encode()))
