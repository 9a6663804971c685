"""Where a forecast's error is: by step ahead, by series, and how it looks beside the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.model.evaluation import ForecastDetail, GroupError, SeriesExample
from fairlead.stats import metrics

Floats = NDArray[np.float64]
EXAMPLES = 4
"""Series drawn beside the truth: those with the largest totals."""
MOST_MOMENTS = 90
"""Periods drawn of each, the latest ones."""
_ENOUGH_SERIES = 10


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """What a row of a forecast is about. All arrays have shape (rows,)."""

    keys: NDArray[Any]
    """Which series."""
    origin: NDArray[np.datetime64]
    """Time of the last value that was known."""
    at: NDArray[np.datetime64]
    """Time that is forecast."""
    step: NDArray[np.int64]
    """Periods from origin to at, 1 to horizon."""
    scale: Floats
    """Mean absolute error of seasonal-naive on the training part of the row's series (the denominator of
    MASE)."""

    def take(self, rows: NDArray[Any]) -> SeriesRows:
        """The chosen rows."""
        return SeriesRows(
            self.keys[rows], self.origin[rows], self.at[rows], self.step[rows], self.scale[rows]
        )


def groups(series: SeriesRows) -> NDArray[Any]:
    """What resamples draw as a whole: series if there are ten or more, else origins.

    The errors of one series resemble each other, and so do those from one origin. Drawing rows would pretend
    that hundreds of overlapping windows are independent.
    """
    keys = np.asarray(series.keys, dtype=object).astype(str)
    return keys if len(np.unique(keys)) >= _ENOUGH_SERIES else series.origin


def detail(series: SeriesRows, actual: Floats, predicted: Floats, baseline: Floats) -> ForecastDetail:
    """Errors by step and by series, and a few series to look at.

    Args:
        series: What each row is about.
        actual: (rows,)
        predicted: (rows,)
        baseline: (rows,) of the seasonal-naive baseline.
    """
    keys = np.asarray(series.keys, dtype=object).astype(str)

    def error(name: str, mask: NDArray[np.bool_]) -> GroupError:
        return _error(name, actual[mask], predicted[mask], baseline[mask], series.scale[mask])

    by_step = [error(f"{step}", series.step == step) for step in np.unique(series.step).tolist()]
    by_series = [error(key, keys == key) for key in np.unique(keys).tolist()]
    by_series.sort(key=lambda group: (-(group.mase if group.mase is not None else group.mae), group.name))
    return ForecastDetail(tuple(by_step), tuple(by_series), tuple(_examples(series, keys, actual, predicted)))


def _error(name: str, actual: Floats, predicted: Floats, baseline: Floats, scale: Floats) -> GroupError:
    scaled = float(metrics.mase(actual, predicted, scale))
    mae, baseline_mae = float(metrics.mae(actual, predicted)), float(metrics.mae(actual, baseline))
    return GroupError(name, len(actual), mae, scaled if np.isfinite(scaled) else None, baseline_mae)


def _examples(
    series: SeriesRows, keys: NDArray[Any], actual: Floats, predicted: Floats
) -> Iterator[SeriesExample]:
    distinct, inverse = np.unique(keys, return_inverse=True)
    totals = np.bincount(inverse, weights=actual)
    for place in np.lexsort((distinct, -totals))[:EXAMPLES].tolist():
        rows = np.flatnonzero(inverse == place)
        rows = rows[_each_moment_once(series.origin[rows], series.at[rows])][-MOST_MOMENTS:]
        yield SeriesExample(
            str(distinct[place]),
            tuple(np.datetime_as_string(series.at[rows], unit="m").tolist()),
            tuple(actual[rows].tolist()),
            tuple(predicted[rows].tolist()),
        )


def _each_moment_once(origin: NDArray[np.datetime64], at: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """Positions of rows of origins whose forecasts do not overlap, from the last origin back, by time."""
    kept: list[np.datetime64] = []
    for candidate in np.unique(origin)[::-1]:
        if not kept or at[origin == candidate].max() <= kept[-1]:
            kept.append(candidate)
    chosen = np.flatnonzero(np.isin(origin, np.array(kept)))
    ordered: NDArray[np.intp] = chosen[np.argsort(at[chosen], kind="stable")]
    return ordered
