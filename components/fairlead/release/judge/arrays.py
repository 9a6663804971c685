"""The array type of all states, and the little arithmetic of logarithms that numpy lacks.

States are arrays so that one code judges a single release (shape ``()``) and a thousand simulated ones (shape ``(1000,)``) at
once; what the simulations measure is what decides. As JSON an array is a number or nested lists, with -∞ as null; doubles are
written so that they are read back bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Number = float | Floats
"""One release, or one figure a simulated release."""


def _read(value: Any) -> Floats:
    if isinstance(value, np.ndarray):
        return value.astype(np.float64)
    return np.array(_without_null(value), dtype=np.float64)


def _without_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_null(entry) for entry in value]
    return -np.inf if value is None else value


def _write(value: Any) -> Any:
    return _with_null(np.asarray(value, dtype=np.float64).tolist())


def _rows_of(columns: int) -> Callable[[Any], Floats]:
    """Reads a table; an empty list does not say how many columns it has."""

    def read(value: Any) -> Floats:
        rows = _read(value)
        return rows if rows.size else rows.reshape(*rows.shape, columns)

    return read


def _with_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_null(entry) for entry in value]
    return None if value == -np.inf else value


Array = Annotated[Floats, PlainValidator(_read), PlainSerializer(_write)]
"""A field of a state."""
Rows2 = Annotated[Floats, PlainValidator(_rows_of(2)), PlainSerializer(_write)]
Rows4 = Annotated[Floats, PlainValidator(_rows_of(4)), PlainSerializer(_write)]
"""Fields that are tables with 2 and 4 columns, and may be empty."""
Amount = Annotated[Any, PlainValidator(_read), PlainSerializer(_write)]
"""A field of an observation: whatever was counted, one number or an array. Judged by :mod:`.windows`, never refused here."""


def zeros(shape: tuple[int, ...]) -> Floats:
    """Float zeros."""
    return np.zeros(shape, dtype=np.float64)


def log_sum(log_terms: Floats) -> Floats:
    """``log Σ exp`` over the last axis; -∞ where all terms are.

    >>> float(log_sum(np.log(np.array([0.25, 0.5]))).round(6)), float(log_sum(np.array([-np.inf, -np.inf])))
    (-0.287682, -inf)
    """
    top = np.max(log_terms, axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total: Floats = np.log(np.sum(np.exp(log_terms - top), axis=-1)) + top[..., 0]
    return total
