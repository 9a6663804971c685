"""The test: what a model's answers on held-out rows are worth, as one :class:`Evaluation`.

Pure arithmetic on arrays: the stage asks the models, this module compares answers with the truth. Intervals
are seeded bootstraps; the same arguments give the same record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.gates import ChampionComparison, Difference
from fairlead.model import clusters, forecast_errors
from fairlead.model.evaluation import (
    ClassDetail,
    ClassQuality,
    Estimate,
    Evaluation,
    NumberDetail,
    ThresholdChoice,
)
from fairlead.model.forecast_errors import SeriesRows
from fairlead.model.slices import MIN_ROWS, Mask, slice_table
from fairlead.model.summary import summary_of
from fairlead.schema.fields import Output
from fairlead.stats import curves, metrics
from fairlead.stats.intervals import RESAMPLES, bootstrap, paired_differences
from fairlead.stats.metrics import Formula
from fairlead.stats.value import Value

Floats = NDArray[np.float64]

SLICE_RESAMPLES = 200
"""Slices ask whether an interval lies on one side of a figure, which needs its ends less exactly."""
SCATTER = 400
"""Points in the picture of residuals."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out rows, what was true of them, and what the models answered: arrays about the same rows."""

    answers: Floats
    """(rows, k) as ``fairlead.schema.answers`` describes them."""
    baseline: Floats
    """(rows, k) of the baseline."""
    actual: NDArray[Any] | None = None
    """(rows,) class labels as text, or numbers. None for clustering."""
    groups: NDArray[Any] | None = None
    """(rows,) identifiers (``data.group``): rows of one group are not independent, so intervals draw whole
    groups."""
    slices: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Column to its raw values, (rows,), for ``model.slices``."""
    series: SeriesRows | None = None
    """Forecast only."""
    points: Floats | None = None
    """Clustering only: (rows, dimensions) in the space in which the model measures distance (after
    preprocessing)."""
    fields: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Clustering only: field to its raw values, for the profile of clusters."""


def evaluate(
    output: Output,
    rows: HeldOut,
    *,
    objective: str,
    value: Value | None = None,
    threshold: ThresholdChoice | None = None,
    baseline_threshold: float = 0.5,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Everything that is measured on the test rows.

    Args:
        output: Task; classes, positive class and the chosen threshold.
        rows: The rows and the answers.
        objective: The metric that the search optimised.
        value: Money per outcome, or None.
        threshold: How the threshold was chosen, for the record.
        baseline_threshold: The baseline's own threshold, chosen on the same validation rows as the model's.
        seed: Of every resample.
        resamples: Of the intervals of metrics.
    """
    if output.task == "clustering":
        return _clustering(rows, objective, seed, resamples)
    groups = _groups(rows)
    found = _formulas(output, rows, rows.answers, value)
    baseline = _formulas(replace(output, threshold=baseline_threshold), rows, rows.baseline, value)
    measured = _estimates(found, len(rows.answers), groups, resamples, seed)
    judged = judged_metric(output)
    evaluation = Evaluation(
        task=output.task,
        rows=len(rows.answers),
        summary="",
        objective=objective,
        metrics=measured,
        baseline=_figures(baseline),
        currency=value.currency if value else "",
        slice_metric=judged,
        slice_minimum=MIN_ROWS,
        threshold=threshold,
        classes=_class_detail(output, rows) if output.task == "classification" else None,
        numbers=_number_detail(rows, seed) if output.task != "classification" else None,
        forecast=forecast_errors.detail(rows.series, *_truth(rows)) if rows.series else None,
        slices=slice_table(
            rows.slices, _slice_measure(output, rows, value, seed), judged, _value_of(measured, judged)
        ),
    )
    return replace(evaluation, summary=summary_of(evaluation))


def compare(
    output: Output,
    rows: HeldOut,
    champion: Floats,
    champion_threshold: float,
    version: str,
    *,
    value: Value | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> ChampionComparison:
    """This model and the champion on the same rows: the paired comparison a gate judges.

    Args:
        output: Of this model; classes in the order of both models' columns.
        rows: The test rows with this model's answers.
        champion: (rows, k) the champion's answers to the same rows.
        champion_threshold: The champion's own threshold.
        version: The champion's version, for people.
        value: Money per outcome, or None.
        seed: Of the resamples.
        resamples: How many.
    """
    if output.task == "clustering":
        return ChampionComparison(
            version, len(rows.answers), {}, "clusterings have no truth to be compared by"
        )
    these = _formulas(output, rows, rows.answers, value)
    others = _formulas(replace(output, threshold=champion_threshold), rows, champion, value)
    this, other = _figures(these), _figures(others)
    shared = [name for name in this if name in other]
    ends = paired_differences(
        {name: these[name] for name in shared}, others, len(rows.answers), groups=_groups(rows), seed=seed,
        resamples=resamples,
    )  # fmt: skip
    differences = {
        name: Difference(
            this[name], other[name], *((ends[name].low, ends[name].high) if name in ends else (None, None))
        )
        for name in shared
    }
    return ChampionComparison(version, len(rows.answers), differences)


def judged_metric(output: Output) -> str:
    """The metric by which slices are judged: one that does not move with a slice's share of positives alone.

    >>> judged_metric(Output("classification", classes=("no", "yes"), positive="yes"))
    'roc_auc'
    """
    if output.task == "classification":
        return "roc_auc" if len(output.classes) == 2 else "accuracy"
    return {"regression": "mae", "forecast": "mase", "clustering": "silhouette"}[output.task]


# ------------------------------------------------------------------------------------------------- metrics


def _formulas(output: Output, rows: HeldOut, answers: Floats, value: Value | None) -> dict[str, Formula]:
    if rows.actual is None:
        raise ValueError("held-out rows without true values can only be evaluated for clustering")
    scale = rows.series.scale if rows.series else None
    return metrics.formulas(output, rows.actual, answers, scale=scale, value=value)


def _figures(formulas: Mapping[str, Formula]) -> dict[str, float]:
    figures = {name: float(formula(None)) for name, formula in formulas.items()}
    return {name: figure for name, figure in figures.items() if np.isfinite(figure)}


def _estimates(
    formulas: Mapping[str, Formula], rows: int, groups: NDArray[Any] | None, resamples: int, seed: int
) -> dict[str, Estimate]:
    figures = _figures(formulas)
    defined = {name: formulas[name] for name in figures}
    ends = bootstrap(defined, rows, groups=groups, resamples=resamples, seed=seed)
    return {
        name: Estimate(figure, ends[name].low, ends[name].high) if name in ends else Estimate(figure)
        for name, figure in figures.items()
    }


def _groups(rows: HeldOut) -> NDArray[Any] | None:
    return forecast_errors.groups(rows.series) if rows.groups is None and rows.series else rows.groups


def _value_of(measured: Mapping[str, Estimate], metric: str) -> float | None:
    return measured[metric].value if metric in measured else None


def _slice_measure(output: Output, rows: HeldOut, value: Value | None, seed: int) -> Any:
    groups = _groups(rows)

    def measure(mask: Mask) -> dict[str, Estimate]:
        part = _part(rows, mask)
        inside = None if groups is None else groups[mask]
        return _estimates(
            _formulas(output, part, part.answers, value), len(part.answers), inside, SLICE_RESAMPLES, seed
        )

    return measure


def _part(rows: HeldOut, mask: Mask) -> HeldOut:
    actual = None if rows.actual is None else rows.actual[mask]
    series = rows.series.take(mask) if rows.series else None
    return HeldOut(rows.answers[mask], rows.baseline[mask], actual, series=series)


# ------------------------------------------------------------------------------------------- classification


def _class_detail(output: Output, rows: HeldOut) -> ClassDetail:
    codes = metrics.codes_of(output.classes, np.asarray(rows.actual))
    called = metrics.called_codes(output, rows.answers)
    size = len(output.classes)
    confusion = np.bincount(codes * size + called, minlength=size * size).reshape(size, size)
    detail = ClassDetail(
        classes=output.classes,
        confusion=tuple(tuple(line) for line in confusion.tolist()),
        by_class=tuple(_class_quality(name, confusion, code) for code, name in enumerate(output.classes)),
        positive=output.positive,
    )
    return _with_curves(detail, codes, rows.answers) if size == 2 else detail


def _class_quality(name: str, confusion: NDArray[np.intp], code: int) -> ClassQuality:
    right, true, called = (
        int(confusion[code, code]),
        int(confusion[code].sum()),
        int(confusion[:, code].sum()),
    )
    return ClassQuality(
        name,
        true,
        right / called if called else None,
        right / true if true else None,
        2 * right / (true + called) if true + called else None,
    )


def _with_curves(detail: ClassDetail, codes: NDArray[np.intp], answers: Floats) -> ClassDetail:
    yes = detail.classes.index(detail.positive)
    positive, chance = codes == yes, answers[:, yes]
    if positive.all() or not positive.any():
        return detail
    return replace(
        detail,
        roc=curves.roc(positive, chance),
        precision_recall=curves.precision_recall(positive, chance),
        lift=curves.lift(positive, chance),
        calibration=curves.calibration(positive, chance),
    )


# -------------------------------------------------------------------------------------------------- numbers


def _truth(rows: HeldOut) -> tuple[Floats, Floats, Floats]:
    """True values, answers and the baseline's answers, each (rows,)."""
    return np.asarray(rows.actual, dtype=np.float64), rows.answers[:, 0], rows.baseline[:, 0]


def _number_detail(rows: HeldOut, seed: int) -> NumberDetail:
    actual, predicted, _ = _truth(rows)
    residuals = predicted - actual
    shown = sample(len(actual), SCATTER, seed)
    low, lower, middle, upper, high = np.quantile(residuals, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    return NumberDetail(
        mean=float(residuals.mean()),
        quantiles=(low, lower, middle, upper, high),
        share_over=float((residuals > 0).mean()),
        sample_predicted=tuple(predicted[shown].tolist()),
        sample_actual=tuple(actual[shown].tolist()),
    )


def sample(rows: int, most: int, seed: int) -> NDArray[np.intp]:
    """At most *most* of *rows* row numbers, rising, drawn with *seed*.

    >>> sample(3, 5, seed=0).tolist()
    [0, 1, 2]
    """
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))


# ----------------------------------------------------------------------------------------------- clustering


def _clustering(rows: HeldOut, objective: str, seed: int, resamples: int) -> Evaluation:
    points = rows.answers if rows.points is None else rows.points
    shown = sample(len(points), clusters.MOST_ROWS, seed)
    labels = rows.answers.argmax(axis=1)
    by_row = clusters.silhouettes(points[shown], labels[shown])
    measured = clusters.figures(points[shown], labels[shown], by_row)
    ends = bootstrap(
        {"silhouette": lambda w: w @ by_row / w.sum(axis=-1)}, len(by_row), resamples=resamples, seed=seed
    )
    estimates = {name: Estimate(figure) for name, figure in measured.items()}
    if "silhouette" in measured and "silhouette" in ends:
        estimates["silhouette"] = Estimate(
            measured["silhouette"], ends["silhouette"].low, ends["silhouette"].high
        )
    other = rows.baseline.argmax(axis=1)[shown]
    evaluation = Evaluation(
        task="clustering",
        rows=len(points),
        summary="",
        objective=objective,
        metrics=estimates,
        baseline=clusters.figures(points[shown], other, clusters.silhouettes(points[shown], other)),
        clusters=clusters.detail(labels, rows.answers.shape[1], rows.fields),
    )
    return replace(evaluation, summary=summary_of(evaluation))
