"""Would more rows help? Does the model learn by heart? A learning curve and a verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fairlead.spec.metrics import Metric

SHARES = (0.1, 0.3, 1.0)
"""Of the training rows; about three times as many each, because curves are straight in the logarithm."""
MAX_ROWS = 20_000
"""Rows the curve is drawn with. Its shape is settled by then, and the whole curve costs less than one fit."""
MIN_ROWS = 20

GAP = 0.10
"""Share by which the error on new rows may exceed that on training rows before it counts as learnt by heart."""
RISE = 0.02
"""Gain from the last enlargement, as a share of the figure, from which on more rows are said to help."""

Fit = Literal["over-fit", "under-fit", "good fit", "unclear"]


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """The objective after training on *rows* rows: on those rows, and on validation rows."""

    rows: int
    train: float
    valid: float


@dataclass(frozen=True, slots=True)
class LearningVerdict:
    """What the curve says."""

    fit: Fit
    more_rows_help: bool
    words: str


def sizes(rows: int) -> tuple[int, ...]:
    """Numbers of training rows the curve is drawn at.

    >>> sizes(1000), sizes(1_000_000), sizes(30)
    ((100, 300, 1000), (2000, 6000, 20000), (30,))
    """
    most = min(rows, MAX_ROWS)
    found = sorted({int(most * share) for share in SHARES})
    return tuple(size for size in found if size >= MIN_ROWS or size == most)


def nested_samples(rows: int, seed: int) -> list[NDArray[np.intp]]:
    """Row positions for each size; every larger sample holds the smaller ones."""
    order = np.random.default_rng(seed).permutation(rows)
    return [np.sort(order[:size]) for size in sizes(rows)]


Train = Callable[[NDArray[np.intp]], tuple[float | None, float | None]]
"""Row positions to the objective on these rows and on validation rows."""


def learning_curve(rows: int, seed: int, train: Train) -> tuple[LearningPoint, ...]:
    """Train on growing samples. Sizes at which the objective is not defined are left out."""
    points = []
    for sample in nested_samples(rows, seed):
        on_train, on_valid = train(sample)
        if on_train is not None and on_valid is not None:
            points.append(LearningPoint(len(sample), on_train, on_valid))
    return tuple(points)


def verdict(
    metric: Metric, points: Sequence[LearningPoint], baseline: float | None = None
) -> LearningVerdict:
    """Over-fit, under-fit or good, and whether more rows would help.

    With g the gap between training and validation rows, r the gain on validation rows from the last enlargement, and b the
    gain over the baseline, each as a share of the largest figure involved:

    =============  ======================  ===========  ===================
    g > 0.10       b < 0.10                verdict      more rows help if
    =============  ======================  ===========  ===================
    yes            any                     over-fit     r > 0.02
    no             yes                     under-fit    r > 0.02
    no             no, or no baseline      good fit     r > 0.02
    =============  ======================  ===========  ===================

    >>> from fairlead.spec.metrics import METRICS
    >>> verdict(METRICS["roc_auc"], [LearningPoint(100, 1.0, 0.70), LearningPoint(1000, 0.99, 0.80)]).words
    'Over-fit: roc_auc is 0.99 on its own training rows and 0.8 on new ones. The last enlargement of the training rows still gained 0.1, so more rows would help.'
    """  # noqa: E501 - the sentence is the example
    if not points:
        return LearningVerdict(
            "unclear", False, f"Unclear: {metric.name} could not be measured on a learning curve."
        )
    last, sign = points[-1], 1.0 if metric.higher_is_better else -1.0
    size = max(abs(last.train), abs(last.valid), *([] if baseline is None else [abs(baseline)])) or 1.0
    gap = sign * (last.train - last.valid) / size
    rise = sign * (last.valid - points[-2].valid) / size if len(points) > 1 else 0.0
    above = None if baseline is None else sign * (last.valid - baseline) / size
    fit: Fit = "over-fit" if gap > GAP else "under-fit" if above is not None and above < GAP else "good fit"
    return LearningVerdict(
        fit, rise > RISE, f"{_about_fit(fit, metric.name, last, baseline)} {_about_rows(points, rise)}"
    )


def _about_fit(fit: Fit, name: str, last: LearningPoint, baseline: float | None) -> str:
    both = f"{name} is {last.train:.3g} on its own training rows and {last.valid:.3g} on new ones"
    if fit == "under-fit":
        return f"Under-fit: {both}, hardly better than the baseline's {baseline:.3g}: features or model are too weak."
    return f"{fit.capitalize()}: {both}."


def _about_rows(points: Sequence[LearningPoint], rise: float) -> str:
    if len(points) < 2:
        return "There are too few rows to say whether more would help."
    gain = abs(points[-1].valid - points[-2].valid)
    if rise > RISE:
        return f"The last enlargement of the training rows still gained {gain:.2g}, so more rows would help."
    return (
        "The last enlargement of the training rows gained next to nothing, so more rows would not help much."
    )
