"""How good answers are: every metric of ``fairlead.spec.metrics`` as a function of arrays.

All functions take weights of shape (rows,) or (resamples, rows) and return one figure or one a resample. A
bootstrap resample is such a weight row (how often each row was drawn), so a metric and its interval come from
the same formula. A metric that is not defined for its rows (ROC AUC with one class present) is NaN here and
left out by :func:`score`.

Definitions are those of scikit-learn, which the tests compare with, except MASE and sMAPE, which give their
source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.fields import Output
from fairlead.stats.value import Value, money_by_row

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.intp]
Weights = Floats | None


# ------------------------------------------------------------------------------------- two classes, by rank


def roc_auc(positive: Bools, score: Floats, weights: Weights = None) -> Floats:
    """Probability that a positive row scores higher than a negative one; ties count one half.

    >>> float(roc_auc(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.1])))
    0.875
    """
    ranked = _rank(positive, score, weights)
    all_negatives = ranked.total - ranked.hits[..., -1:]
    tied = ranked.upto - ranked.before - ranked.gained
    above = ranked.before - (ranked.hits - ranked.gained)
    beaten = all_negatives - above - tied / 2
    return _ratio((ranked.gained * beaten).sum(axis=-1), ranked.hits[..., -1] * all_negatives[..., 0])


def average_precision(positive: Bools, score: Floats, weights: Weights = None) -> Floats:
    """Area under precision-recall: the mean over positives of the precision at their score.

    >>> found = average_precision(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1]))
    >>> float(found.round(4))
    0.8333
    """
    ranked = _rank(positive, score, weights)
    precision = np.divide(ranked.hits, ranked.upto, out=np.zeros_like(ranked.hits), where=ranked.upto > 0)
    return _ratio((ranked.gained * precision).sum(axis=-1), ranked.hits[..., -1])


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Weighted counts at the distinct scores that a positive row has, from the highest score down.

    Only these scores matter to both rank metrics. With rare positives that is a small part of the rows, which
    makes a bootstrap over many rows affordable.
    """

    gained: Floats
    """Positives at this score."""
    hits: Floats
    """Positives at this score or above."""
    before: Floats
    """Rows above this score."""
    upto: Floats
    """Rows at this score or above."""
    total: Floats
    """All rows; last axis 1."""


def _rank(positive: Bools, score: Floats, weights: Weights) -> _Ranked:
    order = np.argsort(-score, kind="stable")
    weight = np.ones(len(score))[order] if weights is None else weights[..., order]
    ordered, found = score[order], np.flatnonzero(positive[order])
    if not len(found):
        nothing = np.zeros((*weight.shape[:-1], 1))
        return _Ranked(nothing, nothing, nothing, nothing, weight.sum(axis=-1, keepdims=True))
    starts = np.flatnonzero(np.r_[True, ordered[found][1:] != ordered[found][:-1]])
    level = -ordered[found[starts]]
    running = np.concatenate([np.zeros((*weight.shape[:-1], 1)), np.cumsum(weight, axis=-1)], axis=-1)
    gained = np.add.reduceat(weight[..., found], starts, axis=-1)
    return _Ranked(
        gained=gained,
        hits=np.cumsum(gained, axis=-1),
        before=running[..., np.searchsorted(-ordered, level, side="left")],
        upto=running[..., np.searchsorted(-ordered, level, side="right")],
        total=running[..., -1:],
    )


# -------------------------------------------------------------------------------- probabilities and calls


def log_loss(codes: Codes, probabilities: Floats, weights: Weights = None) -> Floats:
    """Negative mean log-likelihood, natural logarithm; probabilities are clipped to [2.2e-16, 1 - 2.2e-16].

    Args:
        codes: (rows,) position of the true class.
        probabilities: (rows, classes).
        weights: (rows,) or (resamples, rows).
    """
    smallest = np.finfo(np.float64).eps
    likelihood = np.take_along_axis(probabilities, codes[:, None], axis=1)[:, 0]
    return _mean(-np.log(np.clip(likelihood, smallest, 1 - smallest)), weights)


def brier(positive: Bools, probability: Floats, weights: Weights = None) -> Floats:
    """Mean squared error of the probability of the positive class."""
    return _mean((probability - positive) ** 2, weights)


def accuracy(actual: NDArray[Any], called: NDArray[Any], weights: Weights = None) -> Floats:
    """Share of right answers."""
    return _mean((actual == called).astype(np.float64), weights)


def precision(positive: Bools, called: Bools, weights: Weights = None) -> Floats:
    """Share of positive calls that are right; not defined without a positive call."""
    return _ratio(_sum(positive & called, weights), _sum(called, weights))


def recall(positive: Bools, called: Bools, weights: Weights = None) -> Floats:
    """Share of positives that are called positive; not defined without positives."""
    return _ratio(_sum(positive & called, weights), _sum(positive, weights))


def false_positive_rate(positive: Bools, called: Bools, weights: Weights = None) -> Floats:
    """Share of negatives that are called positive; not defined without negatives."""
    return _ratio(_sum(~positive & called, weights), _sum(~positive, weights))


def f1(positive: Bools, called: Bools, weights: Weights = None) -> Floats:
    """Harmonic mean of precision and recall; not defined with neither positives nor positive calls."""
    return _ratio(2 * _sum(positive & called, weights), _sum(positive, weights) + _sum(called, weights))


def macro_f1(codes: Codes, called: Codes, weights: Weights = None) -> Floats:
    """Mean of :func:`f1` over the classes that occur among the true or the called ones."""
    present = np.union1d(codes, called)
    by_class = np.stack([f1(codes == code, called == code, weights) for code in present])
    defined = ~np.isnan(by_class)
    return _ratio(np.where(defined, by_class, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


# ------------------------------------------------------------------------------------------------- numbers


def mae(actual: Floats, predicted: Floats, weights: Weights = None) -> Floats:
    """Mean absolute error, in the target's unit."""
    return _mean(np.abs(actual - predicted), weights)


def rmse(actual: Floats, predicted: Floats, weights: Weights = None) -> Floats:
    """Root mean squared error, in the target's unit."""
    return np.sqrt(_mean((actual - predicted) ** 2, weights))


def r2(actual: Floats, predicted: Floats, weights: Weights = None) -> Floats:
    """Share of variance explained; not defined for a constant target."""
    centred = actual - actual.mean() if len(actual) else actual
    spread = _mean(centred**2, weights) - _mean(centred, weights) ** 2
    rounding = 1e-12 * np.mean(centred**2) if len(actual) else 0.0
    unexplained = _ratio(_mean((actual - predicted) ** 2, weights), np.where(spread > rounding, spread, 0.0))
    return np.asarray(1 - unexplained)


def mase(actual: Floats, predicted: Floats, scale: Floats | float, weights: Weights = None) -> Floats:
    """Mean absolute scaled error (Hyndman and Koehler 2006): 1 is as good as seasonal-naive was in training.

    Args:
        actual: (rows,)
        predicted: (rows,)
        scale: Mean absolute error of seasonal-naive on the training part of the row's series, one or one a
            row. Rows whose scale is 0 or NaN (series that never changed) are left out.
        weights: (rows,) or (resamples, rows).

    >>> float(mase(np.array([4.0, 6.0]), np.array([5.0, 4.0]), 2.0))
    0.75
    """
    scales = np.broadcast_to(np.asarray(scale, dtype=np.float64), actual.shape)
    usable = scales > 0
    scaled = np.abs(actual - predicted)[usable] / scales[usable]
    return _mean(scaled, None if weights is None else weights[..., usable])


def smape(actual: Floats, predicted: Floats, weights: Weights = None) -> Floats:
    """Mean of 2|a - p| / (|a| + |p|), from 0 to 2 (Makridakis 1993); a row where both are 0 counts 0.

    >>> float(smape(np.array([0.0, 100.0]), np.array([0.0, 300.0])))
    0.5
    """
    size = np.abs(actual) + np.abs(predicted)
    relative = np.divide(2 * np.abs(actual - predicted), size, out=np.zeros_like(size), where=size > 0)
    return _mean(relative, weights)


# ---------------------------------------------------------------------------------------------- all of them


Formula = Callable[[Weights], Floats]


def formulas(
    output: Output,
    actual: NDArray[Any],
    answers: Floats,
    *,
    scale: Floats | float | None = None,
    value: Value | None = None,
) -> dict[str, Formula]:
    """Metric name to the metric as a function of weights alone, for classification, regression and forecast.

    Args:
        output: Task; for classification also the classes, the positive class and the threshold.
        actual: (rows,) class labels as text, or numbers.
        answers: (rows, k) as ``fairlead.schema.answers`` describes them.
        scale: See :func:`mase`; without it there is no MASE.
        value: Money per outcome; without it there is no value_per_1000.

    Raises:
        ValueError: A label is not among the classes, or shapes do not fit.
    """
    if len(actual) != len(answers):
        message = f"{len(actual)} true values, but {len(answers)} answers"
        raise ValueError(message)
    found: dict[str, Formula] = {}
    if output.task == "classification":
        found = _class_formulas(output, codes_of(output.classes, actual), answers)
    elif output.task in ("regression", "forecast"):
        found = _number_formulas(output.task, np.asarray(actual, dtype=np.float64), answers[:, 0], scale)
    if value is not None:
        money = money_by_row(value, output, actual, answers)
        found["value_per_1000"] = lambda weights: 1000 * _mean(money, weights)
    return found


def _class_formulas(output: Output, codes: Codes, answers: Floats) -> dict[str, Formula]:
    called = called_codes(output, answers)
    common: dict[str, Formula] = {
        "log_loss": lambda w: log_loss(codes, answers, w),
        "accuracy": lambda w: accuracy(codes, called, w),
    }
    if len(output.classes) != 2:
        return common | {"f1": lambda w: macro_f1(codes, called, w)}
    yes = output.classes.index(output.positive)
    positive, call, chance = codes == yes, called == yes, answers[:, yes]
    return common | {
        "roc_auc": lambda w: roc_auc(positive, chance, w),
        "average_precision": lambda w: average_precision(positive, chance, w),
        "brier": lambda w: brier(positive, chance, w),
        "precision": lambda w: precision(positive, call, w),
        "recall": lambda w: recall(positive, call, w),
        "false_positive_rate": lambda w: false_positive_rate(positive, call, w),
        "f1": lambda w: f1(positive, call, w),
    }


def _number_formulas(
    task: str, actual: Floats, predicted: Floats, scale: Floats | float | None
) -> dict[str, Formula]:
    found: dict[str, Formula] = {
        "mae": lambda w: mae(actual, predicted, w),
        "rmse": lambda w: rmse(actual, predicted, w),
    }
    if task == "regression":
        return found | {"r2": lambda w: r2(actual, predicted, w)}
    if scale is not None:
        found["mase"] = lambda w: mase(actual, predicted, scale, w)
    return found | {"smape": lambda w: smape(actual, predicted, w)}


def score(
    output: Output,
    actual: NDArray[Any],
    answers: Floats,
    *,
    scale: Floats | float | None = None,
    value: Value | None = None,
) -> dict[str, float]:
    """Every metric that is defined for these rows. The others are left out: no value is NaN or infinite.

    Arguments are those of :func:`formulas`.
    """
    if not len(actual):
        return {}
    found = formulas(output, actual, answers, scale=scale, value=value)
    figures = {name: float(formula(None)) for name, formula in found.items()}
    return {name: figure for name, figure in figures.items() if np.isfinite(figure)}


def codes_of(classes: Sequence[str], labels: NDArray[Any]) -> Codes:
    """Labels to their positions among *classes*.

    >>> codes_of(("ham", "spam"), np.array(["spam", "ham"])).tolist()
    [1, 0]

    Raises:
        ValueError: A label is not among the classes.
    """
    position = {name: code for code, name in enumerate(classes)}
    distinct, inverse = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    unknown = [name for name in distinct.tolist() if name not in position]
    if unknown:
        message = f"labels that are no classes: {', '.join(unknown[:5])}; classes: {', '.join(classes)}"
        raise ValueError(message)
    return np.array([position[name] for name in distinct.tolist()], dtype=np.intp)[inverse]


def called_codes(output: Output, answers: Floats) -> Codes:
    """The class called for each row: by the threshold for two classes, the most probable one for more."""
    if len(output.classes) != 2:
        return np.asarray(answers.argmax(axis=1), dtype=np.intp)
    yes = output.classes.index(output.positive)
    return np.where(answers[:, yes] >= output.threshold, yes, 1 - yes).astype(np.intp)


# --------------------------------------------------------------------------------------------- weighted sums


def _sum(values: NDArray[Any], weights: Weights) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return np.asarray(numbers.sum() if weights is None else weights @ numbers)


def _mean(values: Floats, weights: Weights) -> Floats:
    total = np.asarray(float(len(values)) if weights is None else weights.sum(axis=-1))
    return _ratio(_sum(values, weights), total)


def _ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``, NaN where *below* is 0."""
    undefined = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    ratio: Floats = np.divide(above, below, out=undefined, where=np.asarray(below) != 0)
    return ratio
