"""Bootstrap and Wilson intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.stats import intervals
from fairlead.stats.intervals import Interval, bootstrap, paired_differences, resample_weights, wilson
from fairlead.stats.metrics import mae, roc_auc


def mean_of(values):
    return lambda weights: weights @ values / weights.sum(axis=-1)


def all_weights(*args, **options):
    return np.concatenate(list(resample_weights(*args, **options)))


def test_every_resample_draws_as_many_rows_as_there_are() -> None:
    assert (all_weights(30, resamples=20).sum(axis=1) == 30).all()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    assert (all_weights(30, seed=1) == all_weights(30, seed=1)).all()
    assert (all_weights(30, seed=1) != all_weights(30, seed=2)).any()


def test_weights_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = all_weights(40, resamples=50)
    monkeypatch.setattr(intervals, "_CELLS", 130)
    blocks = list(resample_weights(40, resamples=50))
    assert max(len(block) for block in blocks) == 3
    assert (np.concatenate(blocks) == whole).all()


def test_rows_of_one_group_are_drawn_together() -> None:
    groups = np.array(["a", "b", "a", "c", "b"])
    weights = all_weights(5, groups=groups, resamples=30)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(size=2_000)
    found = bootstrap({"mean": mean_of(values)}, 2_000, resamples=2_000)["mean"]
    half = 1.96 * values.std() / 2_000**0.5
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        values = generator.exponential(size=80)
        found = bootstrap({"mean": mean_of(values)}, 80, resamples=200, seed=seed)["mean"]
        hits += found.low <= 1.0 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_groups_widen_the_interval_of_rows_that_resemble_each_other() -> None:
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 25)
    values = generator.normal(size=40)[groups] + 0.1 * generator.normal(size=1_000)
    rows = bootstrap({"mean": mean_of(values)}, 1_000)["mean"]
    grouped = bootstrap({"mean": mean_of(values)}, 1_000, groups=groups)["mean"]
    assert grouped.high - grouped.low > 3 * (rows.high - rows.low)


def test_a_paired_difference_is_narrower_than_the_difference_of_two_intervals() -> None:
    generator = np.random.default_rng(3)
    actual = generator.normal(size=500) * 10
    first = actual + generator.normal(size=500) * 5
    second = first + 0.1 * generator.normal(size=500)
    these, others = ({"mae": lambda w, p=p: mae(actual, p, w)} for p in (first, second))
    paired = paired_differences(these, others, 500)["mae"]
    alone = bootstrap(these, 500)["mae"]
    assert paired.high - paired.low < 0.1 * (alone.high - alone.low)


def test_a_model_does_not_differ_from_itself() -> None:
    values = np.arange(10.0)
    same = {"mean": mean_of(values)}
    assert paired_differences(same, same, 10)["mean"] == Interval(0.0, 0.0)


def test_only_figures_both_models_have_are_compared() -> None:
    values = mean_of(np.arange(10.0))
    assert set(paired_differences({"a": values, "b": values}, {"b": values, "c": values}, 10)) == {"b"}


def test_a_figure_that_is_often_undefined_has_no_interval() -> None:
    positive = np.array([True] + [False] * 19)
    score = np.linspace(0, 1, 20)
    assert bootstrap({"auc": lambda w: roc_auc(positive, score, w)}, 20) == {}


@pytest.mark.parametrize(
    "groups", [None, np.zeros(1), np.zeros(5)], ids=["one row", "one row grouped", "one group"]
)
def test_with_one_thing_to_draw_there_is_no_interval(groups) -> None:
    size = 5 if groups is not None and len(groups) == 5 else 1
    assert bootstrap({"mean": mean_of(np.ones(size))}, size, groups=groups) == {}


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (8, 1000, 0.0041, 0.0157),
        (0, 0, 0, 1),
    ],
)
def test_wilson_against_published_values(hits: int, rows: int, low: float, high: float) -> None:
    found = wilson(hits, rows)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@settings(max_examples=50)
@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_between_0_and_1(rows: int, share: float) -> None:
    hits = round(rows * share)
    found = wilson(hits, rows)
    assert 0 <= found.low <= hits / rows <= found.high <= 1
