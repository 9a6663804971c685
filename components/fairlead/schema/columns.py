"""Validate and encode columns at once, where every value is plainly right; else leave it to the check by rows.

The rules are those of :mod:`fairlead.schema.validate`. What is accepted here is accepted there, with the same
encoding; whoever gets no batch asks there, and learns which value breaks which rule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.encode import Batch, Encoder
from fairlead.schema.fields import Field, Schema
from fairlead.schema.validate import EXACT, FLOAT32_MAX, Validator

Column = Sequence[Any] | NDArray[Any]


class ColumnEncoder:
    """Columns to the batch that a model sees, for one schema."""

    def __init__(self, schema: Schema) -> None:
        self._series = schema.series is not None
        self._known = frozenset(field.name for field in schema.fields)
        self._width = len(schema.columns)
        blocks: list[_Block] = [
            _Numbers([f for f in schema.fields if f.kind in ("number", "integer")]),
            _Booleans([f for f in schema.fields if f.kind == "boolean"]),
        ]
        rest = tuple(f for f in schema.fields if f.kind not in ("number", "integer", "boolean"))
        self._rest = _Rest(dataclasses.replace(schema, fields=rest, series=None)) if rest else None
        self._blocks = [(block, _places(schema, block.fields)) for block in blocks if block.fields]
        self._rest_places = _places(schema, rest)
        self._whole_matrix = self._rest is None and len(self._blocks) == 1
        """Whether one block is all of the matrix, which then need not be put together."""

    def __call__(self, columns: Mapping[str, Column], rows: int) -> Batch | None:
        """Encode *rows* rows, or give None: some value may break a rule, or the schema is that of a forecast.

        Args:
            columns: Field to values, each of length *rows*; a field that is absent is missing in every row.
            rows: How many; at least 1.
        """
        if self._series or not self._known.issuperset(columns):
            return None
        matrix = np.empty((rows, self._width), np.float32)
        texts: tuple[NDArray[np.object_], ...] = ()
        for block, places in self._blocks:
            numbers = block(columns, rows)
            if numbers is None:
                return None
            if self._whole_matrix:
                return Batch(numbers.T.astype(np.float32, order="C"))
            matrix[:, places] = numbers.T
        if self._rest is not None:
            batch = self._rest(columns, rows)
            if batch is None:
                return None
            matrix[:, self._rest_places] = batch.numbers
            texts = batch.texts
        return Batch(matrix, texts)


def _places(schema: Schema, fields: Iterable[Field]) -> NDArray[np.intp]:
    """Where the columns of *fields* are in the matrix."""
    position = {name: number for number, name in enumerate(schema.columns)}
    return np.array([position[name] for field in fields for name in field.columns], np.intp)


class _Block(Protocol):
    """Fields that are checked together: a matrix with a row a field, or None."""

    fields: Sequence[Field]

    def __call__(self, columns: Mapping[str, Column], rows: int) -> NDArray[np.float64] | None: ...


class _Numbers:
    """The checks of number and integer fields, on a matrix with a row a field."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        low = [
            -FLOAT32_MAX if field.minimum is None else max(field.minimum, -FLOAT32_MAX) for field in fields
        ]
        high = [FLOAT32_MAX if field.maximum is None else min(field.maximum, FLOAT32_MAX) for field in fields]
        self._low, self._high = np.array(low)[:, None], np.array(high)[:, None]
        self._whole = np.array([number for number, f in enumerate(fields) if f.kind == "integer"], np.intp)
        self._optional = _optional(fields)

    def __call__(self, columns: Mapping[str, Column], rows: int) -> NDArray[np.float64] | None:
        matrix = _matrix(self.fields, columns, rows, _NUMBERS, "fiu")
        if matrix is None:
            return None
        right = (matrix >= self._low) & (matrix <= self._high)
        if not right.all():
            right |= np.isnan(matrix) & self._optional
            if not right.all():
                return None
        if len(self._whole):
            whole = matrix[self._whole]
            if not ((np.floor(whole) == whole) | np.isnan(whole)).all():
                return None
        return matrix


class _Booleans:
    """The check of boolean fields, on a matrix with a row a field."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self._optional = _optional(fields)

    def __call__(self, columns: Mapping[str, Column], rows: int) -> NDArray[np.float64] | None:
        matrix = _matrix(self.fields, columns, rows, _BOOLEANS, "b")
        if matrix is None or not (~np.isnan(matrix) | self._optional).all():
            return None
        return matrix


class _Rest:
    """Fields without arithmetic: the check by rows, on these alone."""

    def __init__(self, schema: Schema) -> None:
        self._names = [field.name for field in schema.fields]
        self._validate = Validator(schema)
        self._encode = Encoder(schema)

    def __call__(self, columns: Mapping[str, Column], rows: int) -> Batch | None:
        given = [name for name in self._names if name in columns]
        values = [_plain(columns[name]) for name in given]
        each = zip(*values, strict=True) if given else [()] * rows
        valid, errors = self._validate([dict(zip(given, row, strict=True)) for row in each], limit=1)
        return None if errors else self._encode(valid)


def _optional(fields: Sequence[Field]) -> NDArray[np.bool_]:
    return np.array([field.missing == "allow" for field in fields])[:, None]


_NUMBERS: frozenset[type] = frozenset({float, int, type(None)})
_BOOLEANS: frozenset[type] = frozenset({bool, type(None)})


def _matrix(
    fields: Sequence[Field], columns: Mapping[str, Column], rows: int, types: frozenset[type], kinds: str
) -> NDArray[np.float64] | None:
    """The columns of *fields* as float64, shape (fields, rows), NaN for None; None if a type is not right."""
    given = [columns.get(field.name) for field in fields]
    absent = [None] * rows
    full = [absent if column is None else column for column in given]
    found = set(
        map(type, chain.from_iterable(column for column in full if not isinstance(column, np.ndarray)))
    )
    arrays = [column for column in full if isinstance(column, np.ndarray)]
    if not types.issuperset(found) or any(array.dtype.kind not in kinds for array in arrays):
        return None
    try:
        matrix = np.array(full, dtype=np.float64)
    except OverflowError:
        return None
    big = int in found or any(array.dtype.kind in "iu" for array in arrays)
    return None if big and (np.abs(matrix) >= EXACT).any() else matrix


def _plain(column: Column) -> Sequence[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else column
