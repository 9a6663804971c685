"""Every candidate of every task can be built, fitted on arrays, asked, saved without pickle, and loaded."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.model.snapshots import (
    cancer,
    demand,
    diabetes,
    iris,
    project_of,
    segments,
    texts,
    write_snapshot,
)

from fairlead.errors import ProjectError, UserCodeError
from fairlead.model.candidates import CANDIDATES, built_in, contenders
from fairlead.model.fit import ask, fit, target_of
from fairlead.model.persist import save
from fairlead.model.rows import read_rows
from fairlead.model.space import draw

EVERY = [(task, name) for task, entries in CANDIDATES.items() for name in entries]


def rows_of(task, folder, sample=None):
    if task == "forecast":
        dataset, schema = write_snapshot(folder, *demand(80)), demand(80)[0]
    else:
        sample = sample or {"classification": cancer, "regression": diabetes, "clustering": segments}[task]()
        dataset, schema = sample.write(folder), sample.schema
    project = project_of(task, [next(iter(built_in(task)))])
    return schema, read_rows(folder, "train", schema, project), dataset


def contender_of(task, entry, schema, root, **model):
    [found] = contenders(project_of(task, [entry], model=model), root, schema)
    return found


def fitted(contender, schema, rows):
    pipeline, _ = fit(
        contender, draw(contender.space, np.random.default_rng(0)), rows.array, target_of(schema.output, rows)
    )
    return pipeline


@pytest.mark.parametrize(("task", "name"), EVERY, ids=[f"{task}-{name}" for task, name in EVERY])
def test_a_candidate_answers_the_same_after_being_saved_and_loaded(task, name, tmp_path):
    schema, rows, _ = rows_of(task, tmp_path / "d")
    pipeline = fitted(contender_of(task, name, schema, tmp_path), schema, rows)
    again = save(pipeline, tmp_path).again
    expected = ask(pipeline, schema.output, rows.array)
    assert np.isfinite(expected).all()
    assert np.array_equal(expected, ask(again, schema.output, rows.array))


@pytest.mark.parametrize("name", list(CANDIDATES["classification"]))
@pytest.mark.parametrize("with_number", [True, False], ids=["texts and a number", "texts only"])
def test_a_candidate_reads_texts(name, with_number, tmp_path):
    sample = texts(with_number=with_number)
    schema, rows, _ = rows_of("classification", tmp_path / "d", sample)
    answers = ask(
        fitted(contender_of("classification", name, schema, tmp_path), schema, rows),
        schema.output,
        rows.array,
    )
    right = np.array(schema.output.classes)[answers.argmax(axis=1)] == rows.actual
    assert right.mean() > 0.9


@pytest.mark.parametrize("name", list(CANDIDATES["classification"]))
def test_a_candidate_handles_three_classes_in_the_order_of_the_schema(name, tmp_path):
    schema, rows, _ = rows_of("classification", tmp_path / "d", iris())
    answers = ask(
        fitted(contender_of("classification", name, schema, tmp_path), schema, rows),
        schema.output,
        rows.array,
    )
    assert answers.sum(axis=1) == pytest.approx(1.0)
    right = np.array(schema.output.classes)[answers.argmax(axis=1)] == rows.actual
    assert right.mean() > 0.8


def test_a_built_in_space_can_be_replaced_parameter_by_parameter(tmp_path):
    entry = {"name": "hist_gradient_boosting", "space": {"max_iter": [7]}}
    contender = contender_of("regression", entry, diabetes().schema, tmp_path)
    parameters = draw(contender.space, np.random.default_rng(0))
    assert parameters["max_iter"] == 7
    assert contender.estimator(parameters).max_iter == 7
    assert "learning_rate" in parameters


def test_categories_are_native_only_if_the_space_says_so(tmp_path):
    schema = cancer().schema
    plain = contender_of("classification", "hist_gradient_boosting", schema, tmp_path)
    entry = {"name": "hist_gradient_boosting", "space": {"native_categories": [True]}}
    native = contender_of("classification", entry, schema, tmp_path)
    assert plain.estimator({}).categorical_features is None
    assert native.estimator({"native_categories": True}).categorical_features == list(schema.categorical)


def test_native_categories_can_be_saved(tmp_path):
    schema, rows, _ = rows_of("classification", tmp_path / "d")
    entry = {"name": "hist_gradient_boosting", "space": {"native_categories": [True], "max_iter": [3]}}
    pipeline = fitted(contender_of("classification", entry, schema, tmp_path), schema, rows)
    again = save(pipeline, tmp_path).again
    assert np.array_equal(ask(pipeline, schema.output, rows.array), ask(again, schema.output, rows.array))


def test_every_random_state_is_seeded(tmp_path):
    contender = contender_of(
        "classification", "random_forest", cancer().schema, tmp_path, search={"seed": 11}
    )
    assert contender.estimator({}).random_state == 11


@pytest.mark.parametrize(
    ("task", "entry", "message", "hint"),
    [
        pytest.param("classification", "logstic", "no candidate for classification", "Did you mean 'logistic'", id="misspelt"),
        pytest.param("regression", "kmeans", "no candidate for regression", "There are: hist_", id="of another task"),
        pytest.param(
            "regression", {"name": "ridge", "space": {"alfa": [1]}}, "no parameter 'alfa'", "'alpha'", id="parameter"
        ),
        pytest.param(
            "regression", {"name": "ridge", "space": {"alpha": {"low": 0, "high": 1, "step": 0}}},
            "ridge.alpha: step = 0 must be", "", id="space",
        ),
    ],
)  # fmt: skip
def test_a_wrong_name_is_refused_with_the_nearest_one(task, entry, message, hint, tmp_path):
    with pytest.raises(ProjectError, match=message) as caught:
        contender_of(task, entry, diabetes().schema, tmp_path)
    assert hint in caught.value.hint


def test_a_candidate_named_twice_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="has 'ridge' twice"):
        contenders(project_of("regression", ["ridge", {"name": "ridge"}]), tmp_path, diabetes().schema)


# ------------------------------------------------------------------------------------------ the project's own


def own(tmp_path, module, source, task="classification", **entry):
    (tmp_path / f"{module}.py").write_text(source)
    schema = {"classification": cancer, "regression": diabetes, "clustering": segments}[task]().schema
    return contender_of(task, {"use": f"{module}:make", **entry}, schema, tmp_path)


def test_an_own_estimator_gets_fairleads_preprocessing_and_the_trials_parameters(tmp_path):
    source = "from sklearn.svm import SVC\ndef make(C):\n    return SVC(C=C, probability=True)\n"
    contender = own(tmp_path, "own_svm", source, space={"C": [3.0]})
    pipeline = contender.pipeline({"C": 3.0})
    assert [name for name, _ in pipeline.steps] == ["features", "model"]
    assert (contender.name, pipeline[-1].C) == ("make", 3.0)


def test_an_own_pipeline_prepares_its_features_itself(tmp_path):
    source = (
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.impute import SimpleImputer\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "def make():\n    return make_pipeline(SimpleImputer(), LogisticRegression())\n"
    )
    assert [name for name, _ in own(tmp_path, "own_pipeline", source).pipeline({}).steps] == ["model"]


@pytest.mark.parametrize(
    ("module", "source", "task", "message"),
    [
        pytest.param("own_none", "def make():\n    return None\n", "regression", "returned NoneType, which is not", id="nothing"),
        pytest.param(
            "own_class", "from sklearn.linear_model import Ridge\ndef make():\n    return Ridge\n", "regression",
            "which is not a scikit-learn estimator", id="a class",
        ),
        pytest.param(
            "own_ridge", "from sklearn.linear_model import Ridge\ndef make():\n    return Ridge()\n", "classification",
            "Ridge, which has no predict_proba; classification needs it", id="no probabilities",
        ),
        pytest.param(
            "own_dbscan", "from sklearn.cluster import DBSCAN\ndef make():\n    return DBSCAN()\n", "clustering",
            "has no transform or predict_proba", id="cannot assign new rows",
        ),
    ],
)  # fmt: skip
def test_an_own_function_that_returns_something_else_is_refused(module, source, task, message, tmp_path):
    contender = own(tmp_path, module, source, task)
    with pytest.raises(UserCodeError, match=message):
        contender.pipeline({})


def test_a_wrong_import_path_is_refused_with_the_nearest_function(tmp_path):
    (tmp_path / "own_names.py").write_text("def make_model():\n    return None\n")
    with pytest.raises(UserCodeError, match="no function 'make_mode'") as caught:
        contender_of("regression", {"use": "own_names:make_mode"}, diabetes().schema, tmp_path)
    assert "make_model" in caught.value.hint
