"""Columns of plain values to the arrays a model sees.

Every field becomes numbers in one float32 matrix, in schema order; text fields stay text beside it. Category codes come
from the schema, never from the data at hand, and unseen or missing values have fixed encodings. float32 because the
compiled formats compare in float32: a model that is trained on what it will later see cannot move across a threshold.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.fields import Field, Schema
from fairlead.schema.series import series_features

OTHER = -1.0
"""Code of a category that is not listed in the schema."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Encoded rows.

    Attributes:
        numbers: float32, shape (rows, len(schema.columns)); NaN is missing.
        texts: one object array of str, shape (rows,), for each text field.
    """

    numbers: NDArray[np.float32]
    texts: tuple[NDArray[np.object_], ...] = ()

    def __len__(self) -> int:
        return int(self.numbers.shape[0])

    def take(self, rows: NDArray[np.intp] | slice) -> Batch:
        """The chosen rows."""
        return Batch(self.numbers[rows], tuple(text[rows] for text in self.texts))

    def as_array(self) -> NDArray[Any]:
        """One two-dimensional array for scikit-learn: numbers first, then texts (object dtype if there are texts)."""
        if not self.texts:
            return self.numbers
        return np.column_stack([self.numbers.astype(object), *self.texts])


def encode(schema: Schema, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Batch:
    """Encode columns of equal length that have passed validation. Missing values may be None or NaN.

    Args:
        schema: What the columns mean.
        columns: Name to values, for every field of the schema; others are not looked at.
    """
    if schema.series is not None:
        return Batch(series_features(schema.series, columns))
    parts = [_encode_field(field, np.asarray(columns[field.name], dtype=object))
             for field in schema.fields if field.kind != "text"]  # fmt: skip
    rows = len(columns[schema.fields[0].name])
    numbers = np.column_stack(parts).astype(np.float32) if parts else np.empty((rows, 0), np.float32)
    texts = tuple(
        encode_text(field, columns[field.name]) for field in schema.fields if field.kind == "text"
    )
    return Batch(numbers, texts)


def encode_text(field: Field, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.object_]:
    """Text made uniform: NFKC, the field's case, missing as the empty string.

    Case is folded here and not in the model, because an ONNX graph would need the server's locale to do it.
    """
    fold = {"lower": str.lower, "upper": str.upper, "keep": str}[field.case]
    uniform = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        uniform[row] = "" if is_missing(value) else fold(unicodedata.normalize("NFKC", str(value)))
    return uniform


def is_missing(value: Any) -> bool:
    """None, NaN and pandas' NaT and NA.

    >>> is_missing(None), is_missing(float("nan")), is_missing(0), is_missing("")
    (True, True, False, False)
    """
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")  # noqa: PLR0124


def _encode_field(field: Field, values: NDArray[np.object_]) -> NDArray[np.float64]:
    if field.kind == "category":
        return _codes(field, values)
    if field.kind == "datetime":
        return _calendar(field.parts, values)
    return np.array([np.nan if is_missing(value) else float(value) for value in values], dtype=np.float64)


def _codes(field: Field, values: NDArray[np.object_]) -> NDArray[np.float64]:
    code = {value: float(position) for position, value in enumerate(field.values)}
    return np.array([np.nan if is_missing(value) else code.get(str(value), OTHER) for value in values], np.float64)


_PART = {
    "hour": lambda at: at.hour,
    "weekday": lambda at: at.weekday(),
    "day": lambda at: at.day,
    "month": lambda at: at.month,
    "weekend": lambda at: at.weekday() >= 5,
}


def _calendar(parts: Sequence[str], values: NDArray[np.object_]) -> NDArray[np.float64]:
    table = np.full((len(values), len(parts)), np.nan)
    for row, value in enumerate(values):
        if not is_missing(value):
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            table[row] = [float(_PART[part](at)) for part in parts]
    return table
