"""Request rows straight to a batch, where every value is there and plain: the usual request, ten times quicker.

Checking value by value finds every mistake and says it in words (:mod:`fairlead.schema.validate`), which costs
most of what a prediction costs. Here a row is either right as a whole or left to those checks: a value that
is missing, of another type, out of its range or not listed makes :class:`DirectReader` answer None. It never
accepts what the checks refuse, and its batch is the same to the bit (a property test compares them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter, le
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.encode import FOLD, PART, Batch
from fairlead.schema.fields import Field, Schema
from fairlead.schema.validate import EXACT, LONGEST_MOMENT

_LARGEST = EXACT - 1
"""Larger numbers are left to the checks, which know whole ones without rounding."""

_NUMBERS = frozenset({float, int})  # not bool, which is an int to Python

Convert = Callable[[Any], Sequence[float]]
"""A value to its encoded columns. Raises KeyError, TypeError or ValueError for one that needs a closer look."""


class DirectReader:
    """Rows to a batch, or None where a row needs a closer look. For one schema, compiled once."""

    def __init__(self, schema: Schema) -> None:
        self.usable = bool(schema.columns) and schema.series is None and not schema.texts
        """Forecasts and texts are always checked value by value."""
        if not self.usable:
            return
        fields = sorted(enumerate(schema.fields), key=lambda item: not _is_number(item[1]))
        numbers = [field for _, field in fields if _is_number(field)]
        self._width = len(schema.fields)
        self._numbers = _getter([field.name for field in numbers])
        self._low = [
            max(-_LARGEST if field.minimum is None else field.minimum, -_LARGEST) for field in numbers
        ]
        self._high = [
            min(_LARGEST if field.maximum is None else field.maximum, _LARGEST) for field in numbers
        ]
        self._whole = [place for place, field in enumerate(numbers) if field.kind == "integer"]
        self._others = [(field.name, _converter(field)) for _, field in fields if not _is_number(field)]
        self._order = _order(schema, [field.name for _, field in fields])

    def __call__(self, rows: Sequence[Any]) -> Batch | None:
        """The batch of *rows* (as parsed from JSON), or None."""
        if not self.usable:
            return None
        try:
            numbers = self._one(rows[0]) if len(rows) == 1 else self._many(rows)
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return Batch(numbers if self._order is None else numbers.take(self._order, axis=1))

    def _one(self, row: Any) -> NDArray[np.float32]:
        """A single row, checked in plain Python: for so few numbers quicker than numpy."""
        values = self._read(row)
        if not (all(map(le, self._low, values)) and all(map(le, values, self._high))):
            raise ValueError
        for place in self._whole:
            if values[place] % 1:
                raise ValueError
        return np.array((values,), np.float32)

    def _many(self, rows: Sequence[Any]) -> NDArray[np.float32]:
        table = np.array([self._read(row) for row in rows], np.float64)
        numbers = table[:, : len(self._low)]
        if not ((numbers >= self._low).all() and (numbers <= self._high).all()):
            raise ValueError
        if self._whole and (table[:, self._whole] % 1).any():
            raise ValueError
        return table.astype(np.float32)

    def _read(self, row: Any) -> Sequence[float]:
        """One row: numbers first, then the columns of other kinds."""
        numbers = self._numbers(row)
        if len(row) != self._width or not _NUMBERS.issuperset(map(type, numbers)):
            raise TypeError
        if not self._others:
            return numbers
        columns: list[float] = list(numbers)
        for name, convert in self._others:
            columns += convert(row[name])
        return columns


def _is_number(field: Field) -> bool:
    return field.kind in ("number", "integer")


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """The values of these names, as a tuple for any number of them."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple([row[name] for name in names])


def _order(schema: Schema, read: Sequence[str]) -> list[int] | None:
    """Where each column of the schema is in a row as it is read; None if it is in its place."""
    widths = {field.name: len(field.parts) if field.kind == "datetime" else 1 for field in schema.fields}
    starts, position = {}, 0
    for name in read:
        starts[name], position = position, position + widths[name]
    order = [starts[field.name] + offset for field in schema.fields for offset in range(widths[field.name])]
    return None if order == list(range(len(order))) else order


def _converter(field: Field) -> Convert:
    if field.kind == "category":
        return _category(field)
    return _boolean if field.kind == "boolean" else _moment(field)


def _category(field: Field) -> Convert:
    codes = {value: (float(code),) for code, value in enumerate(field.values)}
    if field.case == "keep":
        return codes.__getitem__
    fold = FOLD[field.case]
    return lambda value: codes[fold(value)]


_BOOLEAN = {True: (1.0,), False: (0.0,)}


def _boolean(value: Any) -> Sequence[float]:
    if type(value) is not bool:  # 1 and 1.0 would be found in the table
        raise TypeError
    return _BOOLEAN[value]


def _moment(field: Field) -> Convert:
    readers = [PART[part] for part in field.parts]

    def convert(value: Any) -> Sequence[float]:
        if len(value) > LONGEST_MOMENT:
            raise ValueError
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        return [float(reader(moment)) for reader in readers]

    return convert
