"""The typical row of a model: medians and most frequent values of the rows it was trained on.

What explanations compare a row with, and what the page at ``/`` is filled with. Taken from the bundle's
``reference/profile.json``; a field the profile does not have takes the made-up value that warms the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fairlead.schema import Field, Schema, SeriesShape
from fairlead.serve.loading import example_columns

Column = Mapping[str, Any]
"""One column of a profile: kind, count, missing, and ``numbers``, ``values`` or ``times``."""


def reference_row(schema: Schema, profile: Mapping[str, Any]) -> dict[str, Any]:
    """A row as a request has it. Texts are empty: no text is typical.

    Args:
        schema: What a row has.
        profile: ``reference/profile.json``, or an empty mapping.

    >>> schema = Schema("m", (Field("amount", "integer"),), output=None)
    >>> numbers = {"quantiles": {"0.5": 12.04}}
    >>> reference_row(schema, {"columns": {"amount": {"kind": "integer", "numbers": numbers}}})
    {'amount': 12}
    """
    columns = profile.get("columns", {})
    example = {name: values[0] for name, values in example_columns(schema).items()}
    if schema.series is not None:
        return example | _typical_series(schema.series, columns)
    typical = {field.name: _typical(field, columns.get(field.name) or {}) for field in schema.fields}
    return {name: example[name] if value is None else value for name, value in typical.items()}


def _typical(field: Field, column: Column) -> Any:
    """The middle or the most frequent value; None if the profile does not know."""
    if field.kind == "text":
        return ""
    if field.kind in ("number", "integer"):
        return _within(field, _median(column))
    if field.kind == "datetime":
        return _middle(column)
    frequent = _most_frequent(column)
    if field.kind == "boolean":
        return None if frequent is None else frequent == "true"
    return frequent if frequent in field.values else None


def _typical_series(shape: SeriesShape, columns: Mapping[str, Column]) -> dict[str, Any]:
    """The most frequent series, in the middle of its time, as if it had always stood at the usual level."""
    level = _median(columns.get("value") or {})
    key = _most_frequent(columns.get("key") or {})
    found = {
        "key": key if key in shape.keys else None,
        "at": _middle(columns.get("at") or {}),
        "history": None if level is None else [level] * shape.window,
    }
    return {name: value for name, value in found.items() if value is not None}


def _median(column: Column) -> float | None:
    numbers = column.get("numbers") or {}
    median: float | None = (numbers.get("quantiles") or {}).get("0.5")
    return median


def _within(field: Field, value: float | None) -> float | int | None:
    """*value* as the field may have it: the median is known within 1 % only, and integers are whole."""
    if value is None:
        return None
    if field.minimum is not None:
        value = max(value, field.minimum)
    if field.maximum is not None:
        value = min(value, field.maximum)
    return round(value) if field.kind == "integer" else value


def _most_frequent(column: Column) -> str | None:
    """The most frequent value, the first in alphabetical order among equals."""
    counts = (column.get("values") or {}).get("counts") or []
    return min(counts, key=lambda pair: (-pair[1], pair[0]))[0] if counts else None


def _middle(column: Column) -> str | None:
    """Noon of a day in the middle of the bin that holds the median moment."""
    times = column.get("times") or {}
    bins = times.get("bins") or []
    left = sum(count for _, count in bins) / 2
    for number, count in bins:
        left -= count
        if left <= 0:
            width = times["width_days"]
            day = datetime(1970, 1, 1) + timedelta(days=number * width + width // 2)
            return day.replace(hour=12).isoformat()
    return None
