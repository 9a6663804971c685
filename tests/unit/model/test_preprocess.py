"""Preprocessing: positions, missing values and categories come out as they must."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.model.preprocess import Recipe, category_codes, preprocessing
from fairlead.schema import Field, Output, Schema
from fairlead.schema.encode import encode

OUTPUT = Output("regression", "y")
MIXED = Schema(
    "s",
    (
        Field("words", "text"),
        Field("n", "number", missing="allow"),
        Field("colour", "category", values=("red", "blue"), unknown="other", missing="allow"),
        Field("note", "text"),
    ),
    OUTPUT,
)
ROWS = {
    "words": ["red cat", "blue dog", "red dog", ""],
    "n": [1.0, 3.0, None, 5.0],
    "colour": ["red", "blue", None, "green"],
    "note": ["x1", "x1 y2", "y2", "y2 y2"],
}


def prepared(schema, rows, recipe):
    array = encode(schema, rows).as_array()
    found = preprocessing(schema, recipe)
    matrix = array if found is None else found.fit_transform(array)
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)


def test_numbers_are_imputed_by_the_median_and_standardised():
    column = prepared(MIXED, ROWS, Recipe("scaled"))[:, 0]
    assert column == pytest.approx((np.array([1, 3, 3, 5]) - 3) / np.std([1, 3, 3, 5]))


def test_missing_other_and_listed_categories_have_a_column_each():
    one_hot = prepared(MIXED, ROWS, Recipe("scaled"))[:, 1:5]
    assert one_hot.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]


def test_every_text_field_has_its_own_terms():
    matrix = prepared(MIXED, ROWS, Recipe("scaled"))
    assert matrix.shape == (4, 1 + 4 + 4 + 2)  # number, colours, {red blue cat dog}, {x1 y2}


def test_a_longer_run_of_words_is_a_term_only_if_asked():
    one, two = (prepared(MIXED, ROWS, Recipe("scaled", ngrams=n)).shape[1] for n in (1, 2))
    assert two > one


def test_counts_are_never_negative():
    assert prepared(MIXED, ROWS, Recipe("counts")).min() >= 0


def test_trees_get_numbers_as_they_are():
    schema = Schema("s", (Field("n", "number", missing="allow"),), OUTPUT)
    assert preprocessing(schema, Recipe("trees")) is None


def test_forests_get_missing_values_filled_only_where_values_may_be_missing():
    may, never = (
        Schema("s", (Field("n", "number", missing=missing),), OUTPUT) for missing in ("allow", "refuse")
    )
    assert prepared(may, {"n": [1.0, None, 3.0]}, Recipe("trees", fill=True)).ravel().tolist() == [
        1.0,
        2.0,
        3.0,
    ]
    assert preprocessing(never, Recipe("trees", fill=True)) is None


def test_a_column_without_any_value_keeps_its_place():
    schema = Schema(
        "s", (Field("a", "number", missing="allow"), Field("b", "number", missing="allow")), OUTPUT
    )
    matrix = prepared(schema, {"a": [None, None], "b": [1.0, 2.0]}, Recipe("scaled"))
    assert matrix.tolist() == [[0.0, -1.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("missing", "unknown", "codes"),
    [
        pytest.param("refuse", "refuse", [0, 1], id="listed only"),
        pytest.param("refuse", "other", [-1, 0, 1], id="others too"),
        pytest.param("allow", "refuse", [-2, -1, 0, 1], id="missing too"),
    ],
)
def test_a_category_has_the_codes_it_can_have(missing, unknown, codes):
    field = Field("c", "category", values=("x", "y"), missing=missing, unknown=unknown)
    assert category_codes(Schema("s", (field,), OUTPUT))[0].tolist() == codes


def test_an_unseen_category_at_prediction_is_no_error():
    schema = Schema("s", (Field("c", "category", values=("x", "y")),), OUTPUT)
    fitted = preprocessing(schema, Recipe("scaled")).fit(np.array([[0.0], [1.0]], np.float32))
    assert fitted.transform(np.array([[-1.0]], np.float32)).sum() == 0
