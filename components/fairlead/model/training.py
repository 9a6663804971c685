"""From the best trial to a trained model with its threshold, its baseline and its learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.model import baseline, threshold
from fairlead.model.candidates import Contender
from fairlead.model.evaluation import ThresholdChoice
from fairlead.model.fit import ask, fit, space_of, target_of
from fairlead.model.learning import LearningPoint, learning_curve
from fairlead.model.objective import Objective
from fairlead.model.rows import Rows
from fairlead.model.trials import Trial
from fairlead.schema import Schema

LEARNING_VALID_ROWS = 20_000
"""Validation rows a learning curve is measured on."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The winner, fitted on all training rows."""

    contender: Contender
    trial: Trial
    pipeline: Any
    schema: Schema
    """With the threshold, or the number of clusters."""
    choice: ThresholdChoice | None
    """Two classes: the threshold and why."""
    baseline: baseline.Answer
    baseline_threshold: float
    warnings: Sequence[str]

    def answers(self, array: NDArray[Any]) -> NDArray[np.float64]:
        """The model's answers to encoded rows."""
        return ask(self.pipeline, self.schema.output, array)


def train(contender: Contender, trial: Trial, objective: Objective, rows: Rows, valid: Rows) -> Trained:
    """Fit the winner on all training rows, and choose its threshold on the validation rows.

    Args:
        contender: The candidate that won.
        trial: Its parameters.
        objective: Task and money.
        rows: Training rows.
        valid: Validation rows.

    Raises:
        DataError: A class does not occur in the training rows.
    """
    output = objective.output
    target = target_of(output, rows)
    pipeline, warnings = fit(contender, trial.parameters, rows.array, target)
    answers = ask(pipeline, output, valid.array)
    naive = _baseline(contender, pipeline, objective, rows, target, answers.shape[1])
    choice = threshold.choose(output, objective.value, valid.actual, answers)
    naive_choice = threshold.choose(output, objective.value, valid.actual, naive(valid.array))
    changes: dict[str, Any] = {"threshold": choice.threshold} if choice else {}
    if output.task == "clustering":
        changes = {"clusters": answers.shape[1]}
    return Trained(
        contender=contender,
        trial=trial,
        pipeline=pipeline,
        schema=contender.schema.with_output(**changes),
        choice=choice,
        baseline=naive,
        baseline_threshold=naive_choice.threshold if naive_choice else threshold.DEFAULT,
        warnings=warnings,
    )


def _baseline(
    contender: Contender, pipeline: Any, objective: Objective, rows: Rows, target: Any, clusters: int
) -> baseline.Answer:
    match objective.output.task:
        case "classification":
            return baseline.prior(target, len(objective.output.classes))
        case "regression":
            return baseline.median(target)
        case "forecast":
            return baseline.seasonal_naive(contender.schema)
        case "clustering":
            return baseline.random_centres(
                lambda array: points_of(pipeline, array), rows.array, clusters, contender.seed
            )


def points_of(pipeline: Any, array: NDArray[Any]) -> NDArray[np.float64]:
    """Clustering: rows in the space in which the model measures distance, shape (rows, dimensions)."""
    points = space_of(pipeline, array)
    return np.asarray(points.toarray() if hasattr(points, "toarray") else points, dtype=np.float64)


def curve_of(trained: Trained, objective: Objective, rows: Rows, valid: Rows) -> tuple[LearningPoint, ...]:
    """The winner's learning curve: its parameters on growing samples of the training rows."""
    target = target_of(objective.output, rows)
    some = _evenly(len(valid), LEARNING_VALID_ROWS)
    scored = valid.take(some)

    def measure(pipeline: Any, on: Rows) -> float | None:
        points = points_of(pipeline, on.array) if objective.output.task == "clustering" else None
        answers = ask(pipeline, objective.output, on.array)
        return objective.measure(on.actual, answers, scale=on.scale, matrix=points)

    def on_sample(sample: NDArray[np.intp]) -> tuple[float | None, float | None]:
        part = rows.take(sample)
        try:
            pipeline, _ = fit(
                trained.contender,
                trained.trial.parameters,
                part.array,
                None if target is None else target[sample],
            )
        except ValueError:  # a small sample may lack what an estimator asks for, such as a second class
            return None, None
        return measure(pipeline, part), measure(pipeline, scored)

    return learning_curve(len(rows), trained.contender.seed, on_sample)


def _evenly(rows: int, most: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))
