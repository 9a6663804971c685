"""Whether an exported model answers as the trained one does.

Two arrays in, a :class:`Comparison` out; which rows they are about is :mod:`fairlead.bundle.hard_rows`' business.

What agreement means:

- Probabilities (classification, mixtures): no answer differs by more than :data:`TOLERANCE`, absolutely.
- Values and distances: no answer differs by more than :data:`TOLERANCE` times its size, or times the typical size of an
  answer where that is larger (a forecast of 0.001 beside forecasts of 1,000 need not have four correct digits).
- Decisions: a decision can then flip only on a row that lies within the tolerance of the threshold. Such rows are
  counted, and may be at most :data:`FLIPS` of the held-out rows: a forest of few trees gives many rows the same
  probability, and if that is the threshold itself, rounding to float32 would move all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.records import ParityResult
from fairlead.schema import Output

TOLERANCE = 1e-4
"""Largest difference. float32 arithmetic on sound conversions stays a hundred times below it; wrong ones are a thousand
times above."""

FLIPS = 0.001
"""Largest share of held-out rows whose decision may differ, all of them within the tolerance of the threshold."""

Answers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models' answers to the same rows, compared."""

    rows: int
    max_difference: float
    """Absolute for probabilities, relative otherwise; infinite if an answer is missing."""
    worst_row: int
    flipped: int
    """Rows whose decision differs."""

    @property
    def agrees(self) -> bool:
        """Whether no answer differs by more than the tolerance."""
        return self.max_difference <= TOLERANCE

    @property
    def flips_too_often(self) -> bool:
        """Whether more decisions differ than :data:`FLIPS` allows; one row is always allowed."""
        return self.flipped > max(1.0, FLIPS * self.rows)


def compare(expected: Answers, answered: Answers, output: Output) -> Comparison:
    """Compare two models' answers to the same rows, shape (rows, columns).

    >>> two = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.5)
    >>> expected = np.array([[0.9, 0.1], [0.5, 0.5]])
    >>> compare(expected, np.array([[0.9, 0.1], [0.50001, 0.49999]]), two).agrees
    True
    >>> compare(expected, np.array([[0.9, 0.1], [0.50001, 0.49999]]), two).flipped
    1
    >>> compare(expected, np.array([[0.9, 0.1], [0.7, 0.3]]), two).max_difference.__round__(6)
    0.2
    >>> compare(expected, np.array([[0.9, 0.1]]), two).agrees
    False

    Values are compared by their size, here 1,000:

    >>> compare(np.array([[1000.0]]), np.array([[1000.05]]), Output("regression")).agrees
    True
    """
    rows = len(expected)
    if expected.shape != answered.shape:
        return Comparison(rows, float("inf"), 0, rows)
    if rows == 0:
        return Comparison(0, 0.0, 0, 0)
    worst = _differences(expected, answered, output).max(axis=1, initial=0.0)
    flipped = int(np.sum(decisions(expected, output) != decisions(answered, output)))
    return Comparison(rows, float(worst.max()), int(worst.argmax()), flipped)


def _differences(expected: Answers, answered: Answers, output: Output) -> Answers:
    difference = np.abs(expected - answered)
    if not is_probability(expected, output):
        size = np.maximum(np.abs(expected), np.mean(np.abs(expected)))
        difference = difference / np.where(size > 0, size, 1.0)
    both_missing = np.isnan(expected) & np.isnan(answered)
    return np.where(both_missing, 0.0, np.where(np.isnan(difference), np.inf, difference))


def is_probability(answers: Answers, output: Output) -> bool:
    """Whether the answers are probabilities: classes, or a mixture's clusters (which are never negative)."""
    return output.task == "classification" or (output.task == "clustering" and bool(np.all(answers >= 0)))


def decisions(answers: Answers, output: Output) -> NDArray[np.intp]:
    """What is called for each row: the class or cluster by position; nothing (0) for values.

    >>> two = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.3)
    >>> decisions(np.array([[0.6, 0.4], [0.8, 0.2]]), two)
    array([1, 0])
    """
    if output.task in ("regression", "forecast"):
        return np.zeros(len(answers), dtype=np.intp)
    if len(output.classes) == 2 and output.positive in output.classes:
        return (answers[:, output.classes.index(output.positive)] >= output.threshold).astype(np.intp)
    largest: NDArray[np.intp] = np.argmax(answers, axis=1)
    return largest


def result_of(format_name: str, heldout: Comparison, hard: Comparison) -> ParityResult:
    """The verdict on one format from its two comparisons, in words.

    >>> good = Comparison(100, 1e-7, 0, 0)
    >>> result_of("onnx", good, good).outcome
    'agrees'
    >>> result_of("onnx", good, Comparison(500, 0.25, 7, 3)).reason
    'differs by 0.25 on row 7 of 500 rows at quantiles, limits and split thresholds (tolerance 0.0001)'
    """
    rows, largest = heldout.rows + hard.rows, max(heldout.max_difference, hard.max_difference)
    outcome, reason = "agrees", _agreement(heldout)
    if not heldout.agrees:
        outcome, reason = "disagrees", _disagreement(heldout, "held-out rows")
    elif not hard.agrees:
        outcome, reason = "disagrees", _disagreement(hard, "rows at quantiles, limits and split thresholds")
    elif heldout.flips_too_often:
        outcome, reason = (
            "disagrees",
            f"{heldout.flipped} of {heldout.rows} held-out rows are decided otherwise",
        )
    return ParityResult(format_name, outcome, largest if np.isfinite(largest) else None, rows, reason)


def _agreement(heldout: Comparison) -> str:
    flipped = f", {heldout.flipped} decided otherwise" if heldout.flipped else ""
    return f"within {TOLERANCE:g} on all rows{flipped}"


def _disagreement(one: Comparison, where: str) -> str:
    size = (
        f"differs by {one.max_difference:.3g}"
        if np.isfinite(one.max_difference)
        else "gives no comparable answer"
    )
    return f"{size} on row {one.worst_row} of {one.rows} {where} (tolerance {TOLERANCE:g})"
