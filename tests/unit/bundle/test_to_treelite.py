from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fairlead.bundle.formats import NotSupportedError
from fairlead.bundle.to_treelite import to_treelite
from fairlead.schema import Field, Output, Schema
from fairlead.schema.answers import answers_of
from fairlead.serve.backends import open_backend

ROWS = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
TARGET = np.where(ROWS[:, 0] + ROWS[:, 1] > 0, "yes", "no")
SCHEMA = Schema(
    "s",
    tuple(Field(name, "number") for name in "abc"),
    Output("classification", classes=("no", "yes"), positive="yes"),
)
TREES = RandomForestClassifier(5, random_state=0)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(TREES, id="forest"),
        pytest.param(ExtraTreesClassifier(5, random_state=0), id="extra trees"),
        pytest.param(HistGradientBoostingClassifier(max_iter=5), id="histogram boosting"),
        pytest.param(make_pipeline("passthrough", TREES), id="behind passthrough"),
        pytest.param(make_pipeline(FunctionTransformer(), TREES), id="behind the identity"),
        pytest.param(
            make_pipeline(ColumnTransformer([("all", "passthrough", [0, 1, 2])]), TREES),
            id="behind all columns in order",
        ),
    ],
)
def test_trees_on_the_raw_matrix_are_exact(tmp_path: Any, model: Any) -> None:
    model.fit(ROWS, TARGET)
    file = tmp_path / "model.treelite"
    file.write_bytes(to_treelite(model, SCHEMA))
    from fairlead.schema import Batch

    answers = open_backend("treelite", file, SCHEMA)(Batch(ROWS))
    np.testing.assert_allclose(answers, answers_of(model, "classification", ROWS), atol=1e-12)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        pytest.param(LogisticRegression(), "not a tree ensemble", id="no trees"),
        pytest.param(make_pipeline(StandardScaler(), TREES), "StandardScaler comes before", id="behind a scaler"),
        pytest.param(
            make_pipeline(ColumnTransformer([("swap", "passthrough", [2, 1, 0])]), TREES),
            "ColumnTransformer comes before", id="behind swapped columns",
        ),
        pytest.param(
            make_pipeline(ColumnTransformer([("two", "passthrough", [0, 1])]), TREES),
            "ColumnTransformer comes before", id="behind fewer columns",
        ),
    ],
)  # fmt: skip
def test_other_models_are_not_supported(model: Any, reason: str) -> None:
    with pytest.raises(NotSupportedError, match=reason):
        to_treelite(model.fit(ROWS, TARGET), SCHEMA)


def test_models_that_read_text_are_not_supported(make: ModuleType) -> None:
    made = make.text()
    with pytest.raises(NotSupportedError, match="numbers only"):
        to_treelite(made.estimator, made.schema)
