"""Trials on disk, and which one wins."""

from __future__ import annotations

import pytest

from fairlead.errors import TrainingError
from fairlead.model.trials import Trial, best, read_trials, write_trials
from fairlead.spec.metrics import METRICS


def trial(number, value, candidate="logistic", error="", **parameters):
    return Trial(number, candidate, parameters, value, [value] if value is not None else [], 0.1, error)


def test_trials_of_all_workers_come_back_in_order_of_their_numbers(tmp_path):
    write_trials(tmp_path / "0.jsonl", [trial(2, 0.3), trial(0, 0.1)])
    write_trials(tmp_path / "1.jsonl", [trial(1, None, error="fold 1: ValueError: no")])
    found = read_trials([tmp_path / "1.jsonl", tmp_path / "0.jsonl"])
    assert [(one.number, one.value) for one in found] == [(0, 0.1), (1, None), (2, 0.3)]


def test_a_worker_without_trials_writes_an_empty_file(tmp_path):
    write_trials(tmp_path / "0.jsonl", [])
    assert read_trials([tmp_path / "0.jsonl"]) == []


@pytest.mark.parametrize(
    ("metric", "trials", "winner"),
    [
        pytest.param("roc_auc", [trial(0, 0.7), trial(1, 0.9)], 1, id="higher is better"),
        pytest.param("mae", [trial(0, 0.7), trial(1, 0.9)], 0, id="lower is better"),
        pytest.param("mae", [trial(0, None), trial(1, 0.9)], 1, id="a failed trial never wins"),
        pytest.param(
            "mae", [trial(0, 0.5, a=1, b=2), trial(1, 0.5, a=1)], 1, id="a tie goes to fewer parameters"
        ),
        pytest.param("mae", [trial(4, 0.5, a=1), trial(3, 0.5, a=2)], 3, id="then to the earlier trial"),
    ],
)
def test_the_best_trial_is_chosen_the_same_way_every_time(metric, trials, winner):
    assert best(trials, METRICS[metric]).number == winner


def test_when_nothing_could_be_trained_the_reasons_are_listed_once():
    failed = [trial(n, None, error="fold 1: ValueError: constant") for n in range(3)]
    with pytest.raises(TrainingError, match="none of 3 trials could be trained") as caught:
        best(failed, METRICS["mae"])
    assert caught.value.message.count("logistic: fold 1: ValueError: constant") == 1
