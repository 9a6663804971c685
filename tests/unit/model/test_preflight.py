"""`fairlead check` finds out in seconds what would fail after minutes."""

from __future__ import annotations

import pytest
from tests.unit.model.snapshots import project_of

from fairlead.errors import ProjectError, UserCodeError
from fairlead.model.candidates import CANDIDATES
from fairlead.model.preflight import draft_schema, preflight
from fairlead.records import Workspace
from fairlead.spec import Contract

COLUMNS = {
    "amount": {"type": "number", "minimum": 0, "missing": "allow"},
    "count": {"type": "integer", "maximum": -3},
    "urgent": {"type": "boolean"},
    "channel": {"type": "category", "values": ["web", "shop"], "unknown": "other"},
    "seen": {"type": "datetime"},
    "note": {"type": "text", "missing": "allow"},
    "customer": {"type": "text", "use": "identifier"},
}


def workspace(root, task, candidates, *, columns=None, target="category", **model):
    chosen = dict(columns or COLUMNS)
    if task in ("classification", "regression"):
        chosen["target"] = {"type": target} | ({"values": ["a", "b", "c"]} if target == "category" else {})
    contract = Contract.model_validate({"apiVersion": "fairlead.contract/v1", "columns": chosen})
    return Workspace(root, project_of(task, candidates, model=model), contract, "0" * 64)


@pytest.mark.parametrize("task", list(CANDIDATES))
def test_every_built_in_candidate_passes_on_every_kind_of_column(task, tmp_path):
    preflight(
        workspace(
            tmp_path, task, list(CANDIDATES[task]), target="number" if task == "regression" else "category"
        )
    )


def test_the_draft_has_the_features_of_the_contract_and_the_classes_it_lists(tmp_path):
    schema = draft_schema(workspace(tmp_path, "classification", ["logistic"]))
    assert [field.name for field in schema.fields] == ["amount", "count", "urgent", "channel", "seen", "note"]
    assert schema.output.classes == ("a", "b", "c")


OWN = """
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer, StandardScaler

def by_position(schema):
    return ColumnTransformer([("numbers", StandardScaler(), [schema.columns.index("count")])])

def by_name(schema):
    return ColumnTransformer([("numbers", StandardScaler(), ["count"])])

def unsaved(schema):
    return ColumnTransformer([("numbers", FunctionTransformer(lambda X: X), [schema.columns.index("count")])])

def fails():
    raise KeyError("licence")
"""


@pytest.mark.parametrize(
    ("features", "candidate", "error", "message"),
    [
        pytest.param("own_code:by_name", "logistic", UserCodeError, r"own_code:by_name.*name \(\['count'\]\)", id="needs pandas"),
        pytest.param("own_code:unsaved", "logistic", UserCodeError, "skops cannot save", id="cannot be saved"),
        pytest.param("own_code:absent", "logistic", UserCodeError, "no function 'absent'", id="no such function"),
        pytest.param("gone_code:build", "logistic", UserCodeError, "no module 'gone_code'", id="no such module"),
        pytest.param(None, {"use": "own_code:fails"}, UserCodeError, "candidate fails.*KeyError", id="raises"),
        pytest.param(None, "logistics", ProjectError, "no candidate for classification", id="unknown name"),
        pytest.param(
            None, {"name": "logistic", "space": {"C": [-1.0]}}, UserCodeError, "logistic: fitting it raised", id="bad value"
        ),
    ],
)  # fmt: skip
def test_what_would_fail_later_fails_now(features, candidate, error, message, tmp_path):
    (tmp_path / "own_code.py").write_text(OWN)
    with pytest.raises(error, match=message):
        preflight(workspace(tmp_path, "classification", [candidate], features=features))


def test_own_features_by_position_pass(tmp_path):
    (tmp_path / "own_code.py").write_text(OWN)
    preflight(
        workspace(tmp_path, "classification", ["logistic", "random_forest"], features="own_code:by_position")
    )
