"""The whole stage on small real data: what it writes, logs, refuses and repeats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.unit.model.snapshots import (
    Noted,
    Remembered,
    Sample,
    cancer,
    demand,
    diabetes,
    project_of,
    segments,
    texts,
    workspace_of,
    write_snapshot,
)

from fairlead.bundle.canonical import canonical_skops
from fairlead.errors import DataError, GateFailed, TrainingError, UserCodeError
from fairlead.heldout import load_heldout
from fairlead.model import stage
from fairlead.model.evaluation import Evaluation
from fairlead.model.persist import load
from fairlead.records import Candidate, ModelVersion
from fairlead.schema import Schema
from fairlead.schema.answers import answers_of

MONEY = {
    "currency": "EUR",
    "true_positive": 10,
    "false_positive": -1,
    "false_negative": -40,
    "true_negative": 0,
}


class Ran:
    """One run of the stage in a folder of its own."""

    def __init__(self, folder: Path, project, dataset, champion=None) -> None:
        self.folder, self.tracker, self.noted = folder, Remembered(), Noted()
        self.workspace = workspace_of(folder / "project", project)
        self.dataset, self.champion = dataset, champion

    def trials(self):
        return stage.search(
            self.workspace, self.dataset, 0, self.tracker, self.noted, self.folder / "trials.jsonl"
        )

    def run(self, trials=None):
        found = self.trials() if trials is None else trials
        out, page = self.folder / "candidate", self.folder / "page.html"
        return stage.run(
            self.workspace, self.dataset, found, self.champion, self.tracker, self.noted, out, page
        )


def ran(tmp_path, task, candidates, sample=None, **changes):
    if task == "forecast":
        dataset = write_snapshot(tmp_path / "dataset", *demand())
    else:
        chosen = sample or {"classification": cancer, "regression": diabetes, "clustering": segments}[task]()
        dataset = chosen.write(tmp_path / "dataset")
    return Ran(tmp_path, project_of(task, candidates, **changes), dataset)


@pytest.fixture(scope="module")
def cancer_run(tmp_path_factory):
    """Two classes with money, slices and a gate that lets through; run once."""
    made = ran(
        tmp_path_factory.mktemp("cancer"), "classification", ["logistic", "hist_gradient_boosting"],
        problem={"value": MONEY},
        model={"slices": ["size"], "gates": [{"metric": "roc_auc", "at_least": 0.9, "better_than": "baseline"}]},
    )  # fmt: skip
    made.candidate = made.run()
    return made


# ------------------------------------------------------------------------------------------------- what is written


def test_the_folder_holds_what_the_record_says(cancer_run):
    names = sorted(path.name for path in (cancer_run.folder / "candidate").iterdir())
    assert names == [
        "candidate.json", "evaluation.json", "examples.json", "heldout.npz",
        "model.skops", "predictions.parquet", "profile.json", "schema.json",
    ]  # fmt: skip


def test_the_record_can_be_opened_where_the_folder_is(cancer_run):
    again = Candidate.open(cancer_run.folder / "candidate")
    assert again.metrics == dict(cancer_run.candidate.metrics)
    assert again.dataset == cancer_run.dataset.digest
    assert [gate["outcome"] for gate in again.gates] == ["passed", "passed"]


def test_the_saved_model_gives_the_recorded_answers_to_the_held_out_rows(cancer_run):
    folder = cancer_run.folder / "candidate"
    batch, expected = load_heldout(folder / "heldout.npz")
    pipeline = load((folder / "model.skops").read_bytes(), cancer_run.candidate.trusted)
    assert np.array_equal(answers_of(pipeline, "classification", batch.as_array()), expected)


def test_the_threshold_is_the_one_worth_most_on_validation_rows(cancer_run):
    schema = Schema.from_json((cancer_run.folder / "candidate" / "schema.json").read_bytes())
    choice = Evaluation.from_json(
        (cancer_run.folder / "candidate" / "evaluation.json").read_bytes()
    ).threshold
    assert schema.output.threshold == choice.threshold
    assert choice.threshold < 0.5  # a missed one costs forty times a false alarm
    assert choice.per_1000 >= choice.per_1000_at_half


def test_predictions_say_what_was_true_called_and_how_probable(cancer_run):
    table = pq.read_table(cancer_run.folder / "candidate" / "predictions.parquet")
    assert table.column_names == ["row", "actual", "predicted", "probability.benign", "probability.malignant"]
    schema = Schema.from_json((cancer_run.folder / "candidate" / "schema.json").read_bytes())
    called = np.asarray(table["probability.malignant"]) >= schema.output.threshold
    assert [name == "malignant" for name in table["predicted"].to_pylist()] == called.tolist()


def test_the_profile_has_features_and_predictions(cancer_run):
    profile = json.loads((cancer_run.folder / "candidate" / "profile.json").read_text())
    assert "size" in profile["features"]["columns"]
    assert set(profile["predictions"]["columns"]) == {"prediction", "probability"}
    assert profile["predictions"]["rows"] == cancer_run.dataset.rows["test"]


def test_everything_is_logged(cancer_run):
    tracker = cancer_run.tracker
    assert tracker.seen_params["candidate"] == cancer_run.candidate.name
    assert tracker.seen_metrics["roc_auc"] == cancer_run.candidate.metrics["roc_auc"]
    assert {"baseline_roc_auc", "learning_train", "learning_valid"} <= set(tracker.seen_metrics)
    assert tracker.seen_datasets == [cancer_run.dataset.digest]
    assert {"evaluation.json", "model.html", "figures/roc.svg"} <= set(tracker.seen_artifacts)


def test_the_page_names_winner_and_gates(cancer_run):
    page = (cancer_run.folder / "page.html").read_text()
    assert cancer_run.candidate.name in page
    assert "roc_auc at least 0.9" in page


class RememberedCurves:
    """Takes what a KFP ``ClassificationMetrics`` takes."""

    def log_roc_curve(self, fpr, tpr, threshold):
        self.roc = (fpr, tpr, threshold)

    def log_confusion_matrix(self, categories, matrix):
        self.confusion = (categories, matrix)


def test_kfp_gets_the_roc_curve_and_the_confusion_matrix(cancer_run):
    seen = RememberedCurves()
    stage.log_curves(cancer_run.candidate, seen)
    fpr, tpr, threshold = seen.roc
    assert len(fpr) == len(tpr) == len(threshold) <= 200
    assert seen.confusion[0] == ["benign", "malignant"]
    assert sum(map(sum, seen.confusion[1])) == cancer_run.dataset.rows["test"]


# ---------------------------------------------------------------------------------------------------- every task


@pytest.mark.parametrize(
    ("task", "candidates", "sample", "metric"),
    [
        pytest.param("classification", ["naive_bayes"], texts, "roc_auc", id="texts"),
        pytest.param("regression", ["ridge"], diabetes, "mae", id="regression"),
        pytest.param("forecast", ["extra_trees"], None, "mase", id="forecast"),
        pytest.param("clustering", ["kmeans"], segments, "silhouette", id="clustering"),
    ],
)  # fmt: skip
def test_a_model_beats_the_baseline_on_data_with_a_pattern(task, candidates, sample, metric, tmp_path):
    gates = [{"metric": metric, "better_than": "baseline"}]
    made = ran(tmp_path, task, candidates, sample() if sample else None, model={"gates": gates})
    candidate = made.run()
    [gate] = candidate.gates
    assert gate["outcome"] == "passed"


def test_clusters_are_counted_in_the_schema(tmp_path):
    entry = {"name": "gaussian_mixture", "space": {"n_components": [4]}}
    ran(tmp_path, "clustering", [entry]).run()
    assert Schema.from_json((tmp_path / "candidate" / "schema.json").read_bytes()).output.clusters == 4


def test_own_features_travel_with_the_model(tmp_path):
    made = ran(tmp_path, "regression", ["ridge"], model={"features": "own_features_here:build"})
    (tmp_path / "project" / "own_features_here.py").write_text(
        "from sklearn.preprocessing import FunctionTransformer\n"
        "def squares(X):\n    return X ** 2\n"
        "def build(schema):\n    return FunctionTransformer(squares)\n"
    )
    candidate = made.run()
    assert candidate.trusted == ("own_features_here.squares",)
    assert [path.name for path in (tmp_path / "candidate" / "code").iterdir()] == ["own_features_here.py"]


# ----------------------------------------------------------------------------------------------------- what fails


def test_a_failed_gate_names_every_bar_and_leaves_the_folder_to_look_at(tmp_path):
    gates = [
        {"metric": "mae", "at_most": 1},
        {"metric": "r2", "at_least": 0.1},
        {"metric": "rmse", "at_most": 2},
    ]
    made = ran(tmp_path, "regression", ["ridge"], model={"gates": gates})
    with pytest.raises(GateFailed, match="2 of 3 gates") as caught:
        made.run()
    assert "mae is 4" in caught.value.message
    assert "at most 2 is asked" in caught.value.message
    assert "r2" not in caught.value.message
    assert Candidate.open(tmp_path / "candidate").gates[0]["outcome"] == "failed"
    assert (tmp_path / "page.html").exists()
    assert "mae" in made.tracker.seen_metrics


class Serving:
    """A champion that answers by a rule."""

    version = ModelVersion("sample", 3, "d" * 64, "", (), "", "2026-01-01T00:00:00Z")

    def __init__(self, schema, answer):
        self.output, self._answer = schema.output, answer

    def answers(self, columns):
        return self._answer(columns)


def perfect(columns):
    return np.array([[0.01, 0.99] if label == "malignant" else [0.99, 0.01] for label in columns["target"]])


def unable(columns):
    raise DataError("it needs the column 'age'")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(
            perfect,
            r"failed: roc_auc is .*champion \(version 3\) is 1 on the same 115 rows",
            id="better champion",
        ),
        pytest.param(
            unable,
            "not measurable: .*it cannot answer these rows: it needs the column 'age'",
            id="champion that cannot",
        ),
    ],
)
def test_a_champion_is_compared_on_the_same_rows(answer, words, tmp_path):
    gates = [{"metric": "roc_auc", "not_worse_than": "champion"}]
    made = ran(tmp_path, "classification", ["naive_bayes"], cancer(2), model={"gates": gates})
    made.champion = Serving(cancer(2).schema, answer)
    with pytest.raises(GateFailed, match=words):
        made.run()


def test_without_a_champion_its_gate_does_not_apply(tmp_path):
    gates = [{"metric": "mae", "not_worse_than": "champion"}]
    candidate = ran(tmp_path, "regression", ["ridge"], model={"gates": gates}).run()
    assert [gate["outcome"] for gate in candidate.gates] == ["not applicable"]


def test_a_single_class_in_training_ends_the_search_before_it_starts(tmp_path):
    sample = cancer(2)
    rows = sample.frame.copy()
    rows.loc[: int(len(rows) * 0.6), "target"] = "benign"
    with pytest.raises(DataError, match="only the class 'benign' and lack 'malignant'"):
        ran(tmp_path, "classification", ["logistic"], Sample(sample.schema, rows)).trials()


def test_a_constant_feature_is_no_error(tmp_path):
    sample = diabetes()
    rows = sample.frame.assign(age=1.0)
    candidate = ran(
        tmp_path, "regression", ["ridge", "hist_gradient_boosting"], Sample(sample.schema, rows)
    ).run()
    assert candidate.metrics["r2"] > 0.2


def test_a_transformer_that_needs_pandas_ends_the_search_before_it_starts(tmp_path):
    made = ran(tmp_path, "regression", ["ridge"], model={"features": "pandas_features:build"})
    (tmp_path / "project" / "pandas_features.py").write_text(
        "from sklearn.compose import make_column_transformer\nfrom sklearn.preprocessing import StandardScaler\n"
        "def build(schema):\n    return make_column_transformer((StandardScaler(), ['bmi']))\n"
    )
    with pytest.raises(UserCodeError, match=r"pandas_features:build.*selects columns by name \(\['bmi'\]\)"):
        made.trials()


UNSAVED = """
from sklearn.linear_model import Ridge
class Kept(Ridge):
    def fit(self, X, y):
        self.callback_ = lambda: None
        return super().fit(X, y)
class Forgetful(Ridge):
    def fit(self, X, y):
        type(self).shift = 5.0
        return super().fit(X, y)
    def predict(self, X):
        return super().predict(X) + type(self).shift
    def __setstate__(self, state):
        type(self).shift = 0.0
        super().__setstate__(state)
def kept():
    return Kept()
def forgetful():
    return Forgetful()
"""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        pytest.param("kept", "skops cannot save", id="a lambda inside"),
        pytest.param("forgetful", "the saved model answers differently", id="state outside the object"),
    ],
)
def test_a_model_that_skops_cannot_save_ends_the_run_with_its_name(function, message, tmp_path):
    made = ran(tmp_path, "regression", [{"use": f"unsaved_{function}:{function}"}])
    (tmp_path / "project" / f"unsaved_{function}.py").write_text(UNSAVED)
    with pytest.raises(UserCodeError, match=message):
        made.run()
    assert not (tmp_path / "candidate").exists()


def test_no_trial_at_all_is_a_training_error(tmp_path):
    with pytest.raises(TrainingError, match="none of 0 trials"):
        ran(tmp_path, "regression", ["ridge"]).run([])


# ----------------------------------------------------------------------------------------------------- it repeats

_AGAIN = """
import sys
from pathlib import Path
from fairlead.model import stage
from fairlead.records import Dataset
from tests.unit.model.snapshots import Noted, Remembered, project_of, workspace_of
root, seed = Path(sys.argv[1]), sys.argv[2]
for name, task, candidates in (
    ("trees", "classification", ["random_forest", "hist_gradient_boosting"]),
    ("words", "classification", ["sgd", "naive_bayes"]),
):
    project = project_of(task, candidates, model={"search": {"trials": 2, "folds": 2}})
    workspace, dataset = workspace_of(root / "project", project), Dataset.open(root / name)
    told, out = (Remembered(), Noted()), root / seed / name
    trials = stage.search(workspace, dataset, 0, *told, out / "trials.jsonl")
    stage.run(workspace, dataset, trials, None, *told, out / "candidate", out / "page.html")
"""


def run_twice(folder):
    """The same inputs in two processes with different hash seeds, one after the other."""
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", _AGAIN, str(folder), seed],
            env=os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[3],
            check=True,
            timeout=240,
        )


def contents(folder):
    """Candidate files by name; the model in the form in which bundles compare it."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("*/candidate/*")}
    return {name: canonical_skops(data) if name.endswith(".skops") else data for name, data in files.items()}


def test_another_process_with_another_hash_seed_writes_the_same_files(tmp_path):
    for name, sample in (("trees", cancer), ("words", texts)):
        sample().write(tmp_path / name)
    run_twice(tmp_path)
    one, other = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert {"trees/candidate/model.skops", "words/candidate/candidate.json"} <= set(one)
    assert {name for name in one if one[name] != other.get(name)} == set()
