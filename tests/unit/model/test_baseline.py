"""Baselines know nothing but what they say they know."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from fairlead.model.baseline import median, prior, random_centres

ROWS = np.arange(12, dtype=np.float64).reshape(6, 2)


def test_prior_answers_as_scikit_learns_dummy_does():
    codes = np.array([0, 2, 1, 0, 0, 1])
    expected = DummyClassifier(strategy="prior").fit(ROWS, codes).predict_proba(ROWS)
    assert prior(codes, 3)(ROWS) == pytest.approx(expected)


def test_median_answers_as_scikit_learns_dummy_does():
    target = np.array([1.0, 9.0, 3.0, 7.0, 100.0, 5.0])
    expected = DummyRegressor(strategy="median").fit(ROWS, target).predict(ROWS)
    assert median(target)(ROWS)[:, 0] == pytest.approx(expected)


def test_random_centres_are_training_rows_that_never_moved():
    answers = random_centres(lambda array: array, ROWS, 3, seed=1)(ROWS)
    assert answers.shape == (6, 3)
    assert (answers.max(axis=0) == 0).all()  # each centre is one of the rows, at distance 0


def test_random_centres_are_the_same_every_time():
    one, same = (random_centres(lambda array: array, ROWS, 3, seed=1)(ROWS) for _ in range(2))
    assert np.array_equal(one, same)
