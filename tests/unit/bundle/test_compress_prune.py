"""Parts left out of real fitted models: what stays, what is never touched, and that exports agree with what is left."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead.bundle.compress.prune import leaf_count, merge_leaves, prunings, tree_count, without_small
from fairlead.bundle.compress.variants import NothingToDo
from fairlead.bundle.compress.vocabulary import strongest, with_beginnings, with_fewer_terms

ROWS, TARGET = load_breast_cancer(return_X_y=True)
TEXTS = np.array(
    [[f"{a} {b} {c}"] for a in ("free", "noon") for b in ("money", "lunch") for c in ("now", "soon")],
    dtype=object,
)
SPAM = np.array([1, 1, 1, 1, 0, 0, 0, 0])


@cache
def fitted(kind: str) -> Any:
    models = {
        "forest": RandomForestClassifier(12, max_depth=5, random_state=0),
        "boosting": GradientBoostingClassifier(n_estimators=12, random_state=0),
        "histogram": HistGradientBoostingClassifier(max_iter=12, random_state=0),
    }
    return models[kind].fit(ROWS, TARGET)


@pytest.mark.parametrize("kind", ["forest", "boosting", "histogram"])
def test_fewer_trees_are_left_and_the_original_keeps_all(kind: str) -> None:
    variants = {one.name: one.estimator for one in prunings(fitted(kind))}
    assert tree_count(variants["trees-6"]) == 6
    assert tree_count(variants["trees-3"]) == 3
    assert tree_count(fitted(kind)) == 12


def test_a_shortened_boosting_answers_as_one_that_stopped_there() -> None:
    half = next(one.estimator for one in prunings(fitted("histogram")) if one.name == "trees-6")
    stopped = HistGradientBoostingClassifier(max_iter=6, random_state=0).fit(ROWS, TARGET)
    np.testing.assert_allclose(half.predict_proba(ROWS), stopped.predict_proba(ROWS))


def test_a_shortened_forest_answers_with_the_mean_of_the_trees_left() -> None:
    forest = fitted("forest")
    half = next(one.estimator for one in prunings(forest) if one.name == "trees-6")
    mean = np.mean([tree.predict_proba(ROWS) for tree in forest.estimators_[:6]], axis=0)
    np.testing.assert_allclose(half.predict_proba(ROWS), mean)


def test_merged_leaves_are_at_most_the_share_that_was_asked_for() -> None:
    for one in prunings(fitted("forest")):
        if one.name.startswith("leaves"):
            share = float(one.name.removeprefix("leaves-").removesuffix("%")) / 100
            assert leaf_count(one.estimator) <= share * leaf_count(fitted("forest"))


def test_a_pruned_tree_answers_as_one_that_scikit_learn_pruned_while_fitting() -> None:
    from sklearn.tree import DecisionTreeClassifier

    whole = DecisionTreeClassifier(random_state=0).fit(ROWS, TARGET)
    pruned = next(one.estimator for one in prunings(whole) if one.name == "leaves-50%")
    path = whole.cost_complexity_pruning_path(ROWS, TARGET).ccp_alphas
    sizes = {}
    for alpha in path:
        tree = DecisionTreeClassifier(random_state=0, ccp_alpha=alpha + 1e-9).fit(ROWS, TARGET)
        sizes[tree.get_n_leaves()] = tree
    np.testing.assert_array_equal(sizes[leaf_count(pruned)].predict_proba(ROWS), pruned.predict_proba(ROWS))


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
@settings(max_examples=10, deadline=None)
def test_asking_for_fewer_leaves_never_leaves_more(one: float, other: float) -> None:
    import copy

    counts = []
    for share in sorted((one, other)):
        forest = copy.deepcopy(fitted_small())
        merge_leaves(forest, share)
        counts.append(leaf_count(forest))
    assert len(fitted_small().estimators_) <= counts[0] <= counts[1] <= leaf_count(fitted_small())


@cache
def fitted_small() -> Any:
    rows, target = load_diabetes(return_X_y=True)
    return RandomForestRegressor(3, max_depth=4, random_state=0).fit(rows[:100], target[:100])


def test_small_weights_become_zero_and_columns_stay() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(ROWS, TARGET)
    [variant] = prunings(model)
    assert variant.estimator[-1].coef_.shape == model[-1].coef_.shape
    assert (variant.estimator[-1].coef_ == 0).sum() > (model[-1].coef_ == 0).sum()
    assert "still take their bytes" in variant.says


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(0, 1))
def test_the_weights_that_go_make_up_no_more_than_the_share(weights: list[float], share: float) -> None:
    given_weights = np.array([weights])
    kept = without_small(given_weights, share)
    gone = np.abs(given_weights[kept != given_weights]).sum()
    assert gone <= share * np.abs(given_weights).sum() * (1 + 1e-9)
    assert set(kept.ravel()) <= {*weights, 0.0}


@pytest.mark.parametrize(
    "model", [LogisticRegression(C=100), ComplementNB()], ids=["logistic", "naive Bayes"]
)
def test_a_cut_vocabulary_keeps_the_terms_that_tell_classes_apart(model: Any) -> None:
    words = ColumnTransformer([("body", TfidfVectorizer(lowercase=False), 0)])
    pipeline = make_pipeline(words, model).fit(TEXTS, SPAM)
    variants = {one.name: one.estimator for one in prunings(pipeline)}
    kept = variants["terms-50%"][0].transformers_[0][1].vocabulary_
    assert len(kept) == 3
    assert {"free", "noon"} <= set(kept)
    assert variants["terms-50%"].predict_proba(TEXTS).shape == (8, 2)
    assert len(pipeline[0].transformers_[0][1].vocabulary_) == 6


def test_all_terms_give_the_same_answers() -> None:
    words = ColumnTransformer(
        [("number", "passthrough", [1]), ("body", TfidfVectorizer(ngram_range=(1, 2)), 0)]
    )
    rows = np.column_stack([TEXTS, np.arange(8.0).astype(object)])
    pipeline = make_pipeline(words, LogisticRegression()).fit(rows, SPAM)
    same, kept, before = with_fewer_terms(pipeline, 1.0, pipeline[-1].coef_)
    assert kept == before
    np.testing.assert_allclose(same.predict_proba(rows), pipeline.predict_proba(rows))


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), st.floats(0.01, 1))
def test_no_term_that_goes_is_stronger_than_one_that_stays(strength: list[float], share: float) -> None:
    values = np.array(strength)
    kept = strongest(values, share)
    gone = np.setdiff1d(np.arange(len(values)), kept)
    assert len(kept) == max(1, round(share * len(values)))
    assert values[kept].min() >= values[gone].max(initial=0.0)


def test_runs_of_words_keep_their_words() -> None:
    terms = ["a", "a b", "a b c", "b", "c", "d"]
    assert with_beginnings(terms, np.array([2])).tolist() == [0, 1, 2, 3, 4]


def test_a_model_without_parts_says_so() -> None:
    with pytest.raises(NothingToDo, match="GaussianNB has no trees"):
        list(prunings(GaussianNB().fit(ROWS, TARGET)))
