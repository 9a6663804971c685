from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead.bundle.hard_rows import hard_rows
from fairlead.bundle.thresholds import around, split_thresholds
from fairlead.schema import Batch, Field, Output, Schema, SeriesShape

REGRESSION = Output("regression")


def values_of(field: Field, heldout: list[float], thresholds: list[float] | None = None) -> list[Any]:
    """What is tried in the only column of a schema; NaN as None."""
    rows = Batch(np.array(heldout, np.float32)[:, None])
    splits = {0: np.array(thresholds)} if thresholds else {}
    made = hard_rows(Schema("s", (field,), REGRESSION), rows, splits).numbers[:, 0]
    return [None if np.isnan(value) else float(value) for value in made]


def test_both_sides_of_a_split_threshold_are_tried() -> None:
    middle = np.float32(0.1)
    tried = values_of(Field("x", "number"), [0.0, 1.0], [0.1])
    neighbours = [np.nextafter(middle, np.float32(0)), middle, np.nextafter(middle, np.float32(1))]
    assert set(map(float, neighbours)) <= set(tried)


@pytest.mark.parametrize(
    ("field", "heldout", "expected"),
    [
        pytest.param(
            Field("x", "category", values=("a", "b", "c")), [0.0, 1.0], [0, 1, 2], id="every listed category"
        ),
        pytest.param(
            Field("x", "category", values=("a", "b"), unknown="other"), [0.0], [-1, 0, 1], id="other, where it may come"
        ),
        pytest.param(
            Field("x", "category", values=("a",), missing="allow"), [0.0], [0, None], id="missing, where it may be"
        ),
        pytest.param(Field("x", "boolean"), [0.0], [0, 1], id="both truth values"),
        pytest.param(Field("x", "number", minimum=-5, maximum=7), [1.0], [-5, 1, 7], id="limits of the contract"),
        pytest.param(Field("x", "integer"), [1.0, 4.0], [1, 4], id="integers stay integers"),
    ],
)  # fmt: skip
def test_values_tried(field: Field, heldout: list[float], expected: list[Any]) -> None:
    assert sorted(values_of(field, heldout), key=str) == sorted(
        (None if one is None else float(one) for one in expected), key=str
    )


def test_values_that_the_contract_refuses_are_not_tried() -> None:
    tried = values_of(Field("x", "number", minimum=0, maximum=1), [0.5], [-3.0, 0.7, 12.0])
    assert min(tried) >= 0
    assert max(tried) <= 1


def test_missing_is_not_tried_where_it_is_refused() -> None:
    assert None not in values_of(Field("x", "number"), [1.0, 2.0])


def test_split_thresholds_of_integers_become_the_integers_around_them() -> None:
    assert {2.0, 3.0} <= set(values_of(Field("x", "integer"), [0.0, 9.0], [2.5]))


def test_unknown_series_are_tried() -> None:
    shape = SeriesShape(("a", "b"), "day", window=7, horizon=2, season=7)
    schema = Schema("s", (), Output("forecast"), series=shape)
    rows = Batch(np.zeros((3, len(schema.columns)), np.float32))
    assert {-1.0, 0.0, 1.0} <= set(hard_rows(schema, rows, {}).numbers[:, 0].tolist())


def test_many_thresholds_are_sampled_to_the_limit() -> None:
    rows = Batch(np.zeros((3, 1), np.float32))
    schema = Schema("s", (Field("x", "number"),), REGRESSION)
    made = hard_rows(schema, rows, {0: np.linspace(0, 1, 50_000)}, most=1_000)
    assert len(made) == 1_000


def test_other_columns_keep_values_of_held_out_rows() -> None:
    rows = Batch(np.array([[1.0, 10.0], [2.0, 20.0]], np.float32))
    schema = Schema("s", (Field("x", "number"), Field("y", "number")), REGRESSION)
    pairs = {tuple(row) for row in hard_rows(schema, rows, {}).numbers.tolist()}
    assert pairs <= {(x, y) for x in (1.0, 2.0) for y in (10.0, 20.0)}


def test_no_held_out_rows_give_no_rows() -> None:
    schema = Schema("s", (Field("x", "number"),), REGRESSION)
    assert len(hard_rows(schema, Batch(np.empty((0, 1), np.float32)), {})) == 0


def test_texts_are_made_hard_in_the_schemas_case_and_length() -> None:
    rows = Batch(np.empty((2, 0), np.float32), (np.array(["hello there", "été"], dtype=object),))
    schema = Schema("s", (Field("body", "text", case="lower", max_length=100),), REGRESSION)
    texts = hard_rows(schema, rows, {}).texts[0].tolist()
    assert "" in texts
    assert all(text == text.lower() for text in texts)
    assert max(map(len, texts)) == 100
    assert any("é" in text for text in texts)


ROWS = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
TARGET = (ROWS[:, 0] > 0.3).astype(int)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(RandomForestClassifier(3, random_state=0), id="forest"),
        pytest.param(GradientBoostingRegressor(n_estimators=3), id="boosting"),
        pytest.param(HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=5), id="histogram boosting"),
        pytest.param(make_pipeline("passthrough", RandomForestClassifier(3, random_state=0)), id="pipeline"),
    ],
)
def test_split_thresholds_are_where_the_answer_changes(model: Any) -> None:
    model.fit(ROWS, TARGET)
    splits = split_thresholds(model)[0]
    assert np.any(np.abs(splits - 0.3) < 0.2)
    assert np.all(np.diff(splits) > 0)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(LogisticRegression(), id="no trees"),
        pytest.param(make_pipeline(StandardScaler(), RandomForestClassifier(3)), id="trees on other columns"),
        pytest.param(
            make_pipeline(ColumnTransformer([("swap", "passthrough", [1, 0])]), RandomForestClassifier(3)),
            id="trees on swapped columns",
        ),
    ],
)
def test_models_without_splits_on_request_columns_have_none(model: Any) -> None:
    assert split_thresholds(model.fit(ROWS, TARGET)) == {}


def test_category_splits_are_not_thresholds() -> None:
    codes = np.column_stack([np.arange(80) % 4, ROWS[:, 0]]).astype(np.float32)
    model = HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=5, categorical_features=[0])
    assert 0 not in split_thresholds(model.fit(codes, np.arange(80) % 4))


def test_neighbours_of_a_threshold_that_float32_cannot_hold_enclose_it() -> None:
    low, _, high = around(np.array([0.1])).tolist()
    assert low < 0.1 < high
