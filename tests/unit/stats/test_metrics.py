"""Metrics agree with scikit-learn, with and without weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from fairlead.schema.fields import Output
from fairlead.spec.metrics import metrics_of
from fairlead.stats import metrics
from fairlead.stats.value import CellValue, UnitValue

TWO = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.4)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Both classes, scores with many ties, and weights of which some are 0."""
    size = draw(st.integers(2, 40))
    positive = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    positive[:2] = True, False
    score = np.array(
        draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=size, max_size=size))
    )
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)), dtype=np.float64)
    weights[:2] = 1
    return positive, score, weights


@given(ranked())
def test_roc_auc_is_that_of_scikit_learn(rows) -> None:
    positive, score, weights = rows
    assert metrics.roc_auc(positive, score) == pytest.approx(sk.roc_auc_score(positive, score))
    expected = sk.roc_auc_score(positive, score, sample_weight=weights)
    assert metrics.roc_auc(positive, score, weights) == pytest.approx(expected)


@given(ranked())
def test_average_precision_is_that_of_scikit_learn(rows) -> None:
    positive, score, weights = rows
    assert metrics.average_precision(positive, score) == pytest.approx(
        sk.average_precision_score(positive, score)
    )
    expected = sk.average_precision_score(positive, score, sample_weight=weights)
    assert metrics.average_precision(positive, score, weights) == pytest.approx(expected)


@given(ranked(), st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 7, lambda x: x**3]))
def test_rank_metrics_do_not_change_under_a_rising_transform(rows, rising) -> None:
    positive, score, _ = rows
    for metric in (metrics.roc_auc, metrics.average_precision):
        assert metric(positive, rising(score)) == pytest.approx(metric(positive, score))


@given(ranked())
def test_turning_scores_around_turns_roc_auc_around(rows) -> None:
    positive, score, _ = rows
    assert metrics.roc_auc(positive, -score) == pytest.approx(1 - metrics.roc_auc(positive, score))


@given(ranked())
def test_called_metrics_are_those_of_scikit_learn(rows) -> None:
    positive, score, weights = rows
    called = score >= 0.4
    options = {"sample_weight": weights, "zero_division": np.nan}
    assert metrics.accuracy(positive, called, weights) == pytest.approx(
        sk.accuracy_score(positive, called, sample_weight=weights)
    )
    for ours, theirs in [(metrics.precision, sk.precision_score), (metrics.recall, sk.recall_score)]:
        assert ours(positive, called, weights) == pytest.approx(
            theirs(positive, called, **options), nan_ok=True
        )
    assert metrics.f1(positive, called, weights) == pytest.approx(
        sk.f1_score(positive, called, **options), nan_ok=True
    )
    assert metrics.false_positive_rate(positive, called, weights) == pytest.approx(
        1 - sk.recall_score(~positive, ~called, **options)
    )
    assert metrics.brier(positive, score, weights) == pytest.approx(
        sk.brier_score_loss(positive, score, sample_weight=weights)
    )


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_metrics_of_many_classes_are_those_of_scikit_learn(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    codes, answers = generator.integers(classes, size=30), generator.dirichlet(np.ones(classes), size=30)
    called = answers.argmax(axis=1)
    assert metrics.macro_f1(codes, called) == pytest.approx(sk.f1_score(codes, called, average="macro"))
    assert metrics.log_loss(codes, answers) == pytest.approx(
        sk.log_loss(codes, answers, labels=range(classes))
    )


def test_log_loss_of_a_certain_and_wrong_answer_is_finite() -> None:
    found = metrics.log_loss(np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert found == pytest.approx(sk.log_loss([0, 1], [[0.0, 1.0], [1.0, 0.0]]))


numbers = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(numbers, numbers, st.integers(0, 3)), min_size=2, max_size=30))
def test_number_metrics_are_those_of_scikit_learn(rows) -> None:
    actual, predicted, weights = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    weights[0] = 1
    options = {"sample_weight": weights}
    expected = sk.mean_absolute_error(actual, predicted, **options)
    assert metrics.mae(actual, predicted, weights) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    expected = sk.root_mean_squared_error(actual, predicted, **options)
    assert metrics.rmse(actual, predicted, weights) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.integers(0, 10_000), st.floats(-1e6, 1e6))
def test_r2_is_that_of_scikit_learn_wherever_the_target_lies(seed: int, offset: float) -> None:
    generator = np.random.default_rng(seed)
    actual = generator.normal(size=20) + offset
    predicted, weights = actual + generator.normal(size=20), generator.integers(0, 3, size=20).astype(float)
    weights[:3] = 1
    expected = sk.r2_score(actual, predicted, sample_weight=weights)
    assert metrics.r2(actual, predicted, weights) == pytest.approx(expected, rel=1e-6)


def test_r2_of_a_constant_target_is_not_defined() -> None:
    assert np.isnan(metrics.r2(np.full(5, 0.1), np.arange(5.0)))


def test_mase_divides_each_row_by_its_own_series_and_leaves_out_series_that_never_changed() -> None:
    found = metrics.mase(np.array([4.0, 6.0, 5.0]), np.array([5.0, 4.0, 9.0]), np.array([2.0, 4.0, 0.0]))
    assert found == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_mase_is_not_defined_if_no_series_changed() -> None:
    assert np.isnan(metrics.mase(np.ones(3), np.ones(3), 0.0))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_smape_lies_between_0_and_2(rows) -> None:
    actual, predicted = (np.array(column) for column in zip(*rows, strict=True))
    assert 0 <= float(metrics.smape(actual, predicted)) <= 2 + 1e-12


@given(ranked())
def test_weights_of_many_resamples_give_what_each_gives_alone(rows) -> None:
    positive, score, weights = rows
    both = np.stack([weights, np.ones(len(weights))])
    labels = np.where(positive, "yes", "no").astype(object)
    answers = np.column_stack([1 - score, score])
    for name, formula in metrics.formulas(TWO, labels, answers).items():
        together = formula(both)
        alone = [float(formula(both[0])), float(formula(both[1]))]
        assert together.tolist() == pytest.approx(alone, nan_ok=True), name


def test_a_drawn_row_counts_as_often_as_it_was_drawn() -> None:
    generator = np.random.default_rng(0)
    positive, score = generator.random(50) < 0.4, generator.random(50)
    weights = np.bincount(generator.integers(50, size=50), minlength=50)
    repeated = np.repeat(np.arange(50), weights)
    expected = metrics.average_precision(positive[repeated], score[repeated])
    assert metrics.average_precision(positive, score, weights.astype(float)) == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------- score


def two_classes(labels: list[str], chances: list[float], **options) -> dict[str, float]:
    answers = np.column_stack([1 - np.array(chances), chances])
    return metrics.score(TWO, np.array(labels, dtype=object), answers, **options)


def test_score_of_two_classes_has_every_metric_of_classification() -> None:
    found = two_classes(["no", "yes", "yes"], [0.1, 0.3, 0.9], value=CellValue(1, -1, 0, 0))
    assert set(found) == metrics_of("classification")


def test_score_of_more_classes_leaves_out_what_is_for_two() -> None:
    output = Output("classification", classes=("a", "b", "c"))
    found = metrics.score(output, np.array(["a", "b", "c"]), np.eye(3))
    assert found == {"log_loss": pytest.approx(0, abs=1e-9), "accuracy": 1.0, "f1": 1.0}


@pytest.mark.parametrize(
    ("labels", "chances", "missing"),
    [
        (["no", "no"], [0.1, 0.9], {"roc_auc", "average_precision", "recall"}),
        (["yes", "yes"], [0.1, 0.9], {"roc_auc", "false_positive_rate"}),
        (["no", "yes"], [0.1, 0.2], {"precision"}),
        (["no", "no"], [0.1, 0.2], {"roc_auc", "average_precision", "recall", "precision", "f1"}),
    ],
    ids=["no positives", "no negatives", "nothing called", "no positives and nothing called"],
)
def test_what_is_not_defined_is_left_out(labels: list[str], chances: list[float], missing: set[str]) -> None:
    everything = metrics_of("classification") - {"value_per_1000"}
    assert everything - set(two_classes(labels, chances)) == missing


def test_score_of_a_forecast() -> None:
    found = metrics.score(
        Output("forecast"), np.array([1.0, 2.0]), np.array([[1.0], [4.0]]), scale=2.0, value=UnitValue(-1, -4)
    )
    assert found == {"mae": 1.0, "rmse": pytest.approx(2**0.5), "mase": 0.5, "smape": pytest.approx(1 / 3),
                     "value_per_1000": -1000.0}  # fmt: skip


def test_score_without_rows_is_empty() -> None:
    assert two_classes([], []) == {}


def test_score_of_regression_has_r2_and_no_forecast_metric() -> None:
    assert set(metrics.score(Output("regression"), np.array([1.0, 2.0]), np.ones((2, 1)))) == {
        "mae",
        "rmse",
        "r2",
    }


def test_a_probability_at_the_threshold_is_called_positive() -> None:
    assert metrics.called_codes(TWO, np.array([[0.6, 0.4], [0.61, 0.39]])).tolist() == [1, 0]


def test_an_unknown_label_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="labels that are no classes: maybe; classes: no, yes"):
        two_classes(["maybe"], [0.5])


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 true values, but 2 answers"):
        metrics.score(TWO, np.array(["no"]), np.ones((2, 2)))


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_no_figure_is_ever_nan_or_infinite(seed: int) -> None:
    generator = np.random.default_rng(seed)
    size = int(generator.integers(1, 6))
    labels = generator.choice(["no", "yes"], size=size).tolist()
    assert np.isfinite(list(two_classes(labels, generator.random(size).round(1).tolist()).values())).all()
