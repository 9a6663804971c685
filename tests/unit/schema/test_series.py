"""Forecast features: a request is encoded as training rows are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from fairlead.schema import Output, Schema, SeriesShape
from fairlead.schema.encode import encode
from fairlead.schema.series import PERIOD, features_of, seasonal_naive
from fairlead.schema.validate import validate_rows

SHAPES = {
    "daily": SeriesShape(("tea", "milk"), "day", window=14, horizon=7, season=7),
    "hourly": SeriesShape(("tea",), "hour", window=30, horizon=5, season=24),
    "weekly": SeriesShape((), "week", window=5, horizon=3, season=4),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_request_is_encoded_as_the_training_row_it_repeats(shape: SeriesShape) -> None:
    rng = np.random.default_rng(1)
    series = rng.poisson(20, size=60).astype(np.float64)
    start = np.datetime64("2024-02-20T00:00:00")
    origins = np.arange(shape.window - 1, 59 - shape.horizon)
    steps = 1 + origins % shape.horizon
    at = start + origins * PERIOD[shape.every]
    history = np.stack([series[origin - shape.window + 1 : origin + 1] for origin in origins])
    trained = features_of(shape, np.zeros(len(origins)), at.astype("datetime64[s]"), history, steps)

    key = shape.keys[0] if shape.keys else "all"
    rows = [{"key": key, "at": str(moment), "history": list(values), "step": int(step)}
            for moment, values, step in zip(at, history, steps, strict=True)]  # fmt: skip
    columns, errors = validate_rows(Schema("d", (), Output("forecast"), series=shape), rows)
    asked = encode(Schema("d", (), Output("forecast"), series=shape), columns).numbers

    assert errors == []
    expected = trained.copy()
    expected[:, 0] = 0.0 if shape.keys else -1.0
    np.testing.assert_array_equal(asked, expected)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_feature_has_a_name(shape: SeriesShape) -> None:
    features = features_of(
        shape,
        np.zeros(1),
        np.array(["2024-01-01"], "datetime64[s]"),
        np.ones((1, shape.window)),
        np.array([1]),
    )
    assert features.shape == (1, len(shape.columns))


def ask(shape: SeriesShape, **change: Any) -> dict[str, float]:
    row = {
        "key": "milk",
        "at": datetime(2024, 2, 28),
        "history": [float(i) for i in range(shape.window)],
        "step": 1,
    }
    columns = {name: [value] for name, value in (row | change).items()}
    numbers = encode(Schema("d", (), Output("forecast"), series=shape), columns).numbers
    return dict(zip(shape.columns, numbers[0].tolist(), strict=True))


def test_features_of_a_worked_example() -> None:
    features = ask(SHAPES["daily"], step=2)
    assert features == {
        "series": 1.0,
        "step": 2.0,
        "seasonal_naive": 8.0,  # 1 March is a Friday; the last Friday was five days before the last value, 13
        "mean_season": 10.0,
        "mean_window": 6.5,
        "std_window": pytest.approx(4.0311288),
        "trend": 7.0,
        **{f"lag_{lag}": 13.0 - lag for lag in SHAPES["daily"].lags},
        "weekday": 4.0,
        "day": 1.0,  # 2024 is a leap year
        "month": 3.0,
    }


def test_a_series_that_was_not_seen_in_training_is_other() -> None:
    assert ask(SHAPES["daily"], key="beer")["series"] == -1.0


def test_an_hourly_series_knows_the_hour_it_forecasts() -> None:
    assert ask(SHAPES["hourly"], at=datetime(2024, 1, 1, 22), step=3)["hour"] == 1.0


@pytest.mark.parametrize("step", range(1, 11))
def test_seasonal_naive_is_the_last_known_value_at_the_same_point_of_the_season(step: int) -> None:
    shape = SeriesShape((), "day", window=15, horizon=10, season=7)
    history = np.arange(15.0)[None, :]
    target = 14 + step
    known = target - 7 * int(np.ceil((target - 14) / 7))
    assert seasonal_naive(shape, history, np.array([step])).tolist() == [float(known)]


def test_the_time_of_a_request_with_an_offset_is_brought_to_utc() -> None:
    shape = SHAPES["hourly"]
    row = {"key": "tea", "at": "2024-01-01T01:00+02:00", "history": [1.0] * 30, "step": 1}
    columns, _ = validate_rows(Schema("d", (), Output("forecast"), series=shape), [row])
    assert columns["at"] == [datetime(2024, 1, 1, 1) - timedelta(hours=2)]
