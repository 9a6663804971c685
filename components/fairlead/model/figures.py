"""The pictures people expect of a model, each from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead.model.evaluation import ClassDetail, Evaluation, GroupError, SeriesExample, ThresholdChoice
from fairlead.model.summary import title
from fairlead.report import Figure, number
from fairlead.report.charts import (
    BLUE,
    INK,
    ORANGE,
    PALETTE,
    SOFT,
    bars,
    canvas,
    label,
    legend,
    plain_numbers,
    shorten,
    to_svg,
)
from fairlead.stats.curves import CalibrationBin, Curve

NUMBERED_CLASSES, NAMED_CLASSES = 8, 30
"""Up to so many classes a confusion matrix has numbers in its cells, and names beside them."""
MOST_BARS = 20


# ------------------------------------------------------------------------------------------------ two classes


def roc(curve: Curve, auc: float) -> Figure:
    """Recall against false positive rate, with the diagonal of chance."""
    figure, axes = canvas()
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--", label="chance: 0.5")
    axes.plot(curve.x, curve.y, color=BLUE, label=f"model: {number(auc, 3)}")
    axes.fill_between(curve.x, curve.y, color=BLUE, alpha=0.08, linewidth=0)
    label(axes, "share of negatives called positive", "share of positives found")
    legend(axes, loc="lower right", title="area under the curve")
    _unit_square(axes)
    return Figure(
        to_svg(figure),
        "ROC: how many positives are found at the price of how many false alarms.",
        f"ROC curve, area {number(auc, 3)}",
        "roc",
    )


def precision_recall(curve: Curve, average: float, share: float) -> Figure:
    """Precision against recall, with the precision of calling everything.

    Args:
        curve: Points.
        average: Average precision.
        share: Share of positives among the rows.
    """
    figure, axes = canvas()
    axes.axhline(share, color=SOFT, linewidth=1, linestyle="--", label=f"chance: {number(share, 3)}")
    axes.plot(curve.x, curve.y, color=BLUE, label=f"model: {number(average, 3)}")
    axes.fill_between(curve.x, curve.y, color=BLUE, alpha=0.08, linewidth=0)
    label(axes, "share of positives found (recall)", "share of calls that are right (precision)")
    legend(axes, loc="upper right", title="average precision")
    _unit_square(axes)
    return Figure(
        to_svg(figure),
        "Precision and recall: how many calls are right, the more positives are to be found.",
        f"Precision-recall curve, average precision {number(average, 3)}",
        "precision_recall",
    )


def _unit_square(axes: Any) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.03)


def lift(curve: Curve) -> Figure:
    """How many times more positives the rows with the highest scores hold than a random choice."""
    figure, axes = canvas()
    axes.axhline(1, color=SOFT, linewidth=1, linestyle="--", label="chance")
    axes.plot(curve.x, curve.y, color=BLUE, label="model")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    label(axes, "share of rows called, highest scores first", "positives found, times chance")
    plain_numbers(axes.xaxis)
    legend(axes, loc="upper right")
    return Figure(
        to_svg(figure),
        "Lift: what looking at the highest scores first is worth.",
        f"Lift curve, starting at {number(curve.y[0], 3)} times chance",
        "lift",
    )


def calibration(bins: Sequence[CalibrationBin]) -> Figure:
    """What probabilities said against what came true, with 95 % intervals."""
    figure, axes = canvas()
    said = np.array([one.said for one in bins])
    true = np.array([one.came_true for one in bins])
    below = true - np.array([one.low for one in bins])
    above = np.array([one.high for one in bins]) - true
    top = 1.05 * max(said.max(), (true + above).max(), 0.01)
    axes.plot([0, top], [0, top], color=SOFT, linewidth=1, linestyle="--", label="perfect")
    axes.errorbar(
        said, true, yerr=[below.clip(0), above.clip(0)], color=BLUE, marker="o", markersize=4, linewidth=1.2,
        elinewidth=1, label="model, with 95 % interval",
    )  # fmt: skip
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    label(axes, "mean probability said", "share that came true")
    legend(axes, loc="upper left")
    return Figure(
        to_svg(figure),
        "Calibration: on the line, a probability means what it says. Each point expects equally many positives.",
        f"Calibration curve of {len(bins)} bins",
        "calibration",
    )


def threshold_value(choice: ThresholdChoice, currency: str) -> tuple[Figure, ...]:
    """Money against threshold on the validation rows; none without money."""
    if choice.curve is None or choice.per_1000 is None:
        return ()
    figure, axes = canvas()
    axes.plot(choice.curve.x, choice.curve.y, color=BLUE)
    axes.axvline(0.5, color=SOFT, linewidth=1, linestyle="--", label="0.5")
    axes.plot(
        [choice.threshold], [choice.per_1000], color=ORANGE, marker="o", linestyle="none",
        label=f"chosen: {number(choice.threshold, 3)}",
    )  # fmt: skip
    if choice.threshold < 0.1:  # where positives are rare, all that happens happens near 0
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
    label(axes, "threshold", f"{currency} per 1,000 predictions")
    plain_numbers(axes.yaxis)
    legend(axes, loc="best")
    found = Figure(
        to_svg(figure),
        f"What the threshold is worth, on {choice.rows:,} validation rows.",
        f"Value against threshold, best at {number(choice.threshold, 3)}",
        "threshold_value",
    )
    return (found,)


def confusion(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """Rows by true and called class; shades are shares of the true class.

    Args:
        classes: Names.
        counts: (classes, classes), true class first.
    """
    table = np.asarray(counts, dtype=np.float64)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = len(classes)
    figure, axes = canvas() if size <= NUMBERED_CLASSES else canvas(10.6, 6.4)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    if size <= NUMBERED_CLASSES:
        _number_cells(axes, table, share)
    if size <= NAMED_CLASSES:
        names = [shorten(name, 18) for name in classes]
        axes.set_xticks(range(size), names, rotation=0 if size <= 4 else 90)
        axes.set_yticks(range(size), names)
    label(axes, "called", "true")
    right = np.trace(table) / max(table.sum(), 1)
    return Figure(
        to_svg(figure),
        "Confusion: rows of each true class by what they were called. Darker: more of the true class.",
        f"Confusion matrix of {size} classes, {number(100 * right, 3)} % on the diagonal",
        "confusion",
        wide=size > NUMBERED_CLASSES,
    )


def _number_cells(axes: Any, table: Any, share: Any) -> None:
    for row, column in np.ndindex(table.shape):
        text = f"{int(table[row, column]):,}\n{number(100 * share[row, column], 3)} %"
        colour = "#ffffff" if share[row, column] > 0.5 else "#14304d"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8.5)


# ---------------------------------------------------------------------------------------------------- numbers


def residuals(predicted: Sequence[float], actual: Sequence[float]) -> Figure:
    """Errors against predictions, for a sample of the rows."""
    figure, axes = canvas()
    axes.axhline(0, color=SOFT, linewidth=1)
    errors = np.asarray(predicted) - np.asarray(actual)
    axes.plot(
        predicted,
        errors,
        linestyle="none",
        marker="o",
        markersize=3,
        color=BLUE,
        alpha=0.45,
        markeredgewidth=0,
    )
    label(axes, "predicted", "predicted minus actual")
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    return Figure(
        to_svg(figure),
        "Residuals: a good model leaves a shapeless cloud around zero.",
        f"Residuals of {len(errors)} rows against predictions",
        "residuals",
    )


def predicted_actual(predicted: Sequence[float], actual: Sequence[float]) -> Figure:
    """True values against predictions, for a sample of the rows."""
    figure, axes = canvas()
    ends = [min(*predicted, *actual), max(*predicted, *actual)]
    axes.plot(ends, ends, color=SOFT, linewidth=1, linestyle="--")
    axes.plot(
        predicted,
        actual,
        linestyle="none",
        marker="o",
        markersize=3,
        color=BLUE,
        alpha=0.45,
        markeredgewidth=0,
    )
    label(axes, "predicted", "actual")
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    return Figure(
        to_svg(figure),
        "Predicted and actual: on the line, they agree.",
        f"Actual against predicted values of {len(actual)} rows",
        "predicted_actual",
    )


def forecast_examples(examples: Sequence[SeriesExample]) -> Figure:
    """Truth and forecast of a few series over time."""
    figure, grid = canvas(10.6, 1.9 * len(examples) + 0.4, rows=len(examples))
    for place, (axes, example) in enumerate(zip(np.atleast_1d(grid), examples, strict=True)):
        at = np.array(example.at, dtype="datetime64[m]")
        axes.plot(at, example.actual, color=INK, linewidth=1.2, label="actual")
        axes.plot(at, example.predicted, color=ORANGE, linewidth=1.6, label="forecast")
        label(axes, "", "", shorten(example.key, 60) or "the series")
        plain_numbers(axes.yaxis)
        if place == 0:
            legend(axes, loc="upper right", ncols=2)
    return Figure(
        to_svg(figure),
        "Forecast and truth on the test periods, for the largest series. Each period is forecast once.",
        f"Forecast beside truth for {len(examples)} series",
        "forecast_examples",
        wide=True,
    )


def error_by_step(steps: Sequence[GroupError]) -> Figure:
    """Error of model and baseline by periods ahead."""
    figure, axes = canvas()
    ahead = [int(step.name) for step in steps]
    axes.plot(ahead, [step.mae for step in steps], color=BLUE, marker="o", markersize=4, label="model")
    axes.plot(
        ahead, [step.baseline_mae for step in steps], color=SOFT, linestyle="--", linewidth=1.2,
        label="seasonal-naive",
    )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    label(axes, "periods ahead", "mean absolute error")
    plain_numbers(axes.yaxis)
    legend(axes, loc="lower right")
    return Figure(
        to_svg(figure),
        "How the error grows the further ahead one looks.",
        f"Error by step ahead, 1 to {ahead[-1]}",
        "error_by_step",
    )


# ------------------------------------------------------------------------------------------------- clustering


def cluster_sizes(sizes: Sequence[int]) -> Figure:
    """Rows in each cluster."""
    figure, axes = canvas(5.2, max(2.0, 0.32 * len(sizes) + 0.8))
    bars(axes, [f"cluster {place}" for place in range(len(sizes))], list(sizes))
    label(axes, "rows", "")
    plain_numbers(axes.xaxis)
    return Figure(
        to_svg(figure), "How many rows each cluster has.", f"Sizes of {len(sizes)} clusters", "cluster_sizes"
    )


# --------------------------------------------------------------------------------------------------- training


def learning_curve(
    sizes: Sequence[int], train: Sequence[float], valid: Sequence[float], metric: str
) -> Figure:
    """The metric on rows that were learned from and on rows that were not, by how many were learned from."""
    figure, axes = canvas()
    axes.plot(
        sizes, train, color=SOFT, marker="o", markersize=4, linestyle="--", label="on rows it learned from"
    )
    axes.plot(sizes, valid, color=BLUE, marker="o", markersize=4, label="on rows it did not see")
    label(axes, "training rows", title(metric))
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    legend(axes, loc="best")
    return Figure(
        to_svg(figure),
        "Learning curve: a wide gap is over-fitting; if a line still moves, more rows would help.",
        f"Learning curve of {title(metric)} at {len(sizes)} sizes",
        "learning_curve",
    )


def importance(
    fields: Sequence[str], losses: Sequence[float], spreads: Sequence[float], metric: str
) -> Figure:
    """What the metric loses without each field, the largest loss on top."""
    shown = slice(0, MOST_BARS)
    figure, axes = canvas(5.2, max(2.0, 0.26 * len(fields[shown]) + 0.8))
    bars(axes, fields[shown], losses[shown], spreads[shown])
    label(axes, f"loss of {title(metric)} when shuffled", "")
    plain_numbers(axes.xaxis)
    return Figure(
        to_svg(figure),
        "What the model leans on: how much worse it gets when one field's values are shuffled over the rows.",
        f"Permutation importance of {len(fields[shown])} fields, {fields[0]} first",
        "importance",
    )


def trials(values: Mapping[str, Sequence[tuple[int, float]]], metric: str) -> Figure:
    """The objective of each trial of the search, in the order they were drawn.

    Args:
        values: Candidate to (trial number, value), failed trials left out.
        metric: The objective.
    """
    figure, axes = canvas(10.6, 2.8)
    for place, (name, points) in enumerate(values.items()):
        numbers, objective = zip(*points, strict=True)
        colour, marker = PALETTE[place % len(PALETTE)], "osD^vP"[place % 6]
        axes.plot(
            numbers,
            objective,
            linestyle="none",
            marker=marker,
            markersize=5,
            color=colour,
            label=shorten(name),
        )
    label(axes, "trial", title(metric))
    plain_numbers(axes.yaxis)
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend(axes, loc="best")
    return Figure(
        to_svg(figure),
        "The search: every parameter set that was tried, by candidate (cross-validated).",
        f"Search trials of {len(values)} candidates",
        "trials",
        wide=True,
    )


# ------------------------------------------------------------------------------------------------ all of them


def pictures(evaluation: Evaluation) -> tuple[Figure, ...]:
    """Every picture an evaluation has, in the order a page shows them."""
    found: list[Figure | None] = []
    if evaluation.classes is not None:
        found += _class_pictures(evaluation, evaluation.classes)
    if evaluation.forecast is not None:
        found.append(forecast_examples(evaluation.forecast.examples))
        found.append(error_by_step(evaluation.forecast.by_step))
    if evaluation.numbers is not None:
        sample = evaluation.numbers
        found.append(residuals(sample.sample_predicted, sample.sample_actual))
        if evaluation.forecast is None:
            found.append(predicted_actual(sample.sample_predicted, sample.sample_actual))
    if evaluation.clusters is not None:
        found.append(cluster_sizes(evaluation.clusters.sizes))
    return tuple(figure for figure in found if figure is not None)


def _class_pictures(evaluation: Evaluation, detail: ClassDetail) -> list[Figure | None]:
    figures = evaluation.figures
    found: list[Figure | None] = []
    if detail.roc and detail.precision_recall and detail.lift:
        positives = sum(detail.confusion[detail.classes.index(detail.positive)])
        found = [
            roc(detail.roc, figures["roc_auc"]),
            precision_recall(
                detail.precision_recall, figures["average_precision"], positives / evaluation.rows
            ),
            calibration(detail.calibration),
            lift(detail.lift),
        ]
    return [confusion(detail.classes, detail.confusion), *found]
