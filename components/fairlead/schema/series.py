"""Forecast features: a window of history and a step ahead become lags, levels and calendar numbers.

One row asks: *given the last ``window`` values of this series, the last of them at ``at``, what comes
``step`` periods later?* The model is direct (the step is a feature), so one model serves all steps up to the
horizon. Training makes its rows with the same function, from every origin in the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.fields import SeriesShape

PERIOD: dict[str, np.timedelta64] = {
    "hour": np.timedelta64(1, "h"),
    "day": np.timedelta64(1, "D"),
    "week": np.timedelta64(7, "D"),
}
REQUEST_FIELDS = ("key", "at", "history", "step")
"""What one request row carries: the series' key, the time of the last value, the values oldest first, and the
step ahead."""


def series_features(
    shape: SeriesShape, columns: Mapping[str, Sequence[Any] | NDArray[Any]]
) -> NDArray[np.float32]:
    """Encode rows with the columns of :data:`REQUEST_FIELDS`; history has shape (rows, window)."""
    code = {key: float(position) for position, key in enumerate(shape.keys)}
    codes = np.array([code.get(str(key), -1.0) for key in columns["key"]])
    at = np.array([_moment(value) for value in columns["at"]], dtype="datetime64[s]")
    history = np.asarray([np.asarray(row, dtype=np.float64) for row in columns["history"]], dtype=np.float64)
    step = np.asarray(columns["step"], dtype=np.int64)
    return features_of(shape, codes, at, history.reshape(len(codes), shape.window), step)


def features_of(
    shape: SeriesShape,
    codes: NDArray[np.float64],
    at: NDArray[np.datetime64],
    history: NDArray[np.float64],
    step: NDArray[np.int64],
) -> NDArray[np.float32]:
    """The features themselves, from arrays.

    Args:
        shape: Window, season and period.
        codes: (rows,) position of the series in ``shape.keys``, -1 for others.
        at: (rows,) time of the last value.
        history: (rows, window) values, oldest first.
        step: (rows,) periods ahead, 1 to horizon.
    """
    season = history[:, -shape.season :]
    target = at + step * PERIOD[shape.every].astype("timedelta64[s]")
    parts = [
        codes, step, seasonal_naive(shape, history, step),
        season.mean(axis=1), history.mean(axis=1), history.std(axis=1),
        season.mean(axis=1) - history[:, : shape.season].mean(axis=1),
        *(history[:, -1 - lag] for lag in shape.lags),
        *_calendar_of(target, hourly=shape.every == "hour"),
    ]  # fmt: skip
    return np.column_stack(parts).astype(np.float32)


def seasonal_naive(
    shape: SeriesShape, history: NDArray[np.float64], step: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The value one season before the target: the baseline every forecast must beat.

    >>> shape = SeriesShape((), "day", window=7, horizon=7, season=7)
    >>> seasonal_naive(shape, np.arange(7.0)[None, :], np.array([1])).tolist()
    [0.0]
    """
    back = shape.season - (step - 1) % shape.season
    naive: NDArray[np.float64] = np.take_along_axis(history, (history.shape[1] - back)[:, None], axis=1)[:, 0]
    return naive


def _moment(value: Any) -> np.datetime64:
    return np.datetime64(datetime.fromisoformat(value) if isinstance(value, str) else value, "s")


def _calendar_of(at: NDArray[np.datetime64], *, hourly: bool) -> list[NDArray[np.int64]]:
    days = at.astype("datetime64[D]")
    months = at.astype("datetime64[M]")
    parts = [
        (days.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
        (days - months).astype(np.int64) + 1,
        months.astype(np.int64) % 12 + 1,
    ]
    return [*parts, (at - days).astype(np.int64) // 3600] if hourly else parts
