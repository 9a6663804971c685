"""The threshold at which positive is called, chosen on validation rows by what calls are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.model.evaluation import ThresholdChoice
from fairlead.report.numbers import number
from fairlead.schema.fields import Output
from fairlead.stats.curves import Curve, thin
from fairlead.stats.value import CellValue, Cut, Value, cuts, value_per_1000

DEFAULT = 0.5


def choose(
    output: Output, value: Value | None, actual: NDArray[Any], answers: NDArray[np.float64]
) -> ThresholdChoice | None:
    """The threshold that is worth most on these rows; 0.5 without money; None unless there are two classes.

    Args:
        output: Task, classes, positive class. Its threshold is not looked at.
        value: Money per outcome, from :func:`fairlead.stats.value.value_for`.
        actual: (rows,) true labels of the validation rows.
        answers: (rows, 2) probabilities.
    """
    if output.task != "classification" or len(output.classes) != 2:
        return None
    if not isinstance(value, CellValue):
        return ThresholdChoice(
            DEFAULT, "problem.value is not set, so both errors count the same", len(actual)
        )
    positive = np.asarray(actual, dtype=object).astype(str) == output.positive
    found = cuts(value, positive, answers[:, output.classes.index(output.positive)])
    threshold = float(found.thresholds[found.best])
    best = float(found.per_1000[found.best])
    at_half = value_per_1000(value, _at(output, DEFAULT), actual, answers)
    reason = (
        f"worth most on {len(actual):,} validation rows: {number(best)} {value.currency} per 1,000, "
        f"against {number(at_half)} at {DEFAULT}"
    )
    return ThresholdChoice(threshold, reason, len(actual), best, at_half, _curve(found))


def _curve(found: Cut) -> Curve:
    """Thinned, with the best point in it for certain."""
    thinned = thin(found.thresholds, found.per_1000)
    points = {*zip(thinned.x, thinned.y, strict=True)}
    points.add((float(found.thresholds[found.best]), float(found.per_1000[found.best])))
    x, y = zip(*sorted(points), strict=True)
    return Curve(x, y)


def _at(output: Output, threshold: float) -> Output:
    return Output(output.task, classes=output.classes, positive=output.positive, threshold=threshold)
