"""Forecast rows: history before, value after, nothing of a later split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.model.snapshots import demand, project_of, write_snapshot

from fairlead.errors import DataError
from fairlead.model.baseline import seasonal_naive
from fairlead.model.forecast import Series, coprime_stride, forecast_rows, request_rows, seasonal_error
from fairlead.model.rows import SPLITS, key_parts, read_rows, read_series, request_columns
from fairlead.schema import SeriesShape
from fairlead.schema.encode import encode

SHAPE = SeriesShape(("a",), "day", window=4, horizon=3, season=2)
DAY = np.timedelta64(86_400, "s")


def series(length=30, cuts=(18, 24), key="a"):
    at = np.datetime64("2024-01-01", "s") + np.arange(length) * DAY
    split = np.searchsorted(cuts, np.arange(length), side="right").astype(np.int8)
    return Series(key, at, np.arange(length, dtype=np.float64), split)


@given(st.integers(10, 60), st.integers(0, 2))
@settings(max_examples=40)
def test_the_value_of_a_row_lies_step_periods_after_its_origin(length, split):
    rows = forecast_rows(SHAPE, [series(length, (length // 2, length * 3 // 4))], split)
    assert (rows.target_at == rows.at + rows.step * DAY).all()
    origin = (rows.at - np.datetime64("2024-01-01", "s")) // DAY
    assert (rows.value == origin + rows.step).all()


@pytest.mark.parametrize("split", [0, 1, 2], ids=SPLITS)
def test_a_row_belongs_to_the_split_of_the_value_it_predicts(split):
    one = series()
    rows = forecast_rows(SHAPE, [one], split)
    inside = one.at[one.split == split]
    assert rows.target_at.min() >= inside.min()
    assert rows.target_at.max() == inside.max()


def test_no_training_row_sees_a_later_split():
    rows = forecast_rows(SHAPE, [series()], 0)
    assert rows.target_at.max() < series().at[18]
    assert (rows.at < rows.target_at).all()


def test_the_first_test_rows_have_their_history_in_earlier_splits():
    rows = forecast_rows(SHAPE, [series()], 2)
    first = rows.target_at == series().at[24]
    assert sorted(rows.step[first].tolist()) == [1, 2, 3]


def test_every_period_and_step_of_a_split_is_there():
    rows = forecast_rows(SHAPE, [series()], 1)
    assert len(rows.value) == 6 * SHAPE.horizon


def test_training_rows_are_thinned_over_all_seasons_and_steps():
    long = series(2_000, (1_500, 1_800))
    rows = forecast_rows(SHAPE, [long], 0, most=500)
    assert 400 <= len(rows.value) <= 600
    phase = (rows.target_at - long.at[0]) // DAY % SHAPE.season
    assert len(set(zip(phase.tolist(), rows.step.tolist(), strict=True))) == SHAPE.season * SHAPE.horizon


@pytest.mark.parametrize(("wanted", "season", "stride"), [(1, 7, 1), (14, 7, 15), (6, 24, 7), (0, 7, 1)])
def test_a_stride_shares_no_divisor_with_the_season(wanted, season, stride):
    assert coprime_stride(wanted, season) == stride


def test_the_unit_of_mase_is_seasonal_naive_on_training_only():
    jump = series()
    values = np.where(jump.split == 0, jump.value, 1e6)
    assert seasonal_error(SHAPE, Series("a", jump.at, values, jump.split)) == 2.0


def test_a_series_shorter_than_a_season_has_no_unit():
    assert seasonal_error(SHAPE, series(2, (2, 2))) == 0.0


# -------------------------------------------------------------------------------------------------- from a dataset


@pytest.fixture
def snapshot(tmp_path):
    schema, frame, split = demand(60)
    return write_snapshot(tmp_path, schema, frame, split), schema, project_of("forecast", ["ridge"])


def test_rows_made_for_training_are_encoded_as_a_served_request_would_be(snapshot, tmp_path):
    _, schema, project = snapshot
    rows = read_rows(tmp_path, "test", schema, project)
    served = encode(schema, request_columns(tmp_path, schema))
    assert np.array_equal(rows.batch.numbers, served.numbers)


def test_request_rows_carry_the_window_that_the_model_saw(snapshot, tmp_path):
    _, schema, _ = snapshot
    [(key, at, history, _), _] = request_rows(schema.series, read_series(tmp_path), 2)
    one = read_series(tmp_path)[0]
    place = int(np.flatnonzero(one.at == at[0])[0])
    assert (key, history[0].tolist()) == (one.key, one.value[place - 13 : place + 1].tolist())


def test_the_baseline_is_the_value_one_season_before(snapshot, tmp_path):
    _, schema, project = snapshot
    rows, found = read_rows(tmp_path, "test", schema, project), read_series(tmp_path)
    by_time = {
        (one.key, moment): value for one in found for moment, value in zip(one.at, one.value, strict=True)
    }
    season = 7 * DAY
    expected = [by_time[key, at - season] for key, at in zip(rows.identity["key"], rows.time, strict=True)]
    assert seasonal_naive(schema)(rows.array)[:, 0] == pytest.approx(expected, rel=1e-6)


def test_a_gap_in_a_series_is_an_error_that_names_it(tmp_path):
    schema, frame, split = demand(60)
    write_snapshot(tmp_path, schema, frame.drop(index=5), split[:5] + split[6:])
    with pytest.raises(DataError, match="series 'a' has no value just before 2024-01-07"):
        read_series(tmp_path)


def test_a_joined_key_is_taken_apart_for_slices():
    found = key_parts(np.array(["DE|A|1", "FR|B"], dtype=object), ("country", "item"))
    assert {name: values.tolist() for name, values in found.items()} == {
        "country": ["DE", "FR"],
        "item": ["A|1", "B"],
    }
