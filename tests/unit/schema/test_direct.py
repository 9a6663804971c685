"""The short way from rows to a batch against the long one: the same batch, or no answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.schema import Field, Output, Schema
from fairlead.schema.direct import DirectReader
from fairlead.schema.encode import encode
from fairlead.schema.validate import validate_rows

SCHEMA = Schema(
    name="mixed",
    fields=(
        Field("country", "category", values=("AT", "DE"), case="upper"),
        Field("amount", "number", minimum=0.0, maximum=100.0),
        Field("count", "integer", missing="allow"),
        Field("at", "datetime", parts=("hour", "weekend", "day")),
        Field("abroad", "boolean"),
        Field("channel", "category", values=("app", "shop"), unknown="other"),
        Field("ratio", "number"),
    ),
    output=Output("regression"),
)
GOOD = {
    "country": "de",
    "amount": 12,
    "count": 3.0,
    "at": "2024-05-01T23:30:00+02:00",
    "abroad": True,
    "channel": "app",
    "ratio": -0.5,
}
READ = DirectReader(SCHEMA)

VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**40), 10**40),
    st.booleans(),
    st.none(),
    st.sampled_from(["AT", "de", "app", "FR", "", "2024-05-01", "2024-05-01T12:00:00Z", "31.12.2024"]),
    st.lists(st.integers(), max_size=1),
)


def checked(rows: list[Any]) -> np.ndarray[Any, Any] | None:
    """The long way."""
    columns, errors = validate_rows(SCHEMA, rows)
    return None if errors else encode(SCHEMA, columns).numbers


def test_a_plain_row_is_read_directly() -> None:
    batch = READ([GOOD, GOOD | {"amount": 0.1, "country": "AT"}])

    assert batch is not None
    np.testing.assert_array_equal(batch.numbers, checked([GOOD, GOOD | {"amount": 0.1, "country": "AT"}]))


@given(st.lists(st.fixed_dictionaries({name: st.one_of(st.just(value), VALUES) for name, value in GOOD.items()},
                                      optional={"other": st.just(1)}), min_size=1, max_size=4))  # fmt: skip
def test_what_is_read_directly_is_what_the_checks_would_give(rows: list[dict[str, Any]]) -> None:
    batch = READ(rows)

    if batch is not None:
        np.testing.assert_array_equal(batch.numbers, checked(rows))


@given(
    amount=st.one_of(st.floats(0, 100), st.integers(0, 100)),
    count=st.integers(-(2**53) + 1, 2**53 - 1),
    ratio=st.floats(-1e15, 1e15),
    at=st.datetimes(),
)
def test_every_row_of_plain_values_is_read_directly(amount: float, count: int, ratio: float, at: Any) -> None:
    row = GOOD | {"amount": amount, "count": count, "ratio": ratio, "at": at.isoformat()}

    assert READ([row]) is not None


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({}, id="empty"),
        pytest.param([], id="a list"),
        pytest.param("text", id="a text"),
        pytest.param(None, id="nothing"),
        pytest.param(GOOD | {"amount": True}, id="true for a number"),
        pytest.param(GOOD | {"amount": 100.5}, id="too large"),
        pytest.param(GOOD | {"count": 1.5}, id="not whole"),
        pytest.param(GOOD | {"count": None}, id="missing"),
        pytest.param(GOOD | {"abroad": 1}, id="one for true"),
        pytest.param(GOOD | {"country": "FR"}, id="not listed"),
        pytest.param(GOOD | {"channel": "post"}, id="another category"),
        pytest.param(GOOD | {"ratio": 1e39}, id="beyond float32"),
        pytest.param(GOOD | {"count": 2**53 + 1}, id="rounded as a float"),
        pytest.param(GOOD | {"other": 1}, id="unknown field"),
        pytest.param({**{k: v for k, v in GOOD.items() if k != "ratio"}, "other": 1}, id="one for another"),
    ],
)
def test_a_row_that_needs_a_closer_look_is_left_to_the_checks(row: Any) -> None:
    assert READ([GOOD, row]) is None


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((Field("x", "number"),), id="one number"),
        pytest.param((Field("x", "integer"), Field("y", "number")), id="numbers"),
        pytest.param((Field("x", "boolean"),), id="no numbers"),
    ],
)
def test_a_schema_of_few_fields_is_read_directly(fields: tuple[Field, ...]) -> None:
    schema = Schema(name="few", fields=fields, output=Output("regression"))
    row = {field.name: True if field.kind == "boolean" else 2 for field in fields}

    batch = DirectReader(schema)([row, row])

    assert batch is not None
    np.testing.assert_array_equal(batch.numbers, encode(schema, validate_rows(schema, [row, row])[0]).numbers)


def test_texts_are_always_checked() -> None:
    schema = Schema(
        name="t", fields=(Field("x", "number"), Field("body", "text")), output=Output("regression")
    )

    assert DirectReader(schema)([{"x": 1, "body": "a"}]) is None
