"""Which values a request may carry, and what is said of those it may not."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.schema import Field, FieldError, Output, Schema, SeriesShape
from fairlead.schema.encode import encode
from fairlead.schema.validate import validate_rows

OUTPUT = Output("regression")

ACCEPTED = {
    "a number": (Field("x", "number"), 1.5, 1.5),
    "a whole number for a number": (Field("x", "number"), 2, 2.0),
    "a number on its lower bound": (Field("x", "number", minimum=2.0), 2, 2.0),
    "a number on its upper bound": (Field("x", "number", maximum=2.0), 2, 2.0),
    "the largest float32": (Field("x", "number"), float(np.finfo(np.float32).max), float(np.finfo(np.float32).max)),
    "an integer": (Field("x", "integer"), 3, 3.0),
    "an integer written with a point": (Field("x", "integer"), 3.0, 3.0),
    "true": (Field("x", "boolean"), True, True),
    "a category": (Field("x", "category", values=("a", "b")), "b", "b"),
    "a category in another case": (Field("x", "category", values=("a",), case="lower"), "A", "a"),
    "an unlisted category where they are allowed": (Field("x", "category", values=("a",), unknown="other"), "z", "z"),
    "a text": (Field("x", "text"), "hello", "hello"),
    "a text of the longest length": (Field("x", "text", max_length=3), "abc", "abc"),
    "a text that matches": (Field("x", "text", pattern="[a-c]+"), "abc", "abc"),
    "a date": (Field("x", "datetime", parts=("day",)), "2024-05-01", datetime(2024, 5, 1)),
    "a date and time": (Field("x", "datetime", parts=("day",)), "2024-05-01T10:30", datetime(2024, 5, 1, 10, 30)),
    "a time in Zulu": (Field("x", "datetime", parts=("day",)), "2024-05-01T10:30Z", datetime(2024, 5, 1, 10, 30)),
    "a time with an offset": (
        Field("x", "datetime", parts=("day",)), "2024-05-01T01:00+02:00", datetime(2024, 4, 30, 23)),
    "a missing value where it is allowed": (Field("x", "number", missing="allow"), None, None),
    "NaN where missing is allowed": (Field("x", "number", missing="allow"), float("nan"), None),
}  # fmt: skip


@pytest.mark.parametrize(("field", "value", "kept"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_value_is_accepted(field: Field, value: Any, kept: Any) -> None:
    assert validate_rows(Schema("m", (field,), OUTPUT), [{"x": value}]) == ({"x": [kept]}, [])


CATEGORY = Field("x", "category", values=("a", "b"))
REFUSED = {
    "text for a number": (Field("x", "number"), "1", '"1"', "must be a number"),
    "true for a number": (Field("x", "number"), True, "true", "must be a number"),
    "a list for a number": (Field("x", "number"), [1], "a list of 1", "must be a number"),
    "infinity": (Field("x", "number"), float("inf"), "inf", "must be finite"),
    "more than float32 holds": (Field("x", "number"), 1e39, "1e+39", "is too large"),
    "more than float64 holds": (Field("x", "number"), 10**400, f"1{'0' * 59}…", "is too large"),
    "below the minimum": (Field("x", "number", minimum=0.5), 0.25, "0.25", "must be at least 0.5"),
    "above the maximum": (Field("x", "number", maximum=1234567.0), 2000000, "2000000", "must be at most 1234567"),
    "a fraction for an integer": (Field("x", "integer"), 1.5, "1.5", "must be an integer"),
    "a number for a boolean": (Field("x", "boolean"), 1, "1", "must be true or false"),
    "an unlisted category": (CATEGORY, "z", '"z"', "must be one of a, b"),
    "a number for a category": (CATEGORY, 1, "1", "must be a string"),
    "an object for a category": (CATEGORY, {"a": 1}, "an object", "must be a string"),
    "an open category that is too long": (
        Field("x", "category", values=("a",), unknown="other", max_length=2), "zzz", '"zzz"',
        "must have at most 2 characters"),
    "an open category of the wrong form": (
        Field("x", "category", values=("a",), unknown="other", pattern="[a-z]"), "7", '"7"', "must match [a-z]"),
    "a text that is too long": (Field("x", "text", max_length=2), "abc", '"abc"', "must have at most 2 characters"),
    "a text that matches in part": (Field("x", "text", pattern="a"), "ab", '"ab"', "must match a"),
    "a number for a text": (Field("x", "text"), 5, "5", "must be a string"),
    "a date that does not exist": (
        Field("x", "datetime"), "2024-02-30", '"2024-02-30"', "must be a date and time in ISO 8601"),
    "a date before time began": (
        Field("x", "datetime"), "0001-01-01T00:00:00+23:59", '"0001-01-01T00:00:00+23:59"',
        "must be a date and time in ISO 8601"),
    "a timestamp for a date": (Field("x", "datetime"), 1714559400, "1714559400", "must be a date and time in ISO 8601"),
    "nothing where it is refused": (Field("x", "number"), None, "null", "a value is required"),
    "NaN where missing is refused": (Field("x", "number"), float("nan"), "nan", "a value is required"),
}  # fmt: skip


@pytest.mark.parametrize(("field", "value", "shown", "rule"), REFUSED.values(), ids=REFUSED)
def test_a_value_is_refused_with_its_rule(field: Field, value: Any, shown: str, rule: str) -> None:
    _, errors = validate_rows(Schema("m", (field,), OUTPUT), [{"x": value}])
    assert errors == [FieldError(0, "x", shown, rule)]


TWO = Schema("m", (Field("a", "number"), Field("b", "number", missing="allow")), OUTPUT)


def test_a_field_that_is_left_out_is_missing() -> None:
    assert validate_rows(TWO, [{"a": 1}]) == ({"a": [1.0], "b": [None]}, [])
    assert validate_rows(TWO, [{"b": 1}])[1] == [FieldError(0, "a", "null", "a value is required")]


def test_a_field_that_the_schema_does_not_have_is_an_error() -> None:
    assert validate_rows(TWO, [{"a": 1, "c": 2}])[1] == [FieldError(0, "c", "2", "there is no such field")]


def test_a_row_that_is_no_object_is_an_error() -> None:
    assert validate_rows(TWO, [{"a": 1}, [1, 2]])[1] == [
        FieldError(1, "", "a list of 2", "must be an object of field names and values")
    ]


def test_all_errors_of_all_rows_are_found_in_row_order() -> None:
    _, errors = validate_rows(TWO, [{"a": "x", "b": "y"}, {"a": 1}, {"b": "z"}])
    assert [(error.row, error.field) for error in errors] == [(0, "a"), (0, "b"), (2, "a"), (2, "b")]


def test_checking_stops_after_the_row_that_reaches_the_limit() -> None:
    _, errors = validate_rows(TWO, [{"a": "x", "b": "y"}] * 10, limit=3)
    assert len(errors) == 4


def test_a_long_value_is_shown_shortened() -> None:
    _, [error] = validate_rows(TWO, [{"a": "x" * 1000}])
    assert error.value == f'"{"x" * 60}…"'


# ---------------------------------------------------------------------------------------------- forecast

DAILY = SeriesShape(keys=("tea", "milk"), every="day", window=3, horizon=2, season=2)
FORECAST = Schema("demand", (), Output("forecast"), series=DAILY)
ASKED = {"key": "tea", "at": "2024-05-01", "history": [1, 2.5, 3], "step": 1}

REFUSED_FORECASTS = {
    "no key": ({"key": None}, "key", "null", "must be a string"),
    "no date": ({"at": "soon"}, "at", '"soon"', "must be a date and time in ISO 8601"),
    "too short a history": (
        {"history": [1, 2]},
        "history",
        "a list of 2",
        "must be a list of 3 numbers, oldest first",
    ),
    "a history that is text": (
        {"history": "123"},
        "history",
        '"123"',
        "must be a list of 3 numbers, oldest first",
    ),
    "a hole in the history": (
        {"history": [1, None, 3]},
        "history",
        "a list of 3",
        "must hold finite numbers only",
    ),
    "true in the history": (
        {"history": [1, True, 3]},
        "history",
        "a list of 3",
        "must hold finite numbers only",
    ),
    "a history beyond float32": (
        {"history": [1, 1e39, 3]},
        "history",
        "a list of 3",
        "must hold finite numbers only",
    ),
    "a step of none": ({"step": 0}, "step", "0", "must be an integer from 1 to 2"),
    "a step beyond the horizon": ({"step": 3}, "step", "3", "must be an integer from 1 to 2"),
    "half a step": ({"step": 1.5}, "step", "1.5", "must be an integer from 1 to 2"),
    "a field of its own": ({"promo": 1}, "promo", "1", "there is no such field"),
}


def test_a_forecast_request_is_accepted() -> None:
    columns, errors = validate_rows(FORECAST, [ASKED])
    assert errors == []
    assert columns["at"] == [datetime(2024, 5, 1)]


@pytest.mark.parametrize(
    ("change", "field", "shown", "rule"), REFUSED_FORECASTS.values(), ids=REFUSED_FORECASTS
)
def test_a_forecast_request_is_refused(change: dict[str, Any], field: str, shown: str, rule: str) -> None:
    assert validate_rows(FORECAST, [ASKED | change])[1] == [FieldError(0, field, shown, rule)]


# -------------------------------------------------------------------------------------------- properties

ALL_KINDS = Schema(
    "m",
    (
        Field("number", "number", minimum=-5.0, missing="allow"),
        Field("integer", "integer"),
        Field("boolean", "boolean", missing="allow"),
        Field("category", "category", values=("a", "b"), unknown="other", missing="allow"),
        Field("text", "text", missing="allow"),
        Field("datetime", "datetime", parts=("hour", "weekend"), missing="allow"),
    ),
    OUTPUT,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([field.name for field in ALL_KINDS.fields] + ["other"])


@given(st.lists(json_values | st.dictionaries(names, json_values, max_size=6), max_size=4))
def test_any_json_is_either_refused_or_encoded(rows: list[Any]) -> None:
    columns, errors = validate_rows(ALL_KINDS, rows)
    if not errors and rows:
        batch = encode(ALL_KINDS, columns)
        assert batch.numbers.shape == (len(rows), len(ALL_KINDS.columns))
        assert not np.isinf(batch.numbers).any()
    assert all(0 <= error.row < len(rows) and error.rule for error in errors)


good_rows = st.fixed_dictionaries({
    "number": st.none() | st.floats(min_value=-5, max_value=1e30),
    "integer": st.integers(min_value=-(2**60), max_value=2**60),
    "boolean": st.none() | st.booleans(),
    "category": st.none() | st.sampled_from(["a", "b", "zzz"]),
    "text": st.none() | st.text(max_size=8),
    "datetime": st.none() | st.datetimes().map(datetime.isoformat),
})  # fmt: skip


@given(st.lists(good_rows, min_size=1, max_size=4))
def test_a_good_row_is_accepted_and_means_the_same_alone_as_among_others(rows: list[dict[str, Any]]) -> None:
    columns, errors = validate_rows(ALL_KINDS, rows)
    assert errors == []
    together = encode(ALL_KINDS, columns)
    for position, row in enumerate(rows):
        alone = encode(ALL_KINDS, validate_rows(ALL_KINDS, [json.loads(json.dumps(row))])[0])
        assert alone.numbers.tobytes() == together.numbers[position : position + 1].tobytes()
        assert alone.texts[0].tolist() == together.texts[0][position : position + 1].tolist()
