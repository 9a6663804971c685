"""The one figure a search optimises, and how a model's answers to some rows become it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.model import clusters, threshold
from fairlead.schema import Output
from fairlead.spec import Project
from fairlead.spec.metrics import METRICS, Metric
from fairlead.stats.metrics import formulas
from fairlead.stats.value import Value, value_for

_BY_TASK = {"regression": "mae", "forecast": "mase", "clustering": "silhouette"}


def default_objective(output: Output) -> str:
    """The metric that is optimised when the project names none.

    Two classes: average precision, which rare positives do not flatter. More: log loss, because probabilities are served.
    """
    if output.task == "classification":
        return "average_precision" if len(output.classes) == 2 else "log_loss"
    return _BY_TASK[output.task]


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric, and all that is needed to compute it."""

    name: str
    output: Output
    value: Value | None

    @classmethod
    def of(cls, project: Project, output: Output) -> Objective:
        """The project's objective, or the default of its task.

        Raises:
            ProjectError: problem.value does not fit the task.
        """
        name = project.model.objective or default_objective(output)
        return cls(name, output, value_for(output, project.problem.value))

    @property
    def metric(self) -> Metric:
        """Direction and meaning."""
        return METRICS[self.name]

    def measure(
        self,
        actual: NDArray[Any],
        answers: NDArray[np.float64],
        *,
        scale: NDArray[np.float64] | None = None,
        matrix: Any = None,
    ) -> float | None:
        """The metric of *answers*; None where it is not defined (one class, one cluster).

        Args:
            actual: (rows,) labels or numbers; not looked at for clustering.
            answers: (rows, k).
            scale: (rows,) for MASE.
            matrix: Clustering: the rows in the space the clusters live in.
        """
        if self.output.task == "clustering":
            found = _cluster_quality(_dense(matrix), answers.argmax(axis=1)).get(self.name)
        else:
            formula = formulas(
                self._at_best_threshold(actual, answers), actual, answers, scale=scale, value=self.value
            )
            found = float(formula[self.name](None)) if self.name in formula else None
        return found if found is not None and np.isfinite(found) else None

    def _at_best_threshold(self, actual: NDArray[Any], answers: NDArray[np.float64]) -> Output:
        """The output with the threshold these rows would choose: parameters are compared at their best."""
        choice = threshold.choose(self.output, self.value, actual, answers)
        if choice is None:
            return self.output
        classes, positive = self.output.classes, self.output.positive
        return Output(self.output.task, classes=classes, positive=positive, threshold=choice.threshold)


CLUSTER_ROWS = 2_000
"""Rows on which clusters are compared; silhouettes need the distance of every pair."""


def _cluster_quality(points: NDArray[np.float64], labels: NDArray[np.intp]) -> dict[str, float]:
    """Cluster metrics on rows spread evenly over all: the same rows for every candidate, with nothing drawn."""
    rows = np.unique(np.linspace(0, len(points) - 1, min(len(points), CLUSTER_ROWS)).astype(np.intp))
    return clusters.figures(points[rows], labels[rows], clusters.silhouettes(points[rows], labels[rows]))


def _dense(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
