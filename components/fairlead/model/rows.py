"""A split of the dataset as the arrays that training and evaluation work on. Read once, encoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.errors import DataError, IntegrityError, ProjectError
from fairlead.model.forecast import MAX_TRAINING_ROWS, Series, forecast_rows, request_rows
from fairlead.nearest import did_you_mean
from fairlead.records import Dataset
from fairlead.schema import Batch, Schema, SeriesShape
from fairlead.schema.encode import encode, is_missing
from fairlead.spec import Project

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Encoded rows with what is known about them. All arrays have one entry a row."""

    batch: Batch
    array: NDArray[Any]
    """``batch.as_array()``, what scikit-learn sees."""
    actual: NDArray[Any]
    """Class labels (object), numbers (float64), or NaN where there is nothing to predict (clustering)."""
    row: NDArray[np.int64]
    """Position in the source; for forecast, position among the rows of the split."""
    time: NDArray[np.datetime64] | None = None
    group: NDArray[np.object_] | None = None
    slices: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    scale: NDArray[np.float64] | None = None
    """Forecast: what MASE divides the row's error by."""
    identity: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Forecast: key, at and step, which tell rows apart in tables."""

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """The chosen rows."""
        return replace(
            self,
            batch=self.batch.take(rows),
            array=self.array[rows],
            actual=self.actual[rows],
            row=self.row[rows],
            time=None if self.time is None else self.time[rows],
            group=None if self.group is None else self.group[rows],
            slices={name: values[rows] for name, values in self.slices.items()},
            scale=None if self.scale is None else self.scale[rows],
            identity={name: values[rows] for name, values in self.identity.items()},
        )


def schema_of(dataset: Dataset) -> Schema:
    """The schema of a dataset folder.

    Raises:
        IntegrityError: The folder has none, or one that this version cannot read.
    """
    try:
        return Schema.from_json((Path(dataset.path) / "schema.json").read_bytes())
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise IntegrityError(
            f"{dataset.path} has no usable schema.json: {cause}", hint="Run the data stage again."
        ) from cause


def read_rows(folder: Path, split: SplitName, schema: Schema, project: Project) -> Rows:
    """The rows of one split.

    Raises:
        DataError: The split is empty.
        ProjectError: ``model.slices`` names a column the data does not have.
    """
    if schema.series is not None:
        rows = _forecast(folder, split, schema.series, project)
    else:
        rows = _tabular(folder, split, schema, project)
    if not len(rows):
        raise DataError(
            f"the {split} split has no rows",
            hint="Give it a larger share in data.split, or more data; for forecast it must hold at least one period.",
        )
    return rows


def request_columns(folder: Path, schema: Schema) -> dict[str, Any]:
    """The test rows before encoding, for a champion that encodes by a schema of its own; rows as in :func:`read_rows`."""
    if schema.series is None:
        table = pq.read_table(folder / "test.parquet")
        return {name: table.column(name).to_pylist() for name in table.column_names}
    parts = list(request_rows(schema.series, read_series(folder), SPLITS.index("test")))
    return {
        "key": np.concatenate([np.full(len(step), key, dtype=object) for key, _, _, step in parts]),
        "at": np.concatenate([at for _, at, _, _ in parts]),
        "history": np.concatenate([history for _, _, history, _ in parts]),
        "step": np.concatenate([step for _, _, _, step in parts]),
    }


# ------------------------------------------------------------------------------------------------- one row an example


def _tabular(folder: Path, split: SplitName, schema: Schema, project: Project) -> Rows:
    path = folder / f"{split}.parquet"
    data, slices = project.data, project.model.slices
    have = pq.read_schema(path).names
    _refuse_unknown_slices(slices, have)
    wanted = {*(f.name for f in schema.fields), data.target, data.time, data.group, *slices, "_row"}
    table = pq.read_table(path, columns=[name for name in have if name in wanted])
    columns = {name: as_numpy(table.column(name)) for name in table.column_names}
    batch = encode(schema, columns)
    return Rows(
        batch=batch,
        array=batch.as_array(),
        actual=_actual(columns, schema, len(table)),
        row=columns["_row"].astype(np.int64),
        time=columns[data.time].astype("datetime64[us]") if data.time in columns else None,
        group=group_names(columns[data.group], columns["_row"]) if data.group in columns else None,
        slices={name: columns[name].astype(object) for name in slices},
    )


def as_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    """A Parquet column: numbers with NaN, times with NaT, anything else as objects with None."""
    return np.asarray(column.to_numpy(zero_copy_only=False))


def group_names(group: NDArray[Any], row: NDArray[Any]) -> NDArray[np.object_]:
    """The group of each row as text; a row without one is a group of its own.

    >>> group_names(np.array(["a", None, None], dtype=object), np.array([0, 1, 2])).tolist()
    ['a', '(row 1)', '(row 2)']
    """
    names = [f"(row {at})" if is_missing(one) else str(one) for one, at in zip(group, row, strict=True)]
    return np.array(names, dtype=object)


def _actual(columns: Mapping[str, NDArray[Any]], schema: Schema, rows: int) -> NDArray[Any]:
    if schema.output.task == "clustering":
        return np.full(rows, np.nan)
    target = columns[schema.output.target]
    return target.astype(object if schema.output.task == "classification" else np.float64)


def _refuse_unknown_slices(slices: tuple[str, ...], have: list[str]) -> None:
    for name in slices:
        if name not in have:
            raise ProjectError(
                f"model.slices names {name!r}, which is no column of the dataset",
                hint=did_you_mean(name, have),
            )


# ---------------------------------------------------------------------------------------------------- forecast


def read_series(folder: Path) -> list[Series]:
    """All series over all splits, in order of their keys.

    Raises:
        DataError: A series has a gap.
    """
    tables = [pq.read_table(folder / f"{name}.parquet", columns=["key", "at", "value"]) for name in SPLITS]
    split = np.concatenate([np.full(len(table), number, np.int8) for number, table in enumerate(tables)])
    whole = pa.concat_tables(tables)
    key = as_numpy(whole.column("key")).astype(str)
    at = as_numpy(whole.column("at")).astype("datetime64[s]")
    value = as_numpy(whole.column("value")).astype(np.float64)
    order = np.lexsort((at, key))
    key, at, value, split = key[order], at[order], value[order], split[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.array([], dtype=np.intp)
    ends = np.r_[starts[1:], len(key)]
    return [
        _regular(Series(str(key[a]), at[a:b], value[a:b], split[a:b]))
        for a, b in zip(starts, ends, strict=False)
    ]


def _regular(series: Series) -> Series:
    gaps = np.diff(series.at)
    if len(gaps) and (gaps != gaps.min()).any():
        odd = series.at[1:][gaps != gaps.min()][0]
        raise DataError(
            f"series {series.key!r} has no value just before {odd}", hint="Run the data stage again."
        )
    return series


def _forecast(folder: Path, split: SplitName, shape: SeriesShape, project: Project) -> Rows:
    most = MAX_TRAINING_ROWS if split == "train" else None
    made = forecast_rows(shape, read_series(folder), SPLITS.index(split), most=most)
    batch = Batch(made.features)
    identity = {"key": made.key, "at": made.at, "step": made.step}
    parts = key_parts(made.key, project.data.series.by if project.data.series else ())
    _refuse_unknown_slices(project.model.slices, list(parts))
    return Rows(
        batch=batch,
        array=batch.as_array(),
        actual=made.value,
        row=np.arange(len(made.value)),
        time=made.target_at,
        slices={name: parts[name] for name in project.model.slices},
        scale=made.scale,
        identity=identity,
    )


def key_parts(keys: NDArray[np.object_], by: Sequence[str]) -> dict[str, NDArray[np.object_]]:
    """The columns a series key was joined from, one entry a row.

    >>> {name: values.tolist() for name, values in key_parts(np.array(["DE|A1"], dtype=object), ("country", "item")).items()}
    {'country': ['DE'], 'item': ['A1']}
    """
    distinct, place = np.unique(keys.astype(str), return_inverse=True)
    split = [key.split("|", maxsplit=max(0, len(by) - 1)) for key in distinct.tolist()]
    return {
        name: np.array([parts[position] for parts in split], dtype=object)[place]
        for position, name in enumerate(by)
    }
