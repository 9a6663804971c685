"""What a model costs and what it is worth: bytes, seconds, metrics, money. Every model in the same way.

Time is that of the serving back end on encoded rows, in this process, one thread: what a request waits for beside its
parsing. Figures are about all test rows. Intervals are paired: every resample is scored for both models, so that what
makes rows hard for both cancels out (:mod:`fairlead.stats.intervals`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.heldout import LabelledRows
from fairlead.records import Answer
from fairlead.schema import Batch, Output
from fairlead.stats.intervals import Interval, bootstrap
from fairlead.stats.metrics import Formula, called_codes, formulas
from fairlead.stats.value import CellValue, Value, cuts

Floats = NDArray[np.float64]
Clock = Callable[[], float]
"""Seconds since some moment, monotonic."""

ROUNDS = 5
CALLS = 60
SECONDS = 0.05
"""A time is the median of a round of so many calls, or of as many as fit into so many seconds, at least 3; and the smallest
of the rounds, because whatever else the machine does can only add to it."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds a call."""

    one_row: float
    hundred_rows: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A model's answers to the test rows at its own threshold."""

    output: Output
    answers: Floats
    formulas: Mapping[str, Formula] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """Every metric that is defined for these rows."""
        found = {name: float(formula(None)) for name, formula in self.formulas.items()}
        return {name: figure for name, figure in found.items() if np.isfinite(figure)}


def speed(answer: Answer, rows: Batch, clock: Clock) -> Speed:
    """How long one row and a hundred rows take; each call asks about other rows."""
    return Speed(_seconds(answer, _slices(rows, 1), clock), _seconds(answer, _slices(rows, 100), clock))


def _slices(rows: Batch, size: int) -> list[Batch]:
    positions = [
        np.arange(start, start + size) % len(rows) for start in range(0, min(len(rows), 50) * size, size)
    ]
    return [rows.take(chosen) for chosen in positions]


def _seconds(answer: Answer, batches: Sequence[Batch], clock: Clock) -> float:
    answer(batches[0])  # what is done once is not a row's time
    return min(_round(answer, batches, clock) for _ in range(ROUNDS))


def _round(answer: Answer, batches: Sequence[Batch], clock: Clock) -> float:
    taken: list[float] = []
    end = clock() + SECONDS
    for batch in itertools.islice(itertools.cycle(batches), CALLS):
        before = clock()
        answer(batch)
        after = clock()
        taken.append(after - before)
        if after > end and len(taken) >= 3:
            break
    return median(taken)


def with_best_threshold(output: Output, value: Value | None, valid: LabelledRows, answers: Floats) -> Output:
    """The output with the threshold that is worth most on validation rows; two classes with money only.

    Another model has other probabilities, and the threshold of the old one means nothing to it.
    """
    if not isinstance(value, CellValue):
        return output
    positive = np.asarray(valid.actual, dtype=object).astype(str) == output.positive
    found = cuts(value, positive, answers[:, output.classes.index(output.positive)])
    return replace(output, threshold=float(found.thresholds[found.best]))


def judged(output: Output, value: Value | None, test: LabelledRows, answers: Floats) -> Judged:
    """The metrics of some answers to the test rows."""
    return Judged(output, answers, formulas(output, test.actual, answers, scale=test.scale, value=value))


def decided_otherwise(this: Judged, other: Judged) -> int:
    """Test rows for which callers are told another class; 0 for numbers, which are all a little different."""
    if this.output.task != "classification":
        return 0
    return int(np.sum(called_codes(this.output, this.answers) != called_codes(other.output, other.answers)))


def differences(
    variants: Mapping[str, Judged], original: Judged, metrics: Sequence[str], test: LabelledRows, seed: int
) -> dict[str, dict[str, Interval]]:
    """Paired 95 % intervals of *variant minus original*, by variant and metric, from the same resamples for all.

    A metric that is not defined in enough resamples is left out.
    """
    statistics: dict[str, Any] = {}
    for metric in metrics:
        reference = _once(original.formulas[metric])
        for name, variant in variants.items():
            statistics[f"{name}/{metric}"] = _minus(variant.formulas[metric], reference)
    found = bootstrap(statistics, len(test), groups=test.groups, seed=seed)
    return {
        name: {metric: found[f"{name}/{metric}"] for metric in metrics if f"{name}/{metric}" in found}
        for name in variants
    }


def _minus(this: Formula, other: Formula) -> Formula:
    return lambda weights: this(weights) - other(weights)


def _once(formula: Formula) -> Formula:
    """The same formula, computed once for weights that are asked about several times in a row."""
    last: list[Any] = [None, None]

    def remembered(weights: Any) -> Floats:
        if last[0] is not weights:
            last[:] = weights, formula(weights)
        result: Floats = last[1]
        return result

    return remembered
