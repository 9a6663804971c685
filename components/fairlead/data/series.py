"""Forecast: cleaned rows become regular series, one value a period and key, divided by time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.data.ingest import ROW, Ingested, unwatched
from fairlead.data.report import LeakCheck, SplitReport
from fairlead.data.roles import Roles
from fairlead.data.split import SPLITS
from fairlead.data.survey import Surveyed, read_rows
from fairlead.errors import DataError, LeakError
from fairlead.schema import SeriesShape
from fairlead.schema.series import PERIOD
from fairlead.spec.project import Series, Split
from fairlead.stats.profile import ColumnProfile, Profile

Times = NDArray[np.datetime64]
Values = NDArray[np.float64]

SCHEMA = pa.schema([("key", pa.string()), ("at", pa.timestamp("us")), ("value", pa.float64())])
ALL = "all"
"""Key of the only series where ``by`` is empty."""
_MONDAY = np.datetime64("1970-01-05", "s")
_MOST_PERIODS = 200_000
"""Twenty-two years of hours. More is a date that went wrong, and would be filled with zeros."""
_MERGE_AFTER = 2_000_000
"""Partial sums held before they are added up."""


@dataclass(frozen=True, slots=True)
class Regular:
    """What was written, in figures."""

    shape: SeriesShape
    rows: Mapping[str, int]
    profile: Profile
    split: SplitReport
    notes: tuple[str, ...]


def period_starts(times: Times, every: str) -> Times:
    """Start of the hour, day or week (Monday) that holds each time.

    >>> period_starts(np.array(["2011-12-08T17:20"], dtype="datetime64[us]"), "week").astype(str).tolist()
    ['2011-12-05T00:00:00']
    """
    moments = times.astype("datetime64[s]")
    length = PERIOD[every].astype("timedelta64[s]")
    starts: Times = _MONDAY + (moments - _MONDAY) // length * length
    return starts


def write_series(
    ingested: Ingested,
    surveyed: Surveyed,
    roles: Roles,
    series: Series,
    split: Split,
    folder: Path,
    advance: Callable[[int], object] = unwatched,
) -> Regular:
    """Sum the rows by key and period, fill gaps with zero, and write the three splits.

    Raises:
        DataError: There are too few periods for the window and the horizon, or absurdly many.
    """
    sums = _sums(ingested, surveyed, roles, series, advance)
    periods = _periods(sums["at"], series.every)
    cuts = _cuts(len(periods), series, split)
    keys = _largest(sums, periods[cuts[0]], series.top)
    table = _filled(sums, keys, periods)
    spans, rows = {}, {}
    for name, start, end in zip(SPLITS, (0, *cuts), (*cuts, len(periods)), strict=True):
        _write(folder / f"{name}.parquet", keys, periods[start:end], table[:, start:end])
        spans[name] = (str(periods[start]), str(periods[end - 1]))
        rows[name] = len(keys) * (end - start)
    why = (
        f"by time: the last {len(periods) - cuts[1]} of {len(periods)} periods ({series.every}s) are the test"
    )
    return Regular(
        shape=SeriesShape(tuple(keys), series.every, series.window, series.horizon, series.season),
        rows=rows,
        profile=_profile(table[:, : cuts[0]], keys, periods[: cuts[0]]),
        split=SplitReport("time", why, rows, spans),
        notes=_notes(sums["key"].nunique(), keys, table),
    )


def _periods(starts: pd.Series[pd.Timestamp], every: str) -> Times:
    """All periods from the first to the last, without gaps."""
    length = PERIOD[every].astype("timedelta64[s]")
    first, last = (moment.to_datetime64().astype("datetime64[s]") for moment in (starts.min(), starts.max()))
    if (last - first) // length > _MOST_PERIODS:
        raise DataError(
            f"the rows reach from {first} to {last}, which is more than {_MOST_PERIODS:,} periods ({every}s)",
            hint="Is a date wrong? A row rule can quarantine it; or take longer periods (data.series.every).",
        )
    return np.arange(first, last + length, length)


def _sums(
    ingested: Ingested, surveyed: Surveyed, roles: Roles, series: Series, advance: Callable[[int], object]
) -> pd.DataFrame:
    """Value by key and start of period."""
    parts: list[pd.DataFrame] = []
    held = 0
    columns = list(dict.fromkeys([*series.by, str(roles.time), series.value, ROW]))
    for batch in read_rows(ingested.rows, columns):
        kept = batch.filter(pa.array(~surveyed.dropped.contains(np.asarray(batch.column(ROW)))))
        parts.append(_added_up(_keyed(kept, roles, series)))
        held += len(parts[-1])
        if held > _MERGE_AFTER:
            parts = [_added_up(pd.concat(parts))]
            held = 0
        advance(batch.num_rows)
    return _added_up(pd.concat(parts))


def _keyed(batch: pa.RecordBatch, roles: Roles, series: Series) -> pd.DataFrame:
    return pd.DataFrame({
        "key": _keys(batch, series.by),
        "at": period_starts(batch.column(roles.time).to_numpy(zero_copy_only=False), series.every),
        "value": np.asarray(batch.column(series.value)),
    })  # fmt: skip


def _keys(batch: pa.RecordBatch, by: Sequence[str]) -> pd.Series[str]:
    if not by:
        return pd.Series([ALL] * batch.num_rows, dtype="str")
    columns = [batch.column(name).cast(pa.string()) for name in by]
    keys: pd.Series[str] = pc.binary_join_element_wise(*columns, "|").to_pandas()
    return keys


def _added_up(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(["key", "at"], sort=True)["value"].sum().reset_index()


def _cuts(periods: int, series: Series, split: Split) -> tuple[int, int]:
    """Where validation and test begin; each must hold a horizon, and training a window and a horizon."""
    test = max(series.horizon, round(periods * split.test))
    valid = max(series.horizon, round(periods * split.valid))
    train = periods - test - valid
    if train < series.window + series.horizon:
        raise DataError(
            f"there are {periods} periods ({series.every}s): {train} for training, {valid} for validation, {test} for test; "
            f"training needs at least window + horizon = {series.window + series.horizon}",
            hint="Give more data, or a smaller data.series.window or horizon.",
        )
    return train, train + valid


def _largest(sums: pd.DataFrame, training_end: np.datetime64, top: int | None) -> list[str]:
    """Keys of the series with the largest totals in the training period, in alphabetical order."""
    totals = sums[sums["at"] < training_end].groupby("key")["value"].sum()
    ranked = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
    return sorted(str(key) for key, _ in ranked[:top])


def _filled(sums: pd.DataFrame, keys: Sequence[str], periods: Times) -> Values:
    """Values, shape (keys, periods), zero where nothing happened."""
    chosen = sums[sums["key"].isin(keys)]
    table = np.zeros((len(keys), len(periods)))
    row = pd.Index(keys).get_indexer(pd.Index(chosen["key"]))
    column = np.searchsorted(periods, chosen["at"].to_numpy().astype(periods.dtype))
    table[row, column] = chosen["value"].to_numpy()
    return table


def _write(path: Path, keys: Sequence[str], periods: Times, table: Values) -> None:
    columns = {
        "key": pa.array(np.repeat(np.array(keys, dtype=object), len(periods)), pa.string()),
        "at": pa.array(np.tile(periods.astype("datetime64[us]"), len(keys))),
        "value": pa.array(table.ravel()),
    }
    pq.write_table(pa.table(columns, schema=SCHEMA), path, compression="zstd")


def _profile(table: Values, keys: Sequence[str], periods: Times) -> Profile:
    return Profile(
        table.size,
        {
            "key": ColumnProfile.of_counts("category", keys, [len(periods)] * len(keys), 0),
            "at": ColumnProfile.of("datetime", np.tile(periods, len(keys))),
            "value": ColumnProfile.of("number", table.ravel()),
        },
    )


def _notes(found: int, keys: Sequence[str], table: Values) -> tuple[str, ...]:
    notes = []
    if len(keys) < found:
        notes.append(
            f"{len(keys)} of {found} series are kept: those with the largest totals in the training period."
        )
    zeros = float((table == 0).mean())
    if zeros > 0.5:
        notes.append(f"{zeros:.0%} of all periods are zero: most series are intermittent.")
    return tuple(notes)


def check_series(folder: Path) -> list[LeakCheck]:
    """Read the splits as they were written: each must begin after the one before has ended.

    Raises:
        LeakError: They overlap.
    """
    ends, rows = None, 0
    for name in SPLITS:
        at = pq.read_table(folder / f"{name}.parquet", columns=["at"])["at"].to_numpy()
        rows += len(at)
        if ends is not None and at.min() <= ends:
            raise LeakError(f"{name} begins at {at.min()}, but the split before it ends at {ends}")
        ends = at.max()
    return [LeakCheck("no split reaches into the next one's time", f"{rows:,} periods of all series")]
