"""Check request rows against the schema. Every failure is found and named; nothing is repaired silently."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from fairlead.schema.encode import is_missing
from fairlead.schema.fields import Field, Schema, SeriesShape


@dataclass(frozen=True, slots=True)
class FieldError:
    """One value that breaks a rule. ``row`` counts from 0, as in the request."""

    row: int
    field: str
    value: str
    rule: str


def validate_rows(schema: Schema, rows: Sequence[Any]) -> tuple[dict[str, list[Any]], list[FieldError]]:
    """Check *rows* (mappings of field to value) and turn them into columns.

    Returns:
        The columns (to be used only if there are no errors) and all errors, in row order. A field that is absent counts as
        missing; a field the schema does not have is an error, because it is nearly always a misspelt one.
    """
    if schema.series is not None:
        return _validate_series_rows(schema.series, rows)
    checks = _compiled(schema)
    known = frozenset(checks)
    columns: dict[str, list[Any]] = {name: [] for name in checks}
    errors: list[FieldError] = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            errors.append(FieldError(number, "", _shown(row), "a row must be an object of field names and values"))
            continue
        for name, check in checks.items():
            value, broken = check(row.get(name))
            columns[name].append(value)
            if broken:
                errors.append(FieldError(number, name, _shown(row.get(name)), broken))
        if len(row) > len(known) or not known.issuperset(row):
            errors.extend(FieldError(number, str(name), _shown(row[name]), "there is no such field")
                          for name in row if name not in known)  # fmt: skip
    return columns, errors


Check = Callable[[Any], tuple[Any, str]]
"""A value to (the value to encode, the rule it breaks or the empty string)."""


@lru_cache(maxsize=8)
def _compiled(schema: Schema) -> dict[str, Check]:
    return {field.name: _check_of(field) for field in schema.fields}


def _check_of(field: Field) -> Check:
    inner = {
        "number": _check_number, "integer": _check_number, "boolean": _check_boolean, "category": _check_category,
        "text": _check_text, "datetime": _check_datetime,
    }[field.kind](field)  # fmt: skip
    refuses_missing = field.missing == "refuse"

    def check(value: Any) -> tuple[Any, str]:
        if is_missing(value):
            return None, "a value is required" if refuses_missing else ""
        return inner(value)

    return check


def _check_number(field: Field) -> Check:
    low = -math.inf if field.minimum is None else field.minimum
    high = math.inf if field.maximum is None else field.maximum
    whole = field.kind == "integer"

    def check(value: Any) -> tuple[Any, str]:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None, "must be an integer" if whole else "must be a number"
        try:
            number = float(value)
        except OverflowError:
            return None, "is too large"
        if math.isinf(number):
            return None, "must be finite"
        if whole and not number.is_integer():
            return None, "must be an integer"
        if number < low:
            return None, f"must be at least {low:g}"
        if number > high:
            return None, f"must be at most {high:g}"
        return number, ""

    return check


def _check_boolean(_field: Field) -> Check:
    def check(value: Any) -> tuple[Any, str]:
        return (value, "") if isinstance(value, bool) else (None, "must be true or false")

    return check


def _check_category(field: Field) -> Check:
    allowed = frozenset(field.values)
    open_ended = field.unknown == "other"
    fold = {"lower": str.lower, "upper": str.upper, "keep": str}[field.case]
    listed = ", ".join(field.values[:10]) + (" …" if len(field.values) > 10 else "")

    def check(value: Any) -> tuple[Any, str]:
        if not isinstance(value, str):
            return None, "must be a string"
        folded = fold(value)
        if folded in allowed or (open_ended and len(folded) <= field.max_length):
            return folded, ""
        return None, f"must be one of {listed}"

    return check


def _check_text(field: Field) -> Check:
    pattern = re.compile(field.pattern) if field.pattern else None

    def check(value: Any) -> tuple[Any, str]:
        if not isinstance(value, str):
            return None, "must be a string"
        if len(value) > field.max_length:
            return None, f"must have at most {field.max_length} characters"
        if pattern is not None and pattern.fullmatch(value) is None:
            return None, f"must match {field.pattern}"
        return value, ""

    return check


def _check_datetime(_field: Field) -> Check:
    def check(value: Any) -> tuple[Any, str]:
        moment = _datetime_or_none(value)
        return (moment, "") if moment is not None else (None, "must be a date and time in ISO 8601")

    return check


def _datetime_or_none(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _validate_series_rows(
    shape: SeriesShape, rows: Sequence[Any]
) -> tuple[dict[str, list[Any]], list[FieldError]]:
    columns: dict[str, list[Any]] = {"key": [], "at": [], "history": [], "step": []}
    errors: list[FieldError] = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            errors.append(FieldError(number, "", _shown(row), "a row must be an object of field names and values"))
            continue
        for name, rule in _series_mistakes(shape, row):
            errors.append(FieldError(number, name, _shown(row.get(name)), rule))
        for name in columns:
            columns[name].append(row.get(name))
    if not errors:
        columns["at"] = [_naive(_datetime_or_none(value)) for value in columns["at"]]
    return columns, errors


def _series_mistakes(shape: SeriesShape, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    mistakes = [(str(name), "there is no such field") for name in row if name not in ("key", "at", "history", "step")]
    if not isinstance(row.get("key"), str):
        mistakes.append(("key", "must be a string"))
    if _datetime_or_none(row.get("at")) is None:
        mistakes.append(("at", "must be a date and time in ISO 8601"))
    history = row.get("history")
    if not isinstance(history, Sequence) or isinstance(history, str) or len(history) != shape.window:
        mistakes.append(("history", f"must be a list of {shape.window} numbers, oldest first"))
    elif not all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in history):
        mistakes.append(("history", "must hold finite numbers only"))
    step = row.get("step")
    if not isinstance(step, int) or isinstance(step, bool) or not 1 <= step <= shape.horizon:
        mistakes.append(("step", f"must be an integer from 1 to {shape.horizon}"))
    return mistakes


def _naive(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=None) if moment is not None else None


def _shown(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
