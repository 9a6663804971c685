"""The search gives the same result whatever the number of workers, and survives candidates that raise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.unit.model.snapshots import Noted, Remembered, cancer, project_of, workspace_of

from fairlead.errors import TrainingError
from fairlead.model import stage
from fairlead.model.search import plan, turn
from fairlead.model.space import Choice, Range
from fairlead.model.trials import best, read_trials
from fairlead.spec.metrics import METRICS
from fairlead.spec.project import Search

WIDE = {"C": Range(0.01, 100.0, log=True)}
NARROW = {"k": Choice((1, 2))}


def searched(tmp_path, candidates, *, workers=1, name="search", sample=None, **search):
    """All trials of a search by that many workers, and the progress that was seen."""
    settings = {"trials": 4, "folds": 2, "workers": workers} | search
    workspace = workspace_of(
        tmp_path / "project", project_of("classification", candidates, model={"search": settings})
    )
    dataset = (sample or cancer(3)).write(tmp_path / "dataset")
    noted, files = Noted(), [tmp_path / name / f"{worker}.jsonl" for worker in range(workers)]
    for worker, file in enumerate(files):
        stage.search(workspace, dataset, worker, Remembered(), noted, file)
    return read_trials(files), noted


def without_time(trials):
    return [
        (one.number, one.candidate, dict(one.parameters), one.value, list(one.fold_values)) for one in trials
    ]


@pytest.mark.parametrize("method", ["random", "grid"])
def test_the_number_of_workers_changes_nothing(tmp_path, method):
    candidates = ["logistic", "naive_bayes"]
    one, _ = searched(tmp_path, candidates, method=method, trials=6, name="one")
    three, _ = searched(tmp_path, candidates, method=method, trials=6, workers=3, name="three")
    assert without_time(one) == without_time(three)


def test_tpe_with_one_worker_repeats_exactly(tmp_path):
    first, _ = searched(tmp_path, ["logistic"], method="tpe", trials=8, name="first")
    again, _ = searched(tmp_path, ["logistic"], method="tpe", trials=8, name="again")
    assert without_time(first) == without_time(again)


def test_tpe_offers_lists_nulls_and_whole_numbers_as_the_file_wrote_them(tmp_path):
    space = {
        "max_depth": [None, 3],
        "n_estimators": {"low": 2, "high": 4},
        "max_features": {"low": 0.5, "high": 1.0},
    }
    trials, _ = searched(tmp_path, [{"name": "random_forest", "space": space}], method="tpe")
    for trial in trials:
        assert trial.error == ""
        assert trial.parameters["max_depth"] in (None, 3)
        assert trial.parameters["n_estimators"] in (2, 3, 4)


@pytest.mark.parametrize(("trials", "contenders"), list(itertools.product([1, 7, 12], [1, 2, 5])))
def test_trials_are_shared_evenly(trials, contenders):
    counts = np.bincount([turn(number, contenders) for number in range(trials)], minlength=contenders)
    assert counts.max() - counts.min() <= 1


def test_two_workers_both_get_trials_of_both_candidates():
    assert {turn(number, 2) for number in range(0, 8, 2)} == {0, 1}


def test_no_parameter_set_is_tried_twice():
    points = list(plan(Search(trials=30), [NARROW, WIDE]).values())
    assert len({str(point) for point in points}) == len(points)


def test_a_space_that_holds_no_more_gives_fewer_trials():
    whose = [who for who, _ in plan(Search(trials=30), [NARROW, WIDE]).values()]
    assert (whose.count(0), whose.count(1)) == (2, 15)


def test_the_seed_changes_what_is_drawn():
    one, other = (plan(Search(trials=3, seed=seed), [WIDE]) for seed in (0, 1))
    assert one != other


def test_a_grid_larger_than_its_trials_is_tried_evenly():
    found = plan(Search(method="grid", trials=3), [{"k": Choice(tuple(range(9)))}])
    assert [point["k"] for _, point in found.values()] == [0, 3, 6]


RAISES = """
from sklearn.linear_model import LogisticRegression

class Moody(LogisticRegression):
    calls = 0
    def fit(self, X, y):
        type(self).calls += 1
        if type(self).calls == 2:
            raise RuntimeError("not in the second fold")
        return super().fit(X, y)

def make(**parameters):
    return Moody(**parameters)
"""


def test_a_candidate_that_raises_in_one_fold_is_reported_and_the_others_go_on(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "moody_candidate.py").write_text(RAISES)
    own = {"use": "moody_candidate:make", "name": "moody", "space": {"C": [1.0]}}
    trials, noted = searched(tmp_path, [own, "logistic"], trials=2)
    failed, went_on = trials
    assert (failed.value, failed.error) == (None, "fold 2: RuntimeError: not in the second fold")
    assert len(failed.fold_values) == 1
    assert best(trials, METRICS["average_precision"]) == went_on
    assert any("moody failed: fold 2: RuntimeError" in note for note in noted.notes)


def test_when_every_trial_fails_the_run_says_why(tmp_path):
    broken = {"name": "logistic", "space": {"C": [-1.0]}}
    trials, _ = searched(tmp_path, [broken], trials=1)
    with pytest.raises(TrainingError, match=r"logistic: fold 1: .*C.*must be"):
        best(trials, METRICS["average_precision"])


def test_every_finished_trial_is_told_to_the_tracker(tmp_path):
    workspace = workspace_of(tmp_path / "p", project_of("classification", ["logistic"]))
    tracker = Remembered()
    done = stage.search(workspace, cancer(3).write(tmp_path / "d"), 0, tracker, Noted(), tmp_path / "t.jsonl")
    assert tracker.seen_trials == [(trial.number, trial.value) for trial in done]


def test_money_can_be_the_objective(tmp_path):
    money = {
        "currency": "EUR",
        "true_positive": 10,
        "false_positive": -1,
        "false_negative": -20,
        "true_negative": 0,
    }
    project = project_of(
        "classification", ["logistic"], model={"objective": "value_per_1000"}, problem={"value": money}
    )
    workspace = workspace_of(tmp_path / "p", project)
    trials = stage.search(
        workspace, cancer(3).write(tmp_path / "d"), 0, Remembered(), Noted(), tmp_path / "t.jsonl"
    )
    assert all(trial.value > 0 for trial in trials)
