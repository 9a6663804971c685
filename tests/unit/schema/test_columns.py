"""Columns at once and rows one by one come to the same: what is right, and what the model sees of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.schema import Field, Output, Schema, SeriesShape
from fairlead.schema.columns import ColumnEncoder
from fairlead.schema.encode import encode
from fairlead.schema.validate import validate_rows

SCHEMA = Schema(
    name="mixed",
    fields=(
        Field("amount", "number", minimum=0.0, maximum=100.0),
        Field("rate", "number", missing="allow"),
        Field("country", "category", values=("AT", "DE"), unknown="other", case="upper", max_length=3),
        Field("count", "integer", minimum=-5.0, missing="allow"),
        Field("exact", "integer", maximum=9007199254740992.0),
        Field("abroad", "boolean"),
        Field("new", "boolean", missing="allow"),
        Field("at", "datetime", parts=("hour", "weekday"), missing="allow"),
        Field("note", "text", max_length=5, missing="allow"),
    ),
    output=Output("regression"),
)
NUMBERS = Schema(
    "numbers", (Field("b", "number"), Field("a", "integer", missing="allow")), Output("regression")
)
RIGHT: dict[str, list[Any]] = {
    "amount": [0.0, 100], "rate": [None, -1e10], "country": ["at", "XX"], "count": [None, 3.0], "exact": [1, 2],
    "abroad": [True, False], "new": [None, True], "at": [None, "2024-05-01T10:30:00"], "note": [None, " a "],
}  # fmt: skip

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 10**400, 3.5e38, -3.5e38, 3.4028234663852886e38, 1e308]),
    st.floats(),
    st.sampled_from(["AT", "de", "xxxx", "", "1", "2024-05-01", "2024-05-01T10:00:00+02:00"]),
    st.just([1]),
)
plain = {
    "amount": st.floats(0, 100) | st.integers(0, 100),
    "rate": st.floats(-10, 10) | st.none(),
    "country": st.sampled_from(["AT", "de", "fr"]),
    "count": st.integers(-5, 5) | st.none(),
    "exact": st.integers(-5, 5),
    "abroad": st.booleans(),
    "new": st.booleans() | st.none(),
    "at": st.sampled_from(["2024-05-01T10:30:00", None]),
    "note": st.text(max_size=5) | st.none(),
}


def rows_of(columns: dict[str, Any], count: int) -> list[dict[str, Any]]:
    lists = {name: list(values) for name, values in columns.items()}
    return [{name: values[row] for name, values in lists.items()} for row in range(count)]


def check_agreement(schema: Schema, columns: dict[str, Any], count: int, *, complete: bool = True) -> None:
    """A batch is that of the rows; no batch means an error of theirs (or a value at the edge of exactness)."""
    batch = ColumnEncoder(schema)(columns, count)
    valid, errors = validate_rows(schema, rows_of(columns, count))
    if batch is None:
        assert errors or not complete
        return
    assert not errors
    expected = encode(schema, valid)
    assert batch.numbers.dtype == np.float32
    assert np.array_equal(batch.numbers, expected.numbers, equal_nan=True)
    assert [text.tolist() for text in batch.texts] == [text.tolist() for text in expected.texts]


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 4))
def test_what_is_right_is_encoded_as_rows_are(data: st.DataObject, count: int) -> None:
    columns = {
        name: data.draw(st.lists(values, min_size=count, max_size=count)) for name, values in plain.items()
    }
    assert ColumnEncoder(SCHEMA)(columns, count) is not None
    check_agreement(SCHEMA, columns, count)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_nothing_is_accepted_that_the_rows_refuse(data: st.DataObject, count: int) -> None:
    columns = {
        name: data.draw(st.lists(values, min_size=count, max_size=count)) for name, values in plain.items()
    }
    spoilt = data.draw(st.sampled_from(sorted(columns)))
    columns[spoilt] = data.draw(st.lists(odd, min_size=count, max_size=count))
    check_agreement(SCHEMA, columns, count, complete=False)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(width=64), min_size=1, max_size=5),
    st.sampled_from(["f8", "f4", "f2"]),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=5, max_size=5),
)
def test_arrays_agree_with_rows(numbers: list[float], kind: str, whole: list[int]) -> None:
    with np.errstate(over="ignore"):
        array = np.array(numbers).astype(kind)
    columns = {"b": array, "a": np.array(whole[: len(array)], np.int64)}
    rows = {"b": array.tolist(), "a": whole[: len(array)]}
    batch = ColumnEncoder(NUMBERS)(columns, len(array))
    valid, errors = validate_rows(NUMBERS, rows_of(rows, len(array)))
    if batch is None:
        assert errors or max(map(abs, [*array.tolist(), *whole[: len(array)]])) >= 2**53
    else:
        assert not errors
        assert np.array_equal(batch.numbers, encode(NUMBERS, valid).numbers, equal_nan=True)


def test_all_kinds_have_a_batch() -> None:
    check_agreement(SCHEMA, RIGHT, 2)
    assert ColumnEncoder(SCHEMA)(RIGHT, 2) is not None


WRONG: dict[str, dict[str, list[Any]]] = {
    "below the minimum": {"amount": [-0.1, 1.0]},
    "above the maximum": {"amount": [0.0, 100.1]},
    "above the maximum by less than float64 can tell": {"exact": [1, 2**53 + 1]},
    "too large for the model": {"rate": [3.5e38, 0.0]},
    "too large for a float": {"rate": [10**400, 0.0]},
    "infinite": {"rate": [float("inf"), 0.0]},
    "missing": {"amount": [None, 1.0]},
    "not a number, so missing": {"amount": [float("nan"), 1.0]},
    "a boolean for a number": {"amount": [True, 1.0]},
    "a text for a number": {"amount": ["1", 1.0]},
    "a fraction for an integer": {"count": [1.5, 1]},
    "a number for a boolean": {"abroad": [1, True]},
    "a missing boolean": {"abroad": [None, True]},
    "a category that is too long": {"country": ["AT", "LONG"]},
    "a text that is too long": {"note": ["abcdef", None]},
    "no date": {"at": ["soon", None]},
    "an unknown field": {"other": [1, 2]},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_is_wrong_has_no_batch(change: dict[str, list[Any]]) -> None:
    columns = RIGHT | change
    assert ColumnEncoder(SCHEMA)(columns, 2) is None
    assert validate_rows(SCHEMA, rows_of(columns, 2))[1]


@pytest.mark.parametrize("absent", ["rate", "count", "new", "at", "note"])
def test_an_absent_column_is_missing_in_every_row(absent: str) -> None:
    columns = {name: values for name, values in RIGHT.items() if name != absent}
    assert ColumnEncoder(SCHEMA)(columns, 2) is not None
    check_agreement(SCHEMA, columns, 2)


@pytest.mark.parametrize("absent", ["amount", "country", "exact", "abroad"])
def test_an_absent_column_that_is_required_has_no_batch(absent: str) -> None:
    assert ColumnEncoder(SCHEMA)({name: v for name, v in RIGHT.items() if name != absent}, 2) is None


def test_a_forecast_is_left_to_the_rows() -> None:
    shape = SeriesShape(("a",), "day", window=2, horizon=1, season=1)
    schema = Schema("series", (), Output("forecast"), series=shape)
    columns = {"key": ["a"], "at": ["2024-01-01"], "history": [[1.0, 2.0]], "step": [1]}
    assert ColumnEncoder(schema)(columns, 1) is None
