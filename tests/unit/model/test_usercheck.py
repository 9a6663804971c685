"""The project's own transformers: what needs pandas is told apart from what is broken."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fairlead.errors import UserCodeError
from fairlead.model.usercheck import check_reads_arrays, few_rows

ROWS = np.arange(20, dtype=np.float32).reshape(10, 2)


class ByName(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.top_ = X["amount"].max()
        return self

    def transform(self, X):
        return X[["amount"]] / self.top_


class Broken(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        raise ZeroDivisionError("no rows of that kind")

    def transform(self, X):
        return X


def ratio(X):
    return X[:, [0]] / (X[:, [1]] + 1)


def checked(make):
    return check_reads_arrays("features:build", make, ROWS, ["amount", "fee"], None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: ColumnTransformer([("a", StandardScaler(), ["amount"])]),
            r"ColumnTransformer selects columns by name \(\['amount'\]\)", id="columns by name",
        ),
        pytest.param(
            lambda: make_pipeline(ColumnTransformer([("a", StandardScaler(), make_column_selector(dtype_include=float))])),
            "selects columns by a callable", id="columns by data type, inside a pipeline",
        ),
        pytest.param(ByName, "ByName works on a DataFrame but not on an array .*needs pandas", id="indexes by name"),
        pytest.param(
            lambda: FunctionTransformer(lambda X: X.assign(b=1)), "works on a DataFrame but not", id="calls a method of it"
        ),
        pytest.param(
            lambda: StandardScaler().set_output(transform="pandas"), "gives a DataFrame; it needs pandas", id="gives one back"
        ),
    ],
)  # fmt: skip
def test_what_needs_pandas_is_refused_by_name_with_a_way_out(make, message):
    with pytest.raises(UserCodeError, match=message) as caught:
        checked(make)
    assert caught.value.message.startswith("features:build: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            Broken, "fitting it raised ZeroDivisionError: no rows of that kind", id="raises when fitted"
        ),
        pytest.param(lambda: 1 / 0, "calling it raised ZeroDivisionError", id="raises when called"),
        pytest.param(lambda: None, "returned None, which has no method fit", id="returns nothing"),
        pytest.param(lambda: StandardScaler, "has no method fit", id="returns a class"),
    ],
)
def test_what_is_broken_is_not_blamed_on_pandas(make, message):
    with pytest.raises(UserCodeError, match=message) as caught:
        checked(make)
    assert "pandas" not in caught.value.message


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(StandardScaler, id="scaler"),
        pytest.param(
            lambda: ColumnTransformer([("a", StandardScaler(), [0])], remainder="passthrough"),
            id="by position",
        ),
        pytest.param(lambda: FunctionTransformer(ratio), id="function of arrays"),
    ],
)
def test_what_reads_arrays_passes(make):
    assert checked(make).transform(ROWS).shape[0] == 10


def test_a_few_rows_hold_every_class():
    target = np.array([0] * 500 + [1] * 3)
    assert set(target[few_rows(target, 503)]) == {0, 1}
