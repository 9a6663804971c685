"""Permutation importance, by field."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.model.importance import agreement, measure_of, permutation_importance
from fairlead.schema import Batch, Field, Output, Schema, SeriesShape

REGRESSION = Output("regression", target="y")
FIELDS = (
    Field("useless", "number"),
    Field("note", "text"),
    Field("at", "datetime", parts=("hour", "weekday")),
    Field("strong", "number"),
)
SCHEMA = Schema("toy", FIELDS, REGRESSION)


def batch(rows: int = 400) -> Batch:
    generator = np.random.default_rng(0)
    numbers = np.column_stack([
        generator.normal(size=rows), generator.integers(0, 24, rows), generator.integers(0, 7, rows),
        generator.normal(size=rows),
    ])  # fmt: skip
    return Batch(numbers.astype(np.float32), (generator.choice(["good", "bad"], size=rows).astype(object),))


def answer(array) -> np.ndarray:
    """10 times strong, 3 for a good note, and whether hour and weekday are both even."""
    hour, weekday, strong, note = (array[:, place] for place in (1, 2, 3, 4))
    both = (hour.astype(float) % 2 == 0) & (weekday.astype(float) % 2 == 0)
    return (10 * strong.astype(float) + 3 * (note == "good") + both)[:, None]


def found(**options):
    rows = batch()
    measure, higher = measure_of(REGRESSION, answer(rows.as_array())[:, 0], "mae")
    return permutation_importance(SCHEMA, rows, answer, measure, higher_is_better=higher, **options)


def test_fields_come_in_the_order_of_what_they_give() -> None:
    assert [one.field for one in found()] == ["strong", "note", "at", "useless"]


def test_a_field_the_model_does_not_read_loses_nothing() -> None:
    assert found()[-1].loss == 0


def test_losing_a_text_field_costs_what_it_gives() -> None:
    [note] = [one for one in found(repeats=10) if one.field == "note"]
    assert note.loss == pytest.approx(1.5, abs=0.1)


def test_the_same_seed_gives_the_same_importance() -> None:
    assert found(seed=3) == found(seed=3)


def test_no_more_rows_are_asked_than_allowed() -> None:
    asked = []

    def ask(array):
        asked.append(len(array))
        return answer(array)

    rows = batch()
    measure, _ = measure_of(REGRESSION, answer(rows.as_array())[:, 0], "mae")
    permutation_importance(SCHEMA, rows, ask, measure, higher_is_better=False, most_rows=50, repeats=2)
    assert asked == [50] * (1 + 2 * len(FIELDS))


def test_the_encoded_rows_are_left_as_they_were() -> None:
    rows = batch()
    before = rows.numbers.copy()
    measure, _ = measure_of(REGRESSION, answer(rows.as_array())[:, 0], "mae")
    permutation_importance(SCHEMA, rows, answer, measure, higher_is_better=False)
    assert (rows.numbers == before).all()


def test_a_forecast_has_the_importance_of_its_features() -> None:
    schema = Schema(
        "demand", (), Output("forecast"), SeriesShape(("a",), "day", window=7, horizon=2, season=7)
    )
    rows = Batch(np.random.default_rng(0).normal(size=(100, len(schema.columns))).astype(np.float32))
    actual = rows.numbers[:, 2].astype(np.float64)
    measure, higher = measure_of(schema.output, actual, "mase", scale=np.ones(100))
    result = permutation_importance(
        schema, rows, lambda array: array[:, [2]].astype(float), measure, higher_is_better=higher
    )
    assert len(result) == len(schema.columns)
    assert result[0].field == "seasonal_naive"


def test_clustering_counts_rows_that_change_their_cluster() -> None:
    schema = Schema(
        "segments", (Field("a", "number"), Field("b", "number")), Output("clustering", clusters=2)
    )
    rows = Batch(np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))

    def ask(array):
        return np.column_stack([array[:, 0], -array[:, 0]])

    measure, higher = agreement(ask(rows.numbers))
    first, second = permutation_importance(schema, rows, ask, measure, higher_is_better=higher)
    assert (first.field, second.field, second.loss) == ("a", "b", 0.0)
    assert first.loss == pytest.approx(0.5, abs=0.1)
