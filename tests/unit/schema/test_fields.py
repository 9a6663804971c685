"""``schema.json``: the same schema is the same text, and comes back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.schema import Field, Output, Schema, SeriesShape

text = st.text(max_size=8)
bound = st.none() | st.floats(allow_nan=False, allow_infinity=False)
fields = st.builds(
    Field,
    name=text,
    kind=st.sampled_from(["number", "integer", "boolean", "category", "text", "datetime"]),
    unit=text,
    minimum=bound,
    maximum=bound,
    values=st.lists(text, max_size=3).map(tuple),
    missing=st.sampled_from(["refuse", "allow"]),
    unknown=st.sampled_from(["refuse", "other"]),
    parts=st.lists(st.sampled_from(["hour", "day"]), unique=True).map(tuple),
)
outputs = st.builds(
    Output,
    task=st.sampled_from(["classification", "regression", "forecast", "clustering"]),
    classes=st.lists(text, max_size=3).map(tuple),
    threshold=st.floats(0, 1),
)
shapes = st.builds(
    SeriesShape,
    keys=st.lists(text, max_size=3).map(tuple),
    every=st.sampled_from(["hour", "day", "week"]),
    window=st.integers(2, 50),
    horizon=st.integers(1, 9),
    season=st.integers(1, 9),
)
schemas = st.builds(
    Schema,
    name=text,
    fields=st.lists(fields, max_size=3).map(tuple),
    output=outputs,
    series=st.none() | shapes,
)


@given(schemas)
def test_a_schema_comes_back_from_json_as_it_was(schema: Schema) -> None:
    assert Schema.from_json(schema.to_json()) == schema


@given(schemas)
def test_a_schema_that_came_back_is_the_same_text(schema: Schema) -> None:
    assert Schema.from_json(schema.to_json()).to_json() == schema.to_json()


def test_a_later_version_is_refused() -> None:
    raw = json.loads(Schema("m", (), Output("regression")).to_json())
    with pytest.raises(ValueError, match="schema version is 2, this fairlead reads 1"):
        Schema.from_json(json.dumps(raw | {"version": 2}))


def test_a_changed_threshold_leaves_the_rest() -> None:
    schema = Schema("m", (Field("a", "number"),), Output("classification", classes=("0", "1")))
    assert schema.with_output(threshold=0.7).output.threshold == 0.7
    assert schema.with_output(threshold=0.5) == schema


def test_a_field_is_found_by_name() -> None:
    schema = Schema("m", (Field("a", "number"),), Output("regression"))
    assert schema.field("a").kind == "number"
    with pytest.raises(KeyError):
        schema.field("b")
