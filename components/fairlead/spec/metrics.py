"""Which metrics exist, for which tasks, and which way is better; the stages compute them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["classification", "regression", "forecast", "clustering"]
Stage = Literal["model"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: which tasks have it, whether more is better, which stage measures it, what it says."""

    name: str
    tasks: frozenset[Task]
    higher_is_better: bool
    says: str
    stage: Stage = "model"

    def better(self, this: float, other: float) -> bool:
        """Whether *this* is strictly better than *other*.

        >>> METRICS["mae"].better(1.0, 2.0), METRICS["roc_auc"].better(0.8, 0.8)
        (True, False)
        """
        return this > other if self.higher_is_better else this < other


def _metric(name: str, tasks: tuple[Task, ...], better: Literal["higher", "lower"], says: str) -> Metric:
    return Metric(name, frozenset(tasks), better == "higher", says)


_ALL = (
    _metric("roc_auc", ("classification",), "higher", "area under the ROC curve (two classes)"),
    _metric("average_precision", ("classification",), "higher", "area under precision-recall (two classes)"),
    _metric("log_loss", ("classification",), "lower", "negative mean log-likelihood, natural logarithm"),
    _metric("brier", ("classification",), "lower", "mean squared error of the probability (two classes)"),
    _metric("accuracy", ("classification",), "higher", "share of right answers at the threshold"),
    _metric("precision", ("classification",), "higher",
            "share of positive calls that are right (two classes)"),
    _metric("recall", ("classification",), "higher", "share of positives that are found (two classes)"),
    _metric("false_positive_rate", ("classification",), "lower",
            "share of negatives called positive (two classes)"),
    _metric("f1", ("classification",), "higher",
            "harmonic mean of precision and recall; macro for more classes"),
    _metric("mae", ("regression", "forecast"), "lower", "mean absolute error, in the target's unit"),
    _metric("rmse", ("regression", "forecast"), "lower", "root mean squared error, in the target's unit"),
    _metric("r2", ("regression",), "higher", "share of variance explained"),
    _metric("mase", ("forecast",), "lower", "mean absolute error over that of seasonal-naive in training"),
    _metric("smape", ("forecast",), "lower", "symmetric mean absolute percentage error, 0 to 2"),
    _metric("silhouette", ("clustering",), "higher", "mean silhouette, -1 to 1"),
    _metric("davies_bouldin", ("clustering",), "lower", "Davies-Bouldin index"),
    _metric("value_per_1000", ("classification", "regression", "forecast"), "higher",
            "money per 1,000 predictions at the threshold, by problem.value"),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def metrics_of(task: Task) -> frozenset[str]:
    """Names of the metrics that *task* has."""
    return frozenset(name for name, metric in METRICS.items() if task in metric.tasks)
