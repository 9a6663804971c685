"""What predictions are worth in money, and the threshold at which two classes are worth most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import ProjectError
from fairlead.schema.fields import Output

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CellValue:
    """Two classes: money per row, by what was true and what was called."""

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float
    currency: str = ""

    def money(self, positive: NDArray[np.bool_], called: NDArray[np.bool_]) -> Floats:
        """Money a row.

        >>> fraud = CellValue(true_positive=85, false_positive=-4, false_negative=-110, true_negative=0)
        >>> fraud.money(np.array([True, False, True, False]), np.array([True, True, False, False])).tolist()
        [85.0, -4.0, -110.0, 0.0]
        """
        when_positive = np.where(called, self.true_positive, self.false_negative)
        when_negative = np.where(called, self.false_positive, self.true_negative)
        return np.where(positive, when_positive, when_negative).astype(np.float64)


@dataclass(frozen=True, slots=True)
class AnswerValue:
    """More than two classes: money per right and per wrong answer."""

    correct: float
    wrong: float
    currency: str = ""

    def money(self, right: NDArray[np.bool_]) -> Floats:
        """Money a row.

        >>> AnswerValue(correct=1.0, wrong=-0.5).money(np.array([True, False])).tolist()
        [1.0, -0.5]
        """
        return np.where(right, self.correct, self.wrong).astype(np.float64)


@dataclass(frozen=True, slots=True)
class UnitValue:
    """Numbers: money per unit predicted too much and per unit predicted too little."""

    over: float
    under: float
    currency: str = ""

    def money(self, actual: Floats, predicted: Floats) -> Floats:
        """Money a row: 3 units too much at -1 a unit is -3, 2 too little at -4 a unit is -8.

        >>> UnitValue(over=-1, under=-4).money(np.array([10.0, 10.0]), np.array([13.0, 8.0])).tolist()
        [-3.0, -8.0]
        """
        excess = predicted - actual
        return np.where(excess > 0, self.over * excess, self.under * -excess) + 0.0


Value = CellValue | AnswerValue | UnitValue


def value_for(output: Output, spec: Any) -> Value | None:
    """The money that fits the task.

    Args:
        output: Task and classes.
        spec: ``problem.value`` of the project file (anything with its attributes), or None.

    Raises:
        ProjectError: The project states money for another kind of task.
    """
    if spec is None:
        return None
    if output.task == "classification" and len(output.classes) == 2:
        names = ("true_positive", "false_positive", "false_negative", "true_negative")
        return CellValue(*_cells(output, spec, names))
    if output.task == "classification":
        return AnswerValue(*_cells(output, spec, ("correct", "wrong")))
    if output.task in ("regression", "forecast"):
        return UnitValue(*_cells(output, spec, ("over", "under")))
    raise ProjectError(
        "problem.value is set, but clustering predicts nothing that has a price", hint="Remove problem.value."
    )


def _cells(output: Output, spec: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    cells = tuple(getattr(spec, name, None) for name in names)
    if any(cell is None for cell in cells):
        kind = f"{output.task} with {len(output.classes)} classes" if output.classes else output.task
        message = f"problem.value does not fit {kind}"
        raise ProjectError(message, hint=f"Give {', '.join(names)}.")
    return (*cells, spec.currency)


def money_by_row(value: Value, output: Output, actual: NDArray[Any], answers: Floats) -> Floats:
    """Money a row, from true values and a model's answers at the threshold of *output*.

    Args:
        value: Money per outcome.
        output: Task, classes, positive class, threshold.
        actual: (rows,) class labels as text, or numbers.
        answers: (rows, k).
    """
    if isinstance(value, UnitValue):
        return value.money(np.asarray(actual, dtype=np.float64), answers[:, 0])
    labels = np.asarray(actual, dtype=object).astype(str)
    if isinstance(value, CellValue):
        called = answers[:, output.classes.index(output.positive)] >= output.threshold
        return value.money(labels == output.positive, called)
    return value.money(labels == np.array(output.classes, dtype=object)[answers.argmax(axis=1)].astype(str))


def value_per_1000(value: Value, output: Output, actual: NDArray[Any], answers: Floats) -> float:
    """Money per 1,000 predictions.

    >>> churn = Output("classification", classes=("no", "yes"), positive="yes")
    >>> cells = CellValue(true_positive=10, false_positive=-1, false_negative=0, true_negative=0)
    >>> chances = np.array([[0.1, 0.9], [0.4, 0.6], [0.8, 0.2], [0.7, 0.3]])
    >>> value_per_1000(cells, churn, np.array(["yes", "no", "yes", "no"]), chances)
    2250.0
    """
    return float(1000 * money_by_row(value, output, actual, answers).mean())


# ------------------------------------------------------------------------------------------------- threshold


@dataclass(frozen=True, slots=True)
class Cut:
    """Thresholds that tell rows apart differently, in rising order, and what each is worth per 1,000 rows."""

    thresholds: Floats
    per_1000: Floats

    @property
    def best(self) -> int:
        """Position of the best threshold; among equals the one nearest 0.5, then the lower one."""
        top = self.per_1000.max()
        equal = np.flatnonzero(self.per_1000 >= top - 1e-9 * max(1.0, abs(float(top))))
        return int(equal[np.argmin(np.abs(self.thresholds[equal] - 0.5))])


def cuts(value: CellValue, positive: NDArray[np.bool_], probability: Floats) -> Cut:
    """All ways to divide the rows by a threshold, and their worth.

    Between two neighbouring distinct probabilities every threshold makes the same calls; the midpoint stands
    for them all, farthest from both, so that the rounding of a float32 runtime moves no row across. Below the
    smallest probability p (all rows are called positive) it is p / 2; above the largest (none is) it is (p +
    1) / 2, or 1.5 if p is 1.

    Args:
        value: Money per outcome.
        positive: (rows,) what was true.
        probability: (rows,) of the positive class, 0 to 1.

    >>> result = cuts(CellValue(10, -1, 0, 0), np.array([True, False, True]), np.array([0.8, 0.4, 0.2]))
    >>> result.thresholds.round(2).tolist(), result.per_1000.round(0).tolist()
    ([0.1, 0.3, 0.6, 0.9], [6333.0, 3000.0, 3333.0, 0.0])
    """
    distinct, place = np.unique(probability, return_inverse=True)
    positives = np.bincount(place[positive], minlength=len(distinct))
    negatives = np.bincount(place[~positive], minlength=len(distinct))
    missed, spared = np.r_[0, np.cumsum(positives)], np.r_[0, np.cumsum(negatives)]
    found, alarmed = missed[-1] - missed, spared[-1] - spared
    money = (
        found * value.true_positive
        + alarmed * value.false_positive
        + missed * value.false_negative
        + spared * value.true_negative
    )
    padded = np.r_[0.0, distinct, 2.0 if distinct[-1] >= 1 else 1.0]
    return Cut((padded[:-1] + padded[1:]) / 2, 1000.0 * money / len(probability))


def best_threshold(value: CellValue, positive: NDArray[np.bool_], probability: Floats) -> float:
    """The threshold that is worth most on these rows: exact, over all ways to divide them. See :func:`cuts`.

    >>> cells = CellValue(true_positive=85, false_positive=-4, false_negative=-110, true_negative=0)
    >>> best_threshold(cells, np.array([True, False, True, False]), np.array([0.9, 0.3, 0.2, 0.1]))
    0.15000000000000002
    """
    found = cuts(value, positive, probability)
    return float(found.thresholds[found.best])
