"""Curves agree with scikit-learn, and thin ones are still the same curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fairlead.stats import curves, metrics


def rows(seed: int, size: int, *, ties: bool = False):
    generator = np.random.default_rng(seed)
    positive = generator.random(size) < 0.3
    positive[:2] = True, False
    score = generator.random(size) + positive * 0.5
    return positive, score.round(1) if ties else score


@given(st.integers(0, 1000), st.booleans())
def test_roc_is_that_of_scikit_learn(seed: int, ties: bool) -> None:
    positive, score = rows(seed, 60, ties=ties)
    false_alarms, found, at = sk.roc_curve(positive, score, drop_intermediate=False)
    curve = curves.roc(positive, score)
    assert curve.at[1:] == pytest.approx(tuple(at[1:]))
    assert curve.x == pytest.approx(tuple(false_alarms))
    assert curve.y == pytest.approx(tuple(found))


@given(st.integers(0, 1000), st.booleans())
def test_precision_recall_is_that_of_scikit_learn(seed: int, ties: bool) -> None:
    positive, score = rows(seed, 60, ties=ties)
    precision, recall, _ = sk.precision_recall_curve(positive, score)
    curve = curves.precision_recall(positive, score)
    assert curve.x == pytest.approx(tuple(recall[:-1][::-1]))
    assert curve.y == pytest.approx(tuple(precision[:-1][::-1]))


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_area() -> None:
    positive, score = rows(0, 20_000)
    curve = curves.roc(positive, score)
    assert len(curve.x) <= curves.POINTS
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(float(metrics.roc_auc(positive, score)), abs=0.003)


def test_thinning_is_deterministic() -> None:
    assert curves.lift(*rows(1, 5_000)) == curves.lift(*rows(1, 5_000))


def test_lift_ends_at_one_and_starts_at_the_inverse_share_of_positives_for_a_perfect_order() -> None:
    positive = np.arange(100) < 20
    curve = curves.lift(positive, np.linspace(1, 0, 100))
    assert (curve.y[0], curve.y[-1], curve.x[-1]) == (5.0, 1.0, 1.0)


def test_calibration_bins_hold_every_row_once() -> None:
    positive, score = rows(2, 999)
    assert sum(one.rows for one in curves.calibration(positive, score)) == 999


def test_calibration_of_true_probabilities_lies_within_its_intervals() -> None:
    generator = np.random.default_rng(3)
    probability = generator.random(20_000)
    bins = curves.calibration(generator.random(20_000) < probability, probability)
    assert sum(one.low <= one.said <= one.high for one in bins) >= 8
    assert len(bins) == 10


def test_bins_expect_equally_many_positives_so_that_a_rare_class_is_not_crowded_near_zero() -> None:
    generator = np.random.default_rng(4)
    probability = generator.random(50_000) ** 20
    bins = curves.calibration(generator.random(50_000) < probability, probability)
    expected = [one.rows * one.said for one in bins]
    assert max(expected) < 1.02 * min(expected)
    assert sum(one.said > 0.2 for one in bins) >= 5


def test_probabilities_that_are_all_zero_are_one_bin() -> None:
    [only] = curves.calibration(np.array([False, True]), np.zeros(2))
    assert (only.said, only.came_true) == (0.0, 0.5)


def test_equal_probabilities_stay_in_one_bin() -> None:
    positive = np.arange(100) < 30
    [only] = curves.calibration(positive, np.full(100, 0.3))
    assert (only.rows, only.said, only.came_true) == (100, pytest.approx(0.3), 0.3)
