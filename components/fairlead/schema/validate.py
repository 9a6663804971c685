"""Check request rows against the schema. Every failure is found and named; nothing is repaired silently."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fairlead.schema.encode import FOLD, is_missing
from fairlead.schema.fields import Field, Schema, SeriesShape


@dataclass(frozen=True, slots=True)
class FieldError:
    """One value that breaks a rule. ``row`` counts from 0, as in the request."""

    row: int
    field: str
    value: str
    rule: str


def validate_rows(
    schema: Schema, rows: Sequence[Any], *, limit: int | None = None
) -> tuple[dict[str, list[Any]], list[FieldError]]:
    """Check *rows* (mappings of field to value) and turn them into columns.

    Args:
        schema: What the rows must look like.
        rows: The rows, as parsed from JSON.
        limit: Stop after the row with which there are this many errors; None finds all of them.

    Returns: The columns (to be used only if there are no errors) and the errors, in row order. A field that
        is absent counts as missing; a field the schema does not have is an error, because it is nearly always
        a misspelt one.
    """
    return Validator(schema)(rows, limit=limit)


class Validator:
    """:func:`validate_rows` for one schema, compiled once."""

    def __init__(self, schema: Schema) -> None:
        series = schema.series
        self._checks = _series_checks(series) if series is not None else _field_checks(schema.fields)
        self._known = frozenset(self._checks)

    def __call__(
        self, rows: Sequence[Any], *, limit: int | None = None
    ) -> tuple[dict[str, list[Any]], list[FieldError]]:
        """Check rows; arguments and result as those of :func:`validate_rows`."""
        columns: dict[str, list[Any]] = {name: [] for name in self._checks}
        steps = [(name, check, columns[name].append) for name, check in self._checks.items()]
        errors: list[FieldError] = []
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                errors.append(
                    FieldError(number, "", shown(row), "must be an object of field names and values")
                )
            else:
                for name, check, keep in steps:
                    value, broken = check(row.get(name))
                    keep(value)
                    if broken:
                        errors.append(FieldError(number, name, shown(row.get(name)), broken))
                if not self._known.issuperset(row):
                    errors += self._unknown_fields(number, row)
            if limit is not None and len(errors) >= limit:
                break
        return columns, errors

    def _unknown_fields(self, number: int, row: Mapping[str, Any]) -> list[FieldError]:
        return [
            FieldError(number, _shortened(str(name)), shown(value), "there is no such field")
            for name, value in row.items()
            if name not in self._known
        ]


Check = Callable[[Any], tuple[Any, str]]
"""A value to (the value to encode, the rule it breaks or the empty string)."""

EXACT = 2.0**53
"""From here on a whole number may change when it becomes a float64, and with it its place between bounds."""

FLOAT32_MAX = float(np.finfo(np.float32).max)
"""The largest number a model can see."""


def _field_checks(fields: Sequence[Field]) -> dict[str, Check]:
    kinds = {
        "number": _check_number, "integer": _check_number, "boolean": _check_boolean,
        "category": _check_category, "text": _check_text, "datetime": _check_datetime,
    }  # fmt: skip
    return {field.name: _or_missing(field, kinds[field.kind](field)) for field in fields}


def _or_missing(field: Field, inner: Check) -> Check:
    """*inner* for values that are there, the field's policy for values that are missing."""
    if field.missing == "refuse":
        return lambda value: (None, "a value is required") if is_missing(value) else inner(value)
    return lambda value: (None, "") if is_missing(value) else inner(value)


def _check_number(field: Field) -> Check:
    low = -math.inf if field.minimum is None else field.minimum
    high = math.inf if field.maximum is None else field.maximum
    whole = field.kind == "integer"
    kind = "must be an integer" if whole else "must be a number"

    def check(value: Any) -> tuple[Any, str]:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None, kind
        if not -FLOAT32_MAX <= value <= FLOAT32_MAX:
            return None, "is too large" if abs(value) < math.inf else "must be finite"
        if whole and value != int(value):
            return None, kind
        if value < low:
            return None, f"must be at least {low:.15g}"
        if value > high:
            return None, f"must be at most {high:.15g}"
        return float(value), ""

    return check


def _check_boolean(_field: Field) -> Check:
    def check(value: Any) -> tuple[Any, str]:
        return (value, "") if isinstance(value, bool) else (None, "must be true or false")

    return check


def _check_category(field: Field) -> Check:
    allowed = frozenset(field.values)
    open_ended = field.unknown == "other"
    pattern = re.compile(field.pattern)
    fold = FOLD[field.case]
    listed = ", ".join(field.values[:10]) + (" …" if len(field.values) > 10 else "")

    def check(value: Any) -> tuple[Any, str]:
        if not isinstance(value, str):
            return None, "must be a string"
        folded = fold(value)
        if folded in allowed:
            return folded, ""
        if not open_ended:
            return None, f"must be one of {listed}"
        if len(folded) > field.max_length:
            return None, f"must have at most {field.max_length} characters"
        if field.pattern and pattern.fullmatch(folded) is None:
            return None, f"must match {field.pattern}"
        return folded, ""

    return check


def _check_text(field: Field) -> Check:
    pattern = re.compile(field.pattern)

    def check(value: Any) -> tuple[Any, str]:
        if not isinstance(value, str):
            return None, "must be a string"
        if len(value) > field.max_length:
            return None, f"must have at most {field.max_length} characters"
        if field.pattern and pattern.fullmatch(value) is None:
            return None, f"must match {field.pattern}"
        return value, ""

    return check


def _check_datetime(_field: Field) -> Check:
    return _check_moment


LONGEST_MOMENT = 40
"""Characters of a date and time. Python reads any number of digits as a fraction of a second."""


def _check_moment(value: Any) -> tuple[Any, str]:
    if isinstance(value, str) and len(value) > LONGEST_MOMENT:
        return None, "must be a date and time in ISO 8601"
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            # Training data has no time zones: a moment with one is brought to UTC first, there as here.
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError):
        return None, "must be a date and time in ISO 8601"
    return moment, ""


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= FLOAT32_MAX


def _series_checks(shape: SeriesShape) -> dict[str, Check]:
    """The checks of a forecast request; see ``fairlead.schema.series.REQUEST_FIELDS``."""
    wrong_history = f"must be a list of {shape.window} numbers, oldest first"
    wrong_step = f"must be an integer from 1 to {shape.horizon}"

    def history(value: Any) -> tuple[Any, str]:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != shape.window:
            return None, wrong_history
        return (value, "") if all(map(_is_finite, value)) else (None, "must hold finite numbers only")

    def step(value: Any) -> tuple[Any, str]:
        return (value, "") if type(value) is int and 1 <= value <= shape.horizon else (None, wrong_step)

    def key(value: Any) -> tuple[Any, str]:
        return (value, "") if isinstance(value, str) else (None, "must be a string")

    return {"key": key, "at": _check_moment, "history": history, "step": step}


def shown(value: Any) -> str:
    """*value* as JSON would have it, shortened; what a list or an object holds is not repeated.

    >>> shown(None), shown("a"), shown([1, 2])
    ('null', '"a"', 'a list of 2')
    """
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(_shortened(value), ensure_ascii=False)
    return _shortened(repr(value))


def _shortened(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
