"""Regular series to rows of a supervised problem: from every origin in the past, every step ahead.

A row is *(key, at, history, step) → value*: the last ``window`` values up to ``at``, and what came ``step`` periods later. It
belongs to the split (or the fold) in which the value it predicts lies; its history may reach back into an earlier one,
as it does when the model is served.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import SeriesShape
from fairlead.schema.series import features_of

MAX_TRAINING_ROWS = 300_000
"""Training rows are thinned to about this many. Neighbouring origins share nearly all of their history, so the ones left
out would teach little."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One regular series over all splits: no period is missing."""

    key: str
    at: NDArray[np.datetime64]
    """(periods,) start of each period, rising, in seconds."""
    value: NDArray[np.float64]
    split: NDArray[np.int8]
    """(periods,) position of the split each period belongs to."""


@dataclass(frozen=True, slots=True, eq=False)
class ForecastRows:
    """Rows of one split, series by series, by origin, then by step."""

    key: NDArray[np.object_]
    at: NDArray[np.datetime64]
    step: NDArray[np.int64]
    target_at: NDArray[np.datetime64]
    value: NDArray[np.float64]
    features: NDArray[np.float32]
    scale: NDArray[np.float64]
    """Mean absolute error of seasonal-naive on the training part of the row's series, for MASE. 0: it never changed."""


def forecast_rows(
    shape: SeriesShape, series: Sequence[Series], split: int, *, most: int | None = None
) -> ForecastRows:
    """All rows whose predicted period is in *split*, or about *most* of them, spread evenly over time and steps."""
    stride = 1
    if most is not None:
        total = sum(int((one.split == split).sum()) * shape.horizon for one in series)
        stride = coprime_stride(math.ceil(total / most), shape.season)
    parts = [_rows_of(shape, one, split, stride) for one in series]
    return ForecastRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def coprime_stride(wanted: int, season: int) -> int:
    """The smallest stride from *wanted* on that shares no divisor with the season, so that every season start is met.

    >>> coprime_stride(1, 7), coprime_stride(14, 7), coprime_stride(6, 24)
    (1, 15, 7)
    """
    stride = max(1, wanted)
    while math.gcd(stride, season) > 1:
        stride += 1
    return stride


def _rows_of(shape: SeriesShape, series: Series, split: int, stride: int) -> tuple[NDArray[np.generic], ...]:
    origin, step = _origins(shape, series, split, stride)
    at, target = series.at[origin], origin + step
    windows = windows_of(shape, series, origin)
    code = shape.keys.index(series.key) if series.key in shape.keys else -1
    codes = np.full(len(origin), float(code))
    return (
        np.full(len(origin), series.key, dtype=object), at, step, series.at[target], series.value[target],
        features_of(shape, codes, at, windows, step), np.full(len(origin), seasonal_error(shape, series)),
    )  # fmt: skip


def _origins(
    shape: SeriesShape, series: Series, split: int, stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the last known value, and the steps ahead, shape (rows,) each."""
    origins = np.arange(shape.window - 1, len(series.value) - 1, dtype=np.int64)
    steps = np.arange(1, shape.horizon + 1, dtype=np.int64)
    origin, step = (grid.ravel() for grid in np.meshgrid(origins, steps, indexing="ij"))
    inside = origin + step < len(series.value)
    origin, step = origin[inside], step[inside]
    kept = (series.split[origin + step] == split) & ((origin + step) % stride == 0)
    return origin[kept], step[kept]


def windows_of(shape: SeriesShape, series: Series, origin: NDArray[np.int64]) -> NDArray[np.float64]:
    """The history of each origin, oldest first: shape (rows, window)."""
    if not len(origin):
        return np.empty((0, shape.window))
    every: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(series.value, shape.window)
    return every[origin - shape.window + 1]


def seasonal_error(shape: SeriesShape, series: Series) -> float:
    """Mean absolute error of seasonal-naive on the training part (split 0): the unit of MASE.

    >>> shape = SeriesShape(("a",), "day", window=2, horizon=1, season=2)
    >>> days = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[D]")
    >>> seasonal_error(shape, Series("a", days, np.array([1.0, 2.0, 4.0, 2.0]), np.zeros(4, np.int8)))
    1.5
    """
    known = series.value[series.split == 0]
    if len(known) <= shape.season:
        return 0.0
    return float(np.abs(known[shape.season :] - known[: -shape.season]).mean())


def request_rows(
    shape: SeriesShape, series: Sequence[Series], split: int
) -> Iterator[tuple[str, NDArray[np.datetime64], NDArray[np.float64], NDArray[np.int64]]]:
    """The rows of *split* as a request would carry them, a series at a time: key, at, history, step."""
    for one in series:
        origin, step = _origins(shape, one, split, 1)
        yield one.key, one.at[origin], windows_of(shape, one, origin), step
