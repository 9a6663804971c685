"""Columns of plain values to the arrays a model sees.

Every field becomes numbers in one float32 matrix, in schema order; text fields stay text beside it. Category
codes come from the schema, never from the data at hand, and unseen or missing values have fixed encodings.
float32 because the compiled formats compare in float32: a model that is trained on what it will later see
cannot move across a threshold.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.fields import Field, Schema
from fairlead.schema.series import series_features

OTHER = -1.0
"""Code of a category that is not listed in the schema."""

FOLD: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "keep": str}
"""What ``Field.case`` does to a text or category."""


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
        """One matrix for scikit-learn: numbers first, then texts (object dtype if there are texts)."""
        if not self.texts:
            return self.numbers
        return np.column_stack([self.numbers.astype(object), *self.texts])


def encode(schema: Schema, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Batch:
    """Encode columns of equal length that have passed validation. Missing values may be None or NaN.

    Args:
        schema: What the columns mean.
        columns: Name to values, for every field of the schema; others are not looked at.
    """
    return Encoder(schema)(columns)


class Encoder:
    """:func:`encode` for one schema, with all that does not change from call to call worked out once."""

    def __init__(self, schema: Schema) -> None:
        self._series = schema.series
        self._first = schema.fields[0].name if schema.fields else ""
        self._fields = [(field.name, _encoder_of(field)) for field in schema.fields if field.kind != "text"]
        self._texts = [field for field in schema.fields if field.kind == "text"]

    def __call__(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Batch:
        """Encode columns; arguments and result as those of :func:`encode`."""
        if self._series is not None:
            return Batch(series_features(self._series, columns))
        parts: list[Any] = []
        for name, encoder in self._fields:
            parts += encoder(columns[name])
        texts = tuple([encode_text(field, columns[field.name]) for field in self._texts])
        return Batch(_matrix(parts, rows=len(columns[self._first])), texts)


def encode_text(field: Field, values: Sequence[Any] | NDArray[Any]) -> NDArray[np.object_]:
    """Text made uniform: NFKC, the field's case, no white space around it, missing as the empty string.

    Case is folded here and not in the model, because an ONNX graph would need the server's locale to do it.
    """
    fold = FOLD[field.case]
    uniform = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        uniform[row] = "" if is_missing(value) else fold(unicodedata.normalize("NFKC", str(value))).strip()
    return uniform


def is_missing(value: Any) -> bool:
    """None, NaN and pandas' NaT and NA.

    >>> is_missing(None), is_missing(float("nan")), is_missing(0), is_missing("")
    (True, True, False, False)
    """
    if value is None:
        return True
    if type(value).__name__ in ("NAType", "NaTType"):  # NA refuses to be compared
        return True
    return bool(value != value)  # noqa: PLR0124 - NaN


Columns = list[Sequence[Any] | NDArray[Any]]


def _encoder_of(field: Field) -> Callable[[Sequence[Any] | NDArray[Any]], Columns]:
    """What turns the values of *field* into its encoded columns."""
    if field.kind == "category":
        code: dict[Any, float] = {value: float(position) for position, value in enumerate(field.values)}
        return lambda values: [[_code(code, value) for value in _plain(values)]]
    if field.kind == "datetime":
        readers = [PART[part] for part in field.parts]
        return lambda values: _calendar(readers, _plain(values))
    return lambda values: [values if isinstance(values, list) else np.asarray(values)]


def _matrix(columns: Columns, *, rows: int) -> NDArray[np.float32]:
    """Columns side by side, None as NaN: shape (rows, len(columns))."""
    if not columns:
        return np.empty((rows, 0), np.float32)
    try:
        table = np.array(columns, dtype=np.float64)
    except (TypeError, ValueError):  # numpy knows None, but not pandas' NA
        table = np.array([[np.nan if is_missing(v) else float(v) for v in column] for column in columns])
    return table.T.astype(np.float32, order="C")


def _plain(values: Sequence[Any] | NDArray[Any]) -> Iterable[Any]:
    """Values as Python objects; a numpy datetime becomes a datetime."""
    if isinstance(values, list):
        return values
    array = np.asarray(values)
    return array.astype("datetime64[us]").astype(object) if array.dtype.kind == "M" else array.astype(object)


def _code(code: Mapping[Any, float], value: Any) -> float:
    found = code.get(value)
    if found is not None:
        return found
    return np.nan if is_missing(value) else code.get(str(value), OTHER)


PART: dict[str, Callable[[datetime], float]] = {
    "hour": lambda at: at.hour,
    "weekday": lambda at: at.weekday(),
    "day": lambda at: at.day,
    "month": lambda at: at.month,
    "weekend": lambda at: at.weekday() >= 5,
}


def _calendar(readers: Sequence[Callable[[datetime], float]], values: Iterable[Any]) -> Columns:
    moments = [None if is_missing(value) else _moment(value) for value in values]
    return [[np.nan if at is None else float(reader(at)) for at in moments] for reader in readers]


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
