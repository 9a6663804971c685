from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from fairlead.spec import load_contract

DAY = 86_400
ROWS = 20_000


@pytest.fixture(scope="module")
def table(fraud: ModuleType) -> pa.Table:
    return fraud.generate(ROWS, seed=7)


@pytest.fixture(scope="module")
def frame(table: pa.Table) -> pd.DataFrame:
    return pd.DataFrame(table.to_pandas())


def test_rows_are_as_many_as_asked_and_in_time_order(frame: pd.DataFrame) -> None:
    assert len(frame) == ROWS
    assert frame["at"].is_monotonic_increasing


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_fraud_is_eight_in_a_thousand(fraud: ModuleType, seed: int) -> None:
    share = np.mean(fraud.generate(ROWS, seed)["is_fraud"].to_numpy())
    assert share == pytest.approx(0.008, abs=0.0005)


def test_time_spans_three_months(frame: pd.DataFrame) -> None:
    assert 88 <= (frame["at"].max() - frame["at"].min()).days <= 91


def test_every_dirt_is_there(frame: pd.DataFrame) -> None:
    found = {
        "duplicates": frame.duplicated().any(),
        "missing amount": frame["amount"].isna().any(),
        "negative amount": (frame["amount"] < 0).any(),
        "distance beyond Earth": (frame["distance_km"] > 20_040).any(),
        "unknown channel": (frame["channel"] == "???").any(),
        "country in lower case": frame["country"].str.islower().any(),
        "country with a blank": frame["country"].str.endswith(" ").any(),
    }
    assert [name for name, seen in found.items() if not seen] == []


def test_contract_names_the_columns_that_are_written(table: pa.Table, examples: Path) -> None:
    assert set(load_contract(examples / "fraud" / "contract.yaml").columns) == set(table.column_names)


def test_chargebacks_come_after_the_fraud_and_for_fraud_only(frame: pd.DataFrame) -> None:
    with_chargeback = frame[frame["chargeback_at"].notna()]
    assert with_chargeback["is_fraud"].all()
    assert (with_chargeback["chargeback_at"] - with_chargeback["at"] >= pd.Timedelta(days=3)).all()


def brute_force(group: np.ndarray, second: np.ndarray, days_ago: tuple[int, int], row: int) -> np.ndarray:
    first, last = second[row] - days_ago[0] * DAY, second[row] - days_ago[1] * DAY
    return np.asarray((group == group[row]) & (second >= first) & (second < last))


@pytest.mark.parametrize("days_ago", [(1, 0), (7, 0), (35, 7)], ids=["last day", "last week", "known labels"])
def test_windows_count_what_a_loop_counts(fraud: ModuleType, days_ago: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    group, second = rng.integers(0, 5, 300), np.sort(rng.integers(0, 60 * DAY, 300))
    expected = [brute_force(group, second, days_ago, row).sum() for row in range(300)]
    assert fraud.Past(group, second).count(days_ago).tolist() == expected


def test_window_means_are_those_of_a_loop(fraud: ModuleType) -> None:
    rng = np.random.default_rng(1)
    group, second, values = rng.integers(0, 5, 200), np.sort(rng.integers(0, 60 * DAY, 200)), rng.random(200)
    windows = [brute_force(group, second, (7, 0), row) for row in range(200)]
    expected = [values[window].mean() if window.any() else np.nan for window in windows]
    np.testing.assert_allclose(fraud.Past(group, second).mean(values, (7, 0)), expected, rtol=1e-9)


def test_fraud_share_does_not_know_labels_of_the_last_week(fraud: ModuleType) -> None:
    """Change the labels of one week: shares written within a week after it must not move."""
    rng = np.random.default_rng(2)
    group, second = rng.integers(0, 3, 400), np.sort(rng.integers(0, 60 * DAY, 400))
    labels = (rng.random(400) < 0.2).astype(float)
    changed = np.where(second >= 40 * DAY, 1 - labels, labels)
    past = fraud.Past(group, second)
    before, after = past.mean(labels, (35, 7)), past.mean(changed, (35, 7))
    unaffected = second < 47 * DAY
    np.testing.assert_array_equal(before[unaffected], after[unaffected])
    assert not np.array_equal(before, after, equal_nan=True)


def test_drift_changes_the_world_from_its_day_on(fraud: ModuleType) -> None:
    calm, drifted = (fraud.generate(ROWS, 7, drift).to_pandas() for drift in (None, 60))
    since = calm["at"].min() + pd.Timedelta(days=60)

    def medians(frame: pd.DataFrame) -> tuple[float, float]:
        late = frame["at"] >= since
        return frame.loc[~late, "amount"].median(), frame.loc[late, "amount"].median()

    assert medians(drifted)[0] == pytest.approx(medians(calm)[0], rel=0.02)
    assert medians(drifted)[1] > 1.2 * medians(calm)[1]
    assert drifted.loc[drifted["at"] >= since, "is_fraud"].mean() > 1.5 * 0.008


def test_parquet_and_csv_hold_the_same_rows(fraud: ModuleType, table: pa.Table, tmp_path: Path) -> None:
    fraud.write(table, tmp_path / "parquet", "parquet")
    fraud.write(table, tmp_path / "csv", "csv")
    parquet = pa.parquet.read_table(tmp_path / "parquet")
    ids = pa.concat_tables(pa.csv.read_csv(path) for path in sorted((tmp_path / "csv").iterdir()))
    assert parquet["transaction_id"].to_pylist() == ids["transaction_id"].to_pylist()
    assert len(list((tmp_path / "parquet").iterdir())) == 13


def test_writing_again_leaves_no_file_of_an_earlier_set(
    fraud: ModuleType, table: pa.Table, tmp_path: Path
) -> None:
    fraud.write(table, tmp_path / "data", "csv")
    fraud.write(table, tmp_path / "data", "parquet")
    assert {path.suffix for path in (tmp_path / "data").iterdir()} == {".parquet"}
