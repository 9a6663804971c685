"""The look at the kept rows between the two passes: which are dropped, and where the cuts between splits lie.

Reads only the columns it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.data.hashing import mixed, seeded, value_hashes
from fairlead.data.ingest import ROW, Ingested
from fairlead.data.report import EXAMPLES, Outliers
from fairlead.data.roles import Roles
from fairlead.data.rowset import RowSet
from fairlead.data.split import Codes, PlaceSurvey, TimeSurvey
from fairlead.errors import DataError
from fairlead.spec.project import Cleaning, Split
from fairlead.stats.sketch import Sketch

BATCH_ROWS = 65_536
MOST_CLASSES = 1_000
Assign = Callable[[pa.RecordBatch], Codes]
"""The split of each row of a batch."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the second pass needs to know.

    Attributes:
        dropped: Rows that are not part of the dataset (duplicates, repeated values, unwanted outliers).
        duplicates: How many of them are duplicates.
        outliers: Numbers beyond the fences, by column.
        outlier_rows: Rows dropped for them.
        assign: Gives rows their split; unused for a forecast.
        classes: Rows by class (classification).
    """

    dropped: RowSet
    duplicates: int
    outliers: tuple[Outliers, ...]
    outlier_rows: int
    assign: Assign
    classes: Mapping[str, int]


def read_rows(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file in batches, one row group in memory at a time."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False)


def survey(ingested: Ingested, roles: Roles, cleaning: Cleaning, split: Split) -> Surveyed:
    """Look at the kept rows.

    Raises:
        DataError: There are duplicates and the project refuses them, nothing is left, or the target has too many classes.
    """
    if cleaning.duplicates == "fail" and len(ingested.duplicates):
        raise DataError(
            f"{len(ingested.duplicates):,} rows are exact duplicates of earlier ones, and data.clean.duplicates is fail",
            hint="Set it to drop or keep, or mend the source.",
        )
    fences = {} if cleaning.outliers == "ignore" else _fences(ingested.sketches, cleaning.outlier_fence)
    look = _Look(ingested, roles, cleaning, split, fences)
    used = [name for name in roles.kept if name in {roles.target, roles.time, roles.group} or name in fences]
    for batch in read_rows(ingested.rows, [*used, ROW]):
        look.take(batch)
    return look.finish()


def _fences(sketches: Mapping[str, Sketch], width: float) -> dict[str, tuple[float, float]]:
    """Quartiles minus and plus *width* interquartile ranges; none where half of all values are the same."""
    found = {}
    for name, sketch in sketches.items():
        if sketch.count:
            low, high = sketch.quantile(0.25), sketch.quantile(0.75)
            if high > low:
                found[name] = (low - width * (high - low), high + width * (high - low))
    return found


class _Look:
    def __init__(
        self,
        ingested: Ingested,
        roles: Roles,
        cleaning: Cleaning,
        split: Split,
        fences: dict[str, tuple[float, float]],
    ) -> None:
        self.ingested, self.roles, self.cleaning, self.split, self.fences = (
            ingested,
            roles,
            cleaning,
            split,
            fences,
        )
        self.dropped = RowSet(ingested.read)
        self.kept = 0
        self.outlier_counts = dict.fromkeys(fences, 0)
        self.outlier_examples: dict[str, list[float]] = {name: [] for name in fences}
        self.outlier_rows = 0
        self.classes = PlaceSurvey()
        self.places = PlaceSurvey()
        self.times = TimeSurvey()

    def take(self, batch: pa.RecordBatch) -> None:
        rows = np.asarray(batch.column(ROW))
        gone = self.ingested.duplicates.contains(rows)
        for repeated in self.ingested.repeated.values():
            gone |= repeated.contains(rows)
        outlying = self._outliers(batch, ~gone)
        if self.cleaning.outliers == "drop":
            self.outlier_rows += int((outlying & ~gone).sum())
            gone |= outlying
        self.dropped.add(rows[gone])
        self._place(batch.filter(pa.array(~gone)))

    def _outliers(self, batch: pa.RecordBatch, alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        outlying = np.zeros(batch.num_rows, dtype=bool)
        for name, (low, high) in self.fences.items():
            values = np.asarray(batch.column(name).fill_null(np.nan))
            beyond = ((values < low) | (values > high)) & alive
            self.outlier_counts[name] += int(beyond.sum())
            examples = self.outlier_examples[name]
            examples.extend(values[beyond][: EXAMPLES - len(examples)].tolist())
            outlying |= beyond
        return outlying

    def _place(self, batch: pa.RecordBatch) -> None:
        self.kept += batch.num_rows
        if not batch.num_rows or self.roles.task == "forecast":
            return
        hashes = _row_hashes(batch, self.split.seed)
        if self.roles.task == "classification":
            self.classes.add(*_classes(batch, self.roles), hashes)
            _check_class_count(self.classes, self.roles)
        if self.roles.split == "time":
            self.times.add(_times(batch, self.roles), hashes)
        elif self.roles.split in ("group", "random"):
            self.places.add([""], _one_stratum(batch), self._kept_together(batch))

    def finish(self) -> Surveyed:
        if not self.kept:
            raise DataError("after dropping duplicates and outliers no row is left")
        action = "dropped" if self.cleaning.outliers == "drop" else "flagged"
        return Surveyed(
            dropped=self.dropped,
            duplicates=len(self.ingested.duplicates),
            outliers=tuple(
                Outliers(name, *self.fences[name], count, tuple(self.outlier_examples[name]), action)
                for name, count in self.outlier_counts.items() if count
            ),
            outlier_rows=self.outlier_rows,
            assign=self._assigner(),
            classes=self.classes.totals(),
        )  # fmt: skip

    def _assigner(self) -> Assign:
        roles, split = self.roles, self.split
        if roles.task == "forecast":
            return lambda batch: np.zeros(batch.num_rows, dtype=np.int8)
        if roles.split == "time":
            by_time = self.times.cuts(valid=split.valid, test=split.test)
            return lambda batch: by_time.assign(_times(batch, roles))
        if roles.split == "stratified":
            by_class = self.classes.cuts(valid=split.valid, test=split.test)
            return lambda batch: by_class.assign(*_classes(batch, roles), _row_hashes(batch, split.seed))
        cuts = self.places.cuts(valid=split.valid, test=split.test)
        return lambda batch: cuts.assign([""], _one_stratum(batch), self._kept_together(batch))

    def _kept_together(self, batch: pa.RecordBatch) -> NDArray[np.uint64]:
        """Hashes of what must not be parted: the group, or the row itself."""
        by_group = self.roles.split == "group"
        return (
            _group_hashes(batch, self.roles, self.split) if by_group else _row_hashes(batch, self.split.seed)
        )


def _check_class_count(classes: PlaceSurvey, roles: Roles) -> None:
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"the target {roles.target!r} has more than {MOST_CLASSES:,} classes",
            hint="If it is a number, the task is regression; if it names single things, it is no class.",
        )


def _one_stratum(batch: pa.RecordBatch) -> NDArray[np.int64]:
    return np.zeros(batch.num_rows, dtype=np.int64)


def _row_hashes(batch: pa.RecordBatch, seed: int) -> NDArray[np.uint64]:
    return seeded(np.asarray(batch.column(ROW)), seed)


def _group_hashes(batch: pa.RecordBatch, roles: Roles, split: Split) -> NDArray[np.uint64]:
    return mixed(value_hashes(batch.column(roles.group)) ^ seeded(np.zeros(1, dtype=np.int64), split.seed))


def _times(batch: pa.RecordBatch, roles: Roles) -> NDArray[np.int64]:
    return np.asarray(batch.column(roles.time).cast(pa.int64()))


def _classes(batch: pa.RecordBatch, roles: Roles) -> tuple[list[str], NDArray[np.integer]]:
    encoded = batch.column(roles.target).dictionary_encode()
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices)
