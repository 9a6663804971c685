"""Columns to the arrays a model sees: codes, calendar numbers, missing values, text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairlead.schema import Field, Output, Schema
from fairlead.schema.encode import encode

OUTPUT = Output("regression")
NAN = float("nan")
AT = Field("x", "datetime", parts=("hour", "weekday", "day", "month", "weekend"))

ENCODED = {
    "number": (Field("x", "number"), 1.5, [1.5]),
    "number, missing": (Field("x", "number"), None, [NAN]),
    "number, NaN": (Field("x", "number"), NAN, [NAN]),
    "integer": (Field("x", "integer"), 3, [3.0]),
    "true": (Field("x", "boolean"), True, [1.0]),
    "false": (Field("x", "boolean"), False, [0.0]),
    "boolean, missing": (Field("x", "boolean"), None, [NAN]),
    "first category": (Field("x", "category", values=("b", "a")), "b", [0.0]),
    "second category": (Field("x", "category", values=("b", "a")), "a", [1.0]),
    "unlisted category": (Field("x", "category", values=("b", "a")), "z", [-1.0]),
    "category, missing": (Field("x", "category", values=("b", "a")), None, [NAN]),
    "category, NaN": (Field("x", "category", values=("b", "a")), NAN, [NAN]),
    "category that is a number": (Field("x", "category", values=("1", "2")), 2, [1.0]),
    "a Wednesday morning": (AT, datetime(2024, 5, 1, 10, 30), [10.0, 2.0, 1.0, 5.0, 0.0]),
    "a Sunday night": (AT, datetime(2024, 12, 29, 23, 59, 59), [23.0, 6.0, 29.0, 12.0, 1.0]),
    "a date as text": (AT, "2024-05-04", [0.0, 5.0, 4.0, 5.0, 1.0]),
    "datetime, missing": (AT, None, [NAN] * 5),
}


@pytest.mark.parametrize(("field", "value", "row"), ENCODED.values(), ids=ENCODED)
def test_a_value_becomes_these_numbers(field: Field, value: Any, row: list[float]) -> None:
    numbers = encode(Schema("m", (field,), OUTPUT), {"x": [value]}).numbers
    np.testing.assert_array_equal(numbers, np.array([row], dtype=np.float32))


MIXED = Schema(
    "m",
    (
        Field("amount", "number"),
        Field("note", "text", case="lower"),
        Field("at", "datetime", parts=("hour", "day")),
        Field("kind", "category", values=("a", "b")),
        Field("paid", "boolean"),
    ),
    OUTPUT,
)
FRAME = pd.DataFrame({
    "amount": [1.5, np.nan, 3.25],
    "note": pd.array(["Hé", None, "ﬁ"], dtype="string"),
    "at": np.array(["2024-05-01T10:00", "NaT", "2024-12-31T23:00"], dtype="datetime64[us]"),
    "kind": pd.array(["b", None, "z"], dtype="string"),
    "paid": pd.array([True, None, False], dtype="boolean"),
})  # fmt: skip
COLUMNS: dict[str, Any] = {str(name): FRAME[name] for name in FRAME}
EXPECTED = [[1.5, 10, 1, 1, 1], [NAN, NAN, NAN, NAN, NAN], [3.25, 23, 31, -1, 0]]


def test_columns_stand_in_schema_order_without_texts() -> None:
    assert MIXED.columns == ("amount", "at.hour", "at.day", "kind", "paid")


def test_the_positions_of_categories_are_known() -> None:
    assert [MIXED.columns[position] for position in MIXED.categorical] == ["kind"]


def test_pandas_columns_with_missing_values_are_encoded() -> None:
    batch = encode(MIXED, COLUMNS)
    np.testing.assert_array_equal(batch.numbers, np.array(EXPECTED, dtype=np.float32))


def test_pandas_columns_and_plain_lists_are_encoded_alike() -> None:
    plain = {name: [None if pd.isna(value) else value for value in COLUMNS[name]] for name in COLUMNS}
    frame, lists = encode(MIXED, COLUMNS), encode(MIXED, plain)
    assert frame.numbers.tobytes() == lists.numbers.tobytes()
    assert [text.tolist() for text in frame.texts] == [text.tolist() for text in lists.texts]


def test_numpy_datetimes_are_encoded() -> None:
    field = Field("at", "datetime", parts=("hour", "day"))
    moments = np.array(["2024-05-01T10:00", "NaT"], dtype="datetime64[ns]")
    numbers = encode(Schema("m", (field,), OUTPUT), {"at": moments}).numbers
    np.testing.assert_array_equal(numbers, np.array([[10, 1], [NAN, NAN]], dtype=np.float32))


def test_text_is_made_uniform() -> None:
    [texts] = encode(MIXED, COLUMNS).texts
    assert texts.tolist() == ["hé", "", "fi"]


def test_the_matrix_is_float32_in_row_order() -> None:
    numbers = encode(MIXED, COLUMNS).numbers
    assert numbers.dtype == np.float32
    assert numbers.flags.c_contiguous


def test_a_schema_of_texts_only_has_an_empty_matrix() -> None:
    batch = encode(Schema("m", (Field("t", "text"),), OUTPUT), {"t": ["a", "b"]})
    assert batch.numbers.shape == (2, 0)
    assert len(batch) == 2


def test_scikit_learn_sees_numbers_then_texts() -> None:
    array = encode(MIXED, COLUMNS).as_array()
    assert array.dtype == object
    assert array.shape == (3, 6)
    assert array[:, 5].tolist() == ["hé", "", "fi"]


def test_scikit_learn_sees_the_matrix_itself_where_there_are_no_texts() -> None:
    batch = encode(Schema("m", (Field("a", "number"),), OUTPUT), {"a": [1.0]})
    assert batch.as_array() is batch.numbers


def test_rows_can_be_taken_from_a_batch() -> None:
    batch = encode(MIXED, COLUMNS).take(np.array([2, 0]))
    assert batch.numbers[:, 0].tolist() == [3.25, 1.5]
    assert batch.texts[0].tolist() == ["fi", "hé"]
