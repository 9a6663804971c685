"""The result of an evaluation in a sentence or two, for the top of the page and the run's description."""

from __future__ import annotations

from fairlead.model.evaluation import Estimate, Evaluation
from fairlead.report.numbers import number, percent

TITLES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "false_positive_rate": "false positive rate",
    "f1": "F1",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "mase": "MASE",
    "smape": "sMAPE",
    "silhouette": "silhouette",
    "davies_bouldin": "Davies-Bouldin index",
    "value_per_1000": "value per 1,000",
}
"""Metric names as people write them."""


def title(metric: str) -> str:
    """A metric's name as people write it.

    >>> title("roc_auc")
    'ROC AUC'
    """
    return TITLES.get(metric, metric.replace("_", " "))


def summary_of(evaluation: Evaluation) -> str:
    """What was measured, beside the baseline, in plain words."""
    parts = [_headline(evaluation), _calls(evaluation), _money(evaluation)]
    return " ".join(part for part in parts if part)


def _headline(evaluation: Evaluation) -> str:
    order = ("roc_auc", "accuracy", "r2", "mase", "mae", "silhouette")
    known = [metric for metric in order if metric in evaluation.metrics]
    if not known:
        return f"No metric is defined on {evaluation.rows:,} test rows."
    metric = known[0]
    base = evaluation.baseline.get(metric)
    beside = (
        ""
        if base is None
        else f"; the baseline reaches {number(base if metric == 'mae' else round(base, 3), 3)}"
    )
    figure = with_interval(evaluation.metrics[metric])
    return f"On {evaluation.rows:,} test rows the {title(metric)} is {figure}{beside}."


def with_interval(estimate: Estimate) -> str:
    """A figure and its interval in words.

    >>> with_interval(Estimate(0.9, 0.88, 0.92))
    '0.9 (95 % interval 0.88 to 0.92)'
    """
    if estimate.low is None or estimate.high is None:
        return number(estimate.value, 3)
    ends = f"{number(estimate.low, 3)} to {number(estimate.high, 3)}"
    return f"{number(estimate.value, 3)} (95 % interval {ends})"


def _calls(evaluation: Evaluation) -> str:
    if evaluation.classes is None or not evaluation.classes.positive or "recall" not in evaluation.metrics:
        return ""
    threshold = evaluation.threshold.threshold if evaluation.threshold else 0.5
    found, right = evaluation.metrics["recall"].value, evaluation.metrics.get("precision")
    positive = evaluation.classes.positive
    if right is None:
        return f"At the threshold {number(threshold, 3)} nothing is called {positive!r}."
    return (
        f"At the threshold {number(threshold, 3)} it finds {percent(found)} of class {positive!r}, "
        f"and {percent(right.value)} of its calls are right."
    )


def _money(evaluation: Evaluation) -> str:
    worth = evaluation.metrics.get("value_per_1000")
    if worth is None:
        return ""
    base = evaluation.baseline.get("value_per_1000")
    beside = "" if base is None else f", {number(worth.value - base, 3)} more than the baseline"
    if base is not None and worth.value < base:
        beside = f", {number(base - worth.value, 3)} less than the baseline"
    return f"1,000 predictions are worth {number(worth.value, 3)} {evaluation.currency}{beside}."
