"""The evaluation of every task, and the comparison with a champion."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.model.evaluations import (
    EVALUATED,
    MONEY,
    clustering_evaluated,
    forecast_evaluated,
    forecast_rows,
    many_classes_evaluated,
    regression_evaluated,
    two_classes,
    two_classes_evaluated,
)

from fairlead.model.evaluate import HeldOut, compare, evaluate
from fairlead.model.evaluation import Evaluation
from fairlead.model.forecast_errors import groups
from fairlead.schema.fields import Output
from fairlead.spec.metrics import metrics_of

all_tasks = pytest.mark.parametrize("evaluated", EVALUATED.values(), ids=EVALUATED.keys())


@all_tasks
def test_json_gives_back_the_same_evaluation(evaluated) -> None:
    evaluation = evaluated()
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


@all_tasks
def test_the_same_rows_give_the_same_bytes(evaluated) -> None:
    assert evaluated().to_json() == evaluated.__wrapped__().to_json()


@all_tasks
def test_every_metric_lies_in_its_interval(evaluated) -> None:
    for name, estimate in evaluated().metrics.items():
        if estimate.low is not None:
            assert estimate.low <= estimate.value <= estimate.high, name


@pytest.mark.parametrize(
    ("evaluated", "missing"),
    [
        (two_classes_evaluated, set()),
        (
            many_classes_evaluated,
            {"roc_auc", "average_precision", "brier", "precision", "recall", "false_positive_rate"},
        ),
        (regression_evaluated, set()),
        (forecast_evaluated, {"value_per_1000"}),
        (clustering_evaluated, set()),
    ],
    ids=EVALUATED.keys(),
)
def test_all_metrics_of_the_task_are_measured(evaluated, missing: set[str]) -> None:
    evaluation = evaluated()
    assert metrics_of(evaluation.task) - set(evaluation.metrics) == missing


@all_tasks
def test_the_baseline_is_measured_beside_the_model(evaluated) -> None:
    evaluation = evaluated()
    assert evaluation.objective in evaluation.metrics
    assert evaluation.objective in evaluation.baseline


def test_the_summary_says_what_counts() -> None:
    assert two_classes_evaluated().summary == (
        "On 1,500 test rows the ROC AUC is 0.829 (95 % interval 0.781 to 0.873); the baseline reaches 0.5. "
        "At the threshold 0.076 it finds 90.1 % of class 'yes', and 12.7 % of its calls are right. "
        "1,000 predictions are worth 4,146 EUR, 15,293 more than the baseline."
    )


# ---------------------------------------------------------------------------------------------- two classes


def test_the_confusion_matrix_counts_every_row_once() -> None:
    evaluation = two_classes_evaluated()
    confusion = np.array(evaluation.classes.confusion)
    assert confusion.sum() == evaluation.rows
    assert confusion[1, 1] / confusion[1].sum() == pytest.approx(evaluation.figures["recall"])
    assert confusion[1, 1] / confusion[:, 1].sum() == pytest.approx(evaluation.figures["precision"])


def test_a_slice_where_the_model_knows_nothing_is_worse_and_a_rare_one_is_not_judged() -> None:
    found = {(part.column, part.value): part.verdict for part in two_classes_evaluated().slices}
    assert found["country", "FR"] == "worse"
    assert found["country", "IS"] == "too few rows"


def test_the_baseline_is_called_by_its_own_threshold() -> None:
    output, rows = two_classes()
    called = evaluate(output, rows, objective="roc_auc", baseline_threshold=0.1).baseline
    not_called = evaluate(output, rows, objective="roc_auc", baseline_threshold=0.2).baseline
    assert (called["recall"], not_called["recall"]) == (1.0, 0.0)


def test_one_class_alone_gives_what_is_defined() -> None:
    output, rows = two_classes()
    alone = replace(rows, actual=np.full(len(rows.answers), "no", dtype=object), slices={})
    evaluation = evaluate(output, alone, objective="average_precision")
    assert "roc_auc" not in evaluation.metrics
    assert evaluation.classes.roc is None
    assert evaluation.summary.startswith("On 1,500 test rows the accuracy is")


def test_whole_groups_are_drawn() -> None:
    output, rows = two_classes()
    order = np.argsort(rows.actual.astype(str), kind="stable")
    few = np.empty(len(order), dtype=np.int64)
    few[order] = np.arange(len(order)) // 75
    alone = evaluate(output, rows, objective="roc_auc").metrics["accuracy"]
    grouped = evaluate(output, replace(rows, groups=few), objective="roc_auc").metrics["accuracy"]
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_forty_thousand_rows_take_less_than_five_seconds_of_one_core() -> None:
    output, rows = two_classes(rows=40_000)
    started = time.process_time()
    evaluate(output, rows, objective="average_precision", value=MONEY)
    assert time.process_time() - started < 5


def test_rows_without_truth_are_refused() -> None:
    rows = HeldOut(np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="can only be evaluated for clustering"):
        evaluate(two_classes()[0], rows, objective="roc_auc")


# ------------------------------------------------------------------------------------------- other tasks


def test_classes_are_each_measured_against_the_rest() -> None:
    detail = many_classes_evaluated().classes
    confusion = np.array(detail.confusion)
    for place, one in enumerate(detail.by_class):
        assert one.rows == confusion[place].sum()
        assert one.recall == pytest.approx(confusion[place, place] / one.rows)


def test_residuals_are_predicted_minus_actual() -> None:
    detail = regression_evaluated().numbers
    assert detail.mean == pytest.approx(0.5, abs=0.15)
    assert detail.share_over > 0.6
    assert len(detail.sample_actual) == 400


def test_forecast_error_grows_with_the_step_as_it_was_made() -> None:
    steps = forecast_evaluated().forecast.by_step
    assert [step.name for step in steps] == [str(step) for step in range(1, 8)]
    assert steps[-1].mae > 3 * steps[0].mae


def test_a_series_that_never_changed_has_no_mase() -> None:
    by_name = {one.name: one for one in forecast_evaluated().forecast.by_series}
    assert by_name["item 2"].mase is None
    assert by_name["item 0"].mase == pytest.approx(by_name["item 0"].mae / 5.0)


def test_each_moment_of_an_example_is_forecast_once() -> None:
    examples = forecast_evaluated().forecast.examples
    assert [example.key for example in examples] == ["item 0", "item 1", "item 2"]
    for example in examples:
        assert len(set(example.at)) == len(example.at) == 28
        assert list(example.at) == sorted(example.at)


@pytest.mark.parametrize(
    ("series", "distinct"), [(3, 28), (12, 12)], ids=["few series: origins", "many: series"]
)
def test_what_a_forecast_resamples(series: int, distinct: int) -> None:
    assert len(np.unique(groups(forecast_rows(series=series).series))) == distinct


def test_clusters_are_profiled_in_the_fields_own_values() -> None:
    detail = clustering_evaluated().clusters
    assert sum(detail.sizes) == 300
    spend, plan = detail.profile
    assert spend.by_cluster[1] == pytest.approx(8, abs=0.5)
    assert plan.by_cluster[0].startswith("basic (")
    assert plan.by_cluster[2] is None


def test_silhouette_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import davies_bouldin_score, silhouette_score

    generator = np.random.default_rng(0)
    answers, points = generator.random((200, 3)), generator.normal(size=(200, 2))
    labels = answers.argmax(axis=1)
    rows = HeldOut(answers, answers, points=points)
    found = evaluate(Output("clustering", clusters=3), rows, objective="silhouette").figures
    assert found["silhouette"] == pytest.approx(silhouette_score(points, labels))
    assert found["davies_bouldin"] == pytest.approx(davies_bouldin_score(points, labels))


def test_one_cluster_has_no_silhouette() -> None:
    rows = HeldOut(
        np.tile([1.0, 0.0], (20, 1)), np.ones((20, 2)), points=np.random.default_rng(0).random((20, 2))
    )
    assert evaluate(Output("clustering", clusters=2), rows, objective="silhouette").metrics == {}


# ---------------------------------------------------------------------------------------------- champion


def test_a_champion_with_the_same_answers_does_not_differ() -> None:
    output, rows = two_classes()
    compared = compare(output, rows, rows.answers, output.threshold, "3", value=MONEY)
    assert set(compared.differences) == metrics_of("classification")
    assert all(one.low == one.high == one.this - one.champion == 0 for one in compared.differences.values())


def test_a_noisier_champion_is_worse_for_sure() -> None:
    output, rows = two_classes()
    noise = 0.5 * np.random.default_rng(0).random(len(rows.answers)) + 0.5 * rows.answers[:, 1]
    compared = compare(output, rows, np.column_stack([1 - noise, noise]), 0.5, "3")
    difference = compared.differences["roc_auc"]
    assert difference.this > difference.champion
    assert 0 < difference.low <= difference.this - difference.champion <= difference.high


def test_the_champion_is_called_by_its_own_threshold() -> None:
    output, rows = two_classes()
    compared = compare(output, rows, rows.answers, 0.0, "3")
    assert compared.differences["recall"].champion == 1.0


def test_clusterings_are_not_compared() -> None:
    rows = HeldOut(np.ones((4, 2)), np.ones((4, 2)))
    compared = compare(Output("clustering"), rows, np.ones((4, 2)), 0.5, "3")
    assert (compared.differences, compared.reason) == ({}, "clusterings have no truth to be compared by")
