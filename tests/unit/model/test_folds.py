"""Folds keep the promise of the split: nothing of the future, no group on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model.snapshots import project_of

from fairlead.errors import DataError
from fairlead.model.folds import folds, time_folds
from fairlead.spec.splitting import split_method

days = st.lists(st.integers(0, 40), min_size=6, max_size=80)


def as_time(numbers):
    return np.datetime64("2024-01-01", "us") + np.array(numbers) * np.timedelta64(86_400_000_000, "us")


@given(days, st.integers(2, 6))
def test_by_time_every_training_row_is_earlier_than_every_scored_row(numbers, count):
    time = as_time(numbers)
    if len(np.unique(time)) < 2:
        return
    try:
        found = time_folds(time, count)
    except DataError:  # nearly all rows at the first moment
        return
    for fold in found:
        assert time[fold.train].max() < time[fold.valid].min()


@given(days, st.integers(2, 6))
def test_by_time_no_row_is_scored_twice(numbers, count):
    try:
        scored = np.concatenate([fold.valid for fold in time_folds(as_time(numbers), count)])
    except DataError:
        return
    assert len(scored) == len(np.unique(scored))


def test_by_time_training_grows_from_fold_to_fold():
    sizes = [len(fold.train) for fold in time_folds(as_time(range(40)), 3)]
    assert sizes == [10, 20, 30]


@given(st.lists(st.sampled_from("abcdefg"), min_size=12, max_size=80), st.integers(2, 5), st.booleans())
def test_by_group_no_group_is_on_both_sides(names, count, stratified):
    group = np.array(names, dtype=object)
    if len(set(names)) < 2:
        return
    labels = np.arange(len(names)) % 2 if stratified else None
    for fold in folds("group", count, len(names), labels=labels, group=group):
        assert not set(group[fold.train]) & set(group[fold.valid])


@pytest.mark.parametrize("kind", ["stratified", "random"])
def test_every_row_is_scored_once(kind):
    found = folds(kind, 3, 30, labels=np.arange(30) % 2)
    assert sorted(np.concatenate([fold.valid for fold in found]).tolist()) == list(range(30))


def test_stratified_folds_have_the_same_share_of_each_class():
    labels = np.array([0] * 80 + [1] * 20)
    shares = [labels[fold.valid].mean() for fold in folds("stratified", 4, 100, labels=labels)]
    assert shares == pytest.approx([0.2] * 4)


def test_the_seed_moves_rows_and_the_same_seed_does_not():
    one, same, other = (folds("random", 3, 60, seed=seed)[0].valid.tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"kind": "random", "rows": 3}, "too few for 2 folds", id="three rows"),
        pytest.param(
            {"kind": "time", "rows": 5, "time": as_time([1] * 5)}, "1 distinct times", id="one moment"
        ),
        pytest.param(
            {"kind": "group", "rows": 9, "group": np.array(["a"] * 9)}, "have 1 group", id="one group"
        ),
    ],
)
def test_folds_that_cannot_be_made_are_refused_with_a_way_out(arguments, message):
    with pytest.raises(DataError, match=message) as caught:
        folds(count=2, **arguments)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("task", "data", "expected"),
    [
        pytest.param("classification", {}, "stratified", id="classes"),
        pytest.param("regression", {}, "random", id="numbers"),
        pytest.param("clustering", {}, "random", id="clusters"),
        pytest.param("forecast", {}, "time", id="forecast"),
        pytest.param("classification", {"time": "at", "group": "who"}, "time", id="time before group"),
        pytest.param("classification", {"group": "who"}, "group", id="group before labels"),
        pytest.param(
            "classification", {"time": "at", "split": {"method": "random"}}, "random", id="as asked"
        ),
    ],
)
def test_folds_are_made_the_way_the_data_was_split(task, data, expected):
    assert split_method(project_of(task, ["x"], data=data)) == expected
