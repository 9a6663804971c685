"""Test rows as requests, so that whoever gets the model has something valid to send."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from fairlead.schema import Schema
from fairlead.schema.encode import is_missing
from fairlead.schema.series import REQUEST_FIELDS

EXAMPLES = 3
"""How many rows are kept: enough for a batch, few enough to read."""


def example_requests(schema: Schema, columns: Mapping[str, Sequence[Any]], most: int = EXAMPLES) -> str:
    """The first rows as the JSON body of a ``/predict`` request.

    >>> from fairlead.schema import Field, Output
    >>> schema = Schema("s", (Field("age", "integer"), Field("at", "datetime")), Output("regression"))
    >>> print(example_requests(schema, {"age": [3.0], "at": [np.datetime64("2026-01-02T03:04")]}))
    {"rows": [{"age": 3, "at": "2026-01-02T03:04:00"}]}
    <BLANKLINE>
    """
    integers = {field.name for field in schema.fields if field.kind == "integer"}
    names = REQUEST_FIELDS if schema.series is not None else tuple(field.name for field in schema.fields)
    count = min(most, len(columns[names[0]]))
    rows = [{name: _plain(columns[name][row], name in integers) for name in names} for row in range(count)]
    return json.dumps({"rows": rows}, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any, whole: bool) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_missing(value) or (isinstance(value, np.datetime64) and np.isnat(value)):
        return None
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[s]").item()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, date):  # a datetime too
        return value.isoformat()
    return int(value) if whole else value
