"""Pass two: the kept rows are written to training, validation and test, and the training rows are profiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fairlead.data.ingest import ROW, Ingested, dataset_schema, unwatched
from fairlead.data.quarantine import Quarantine
from fairlead.data.report import SplitReport
from fairlead.data.roles import Roles
from fairlead.data.split import SPLITS
from fairlead.data.survey import BATCH_ROWS, Surveyed, read_rows
from fairlead.data.validate import Failure
from fairlead.errors import DataError
from fairlead.spec import Contract
from fairlead.stats.profile import ColumnProfile, Profile

REPEATED = "must be unique, but an earlier row has the same value"

WHY = {
    "random": "each row by a seeded hash of its ordinal",
    "stratified": "each row by a seeded hash of its ordinal, the same shares in every class",
    "group": "all rows of a group by a seeded hash of the group, so that no group is on two sides",
    "time": "by time, oldest rows in training, so that no model learns from the future",
}


@dataclass(frozen=True, slots=True)
class Divided:
    """What pass two wrote, in figures."""

    rows: Mapping[str, int]
    profile: Profile
    split: SplitReport
    notes: tuple[str, ...]


def divide(
    ingested: Ingested,
    surveyed: Surveyed,
    contract: Contract,
    roles: Roles,
    quarantine: Quarantine,
    folder: Path,
    advance: Callable[[int], object] = unwatched,
) -> Divided:
    """Write ``train.parquet``, ``valid.parquet`` and ``test.parquet`` to *folder*.

    Raises:
        DataError: A split is empty, or training has a single class.
    """
    schema = dataset_schema(contract, roles)
    with ExitStack() as open_files:
        writers = [
            open_files.enter_context(SplitWriter(folder / f"{name}.parquet", schema, contract, roles))
            for name in SPLITS
        ]
        for batch in read_rows(ingested.rows):
            kept = _without_dropped(batch, ingested, surveyed, quarantine)
            codes = surveyed.assign(kept) if kept.num_rows else np.empty(0, dtype=np.int8)
            for code, writer in enumerate(writers):
                writer.add(kept.filter(pa.array(codes == code)))
            advance(batch.num_rows)
    report = _report(writers, roles)
    _check(report, roles)
    profile = writers[0].profile()
    return Divided(report.rows, profile, report, tuple(_notes(profile, report, roles)))


def _without_dropped(
    batch: pa.RecordBatch, ingested: Ingested, surveyed: Surveyed, quarantine: Quarantine
) -> pa.RecordBatch:
    rows = np.asarray(batch.column(ROW))
    failures = [
        Failure(name, REPEATED, "", positions, (name,)) for name, repeated in ingested.repeated.items()
        if len(positions := np.flatnonzero(repeated.contains(rows) & ~ingested.duplicates.contains(rows)))
    ]  # fmt: skip
    if failures:
        quarantine.add(batch.drop_columns([ROW]), rows, failures)
    return batch.filter(pa.array(~surveyed.dropped.contains(rows)))


@dataclass
class SplitWriter:
    """Writes one split in row groups of full size, and counts what a report says about it."""

    path: Path
    schema: pa.Schema
    contract: Contract
    roles: Roles
    rows: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    _waiting: list[pa.RecordBatch] = field(default_factory=list)
    _profiles: dict[str, ColumnProfile] = field(default_factory=dict)
    _span: tuple[int, int] | None = None

    def __enter__(self) -> SplitWriter:
        self._writer = pq.ParquetWriter(self.path, self.schema, compression="zstd")
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Write rows, once there are enough of them for a row group."""
        if not batch.num_rows:
            return
        self._waiting.append(batch)
        if sum(part.num_rows for part in self._waiting) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        [group] = pa.Table.from_batches(self._waiting).combine_chunks().to_batches()
        self._waiting = []
        self._writer.write_batch(group)
        self.rows += group.num_rows
        self._count(group)

    def _count(self, group: pa.RecordBatch) -> None:
        if self.roles.task == "classification":
            counted = group.column(self.roles.target).value_counts().to_pylist()
            for one in counted:
                self.classes[one["values"]] = self.classes.get(one["values"], 0) + one["counts"]
        if self.roles.time is not None:
            self._widen(group.column(self.roles.time))
        if self.path.stem == "train":
            self._add_profiles(group)

    def _widen(self, times: pa.Array) -> None:
        ends = pc.min_max(times.cast(pa.int64()))
        first, last = ends["min"].as_py(), ends["max"].as_py()
        if first is not None:
            known = self._span or (first, last)
            self._span = (min(first, known[0]), max(last, known[1]))

    def _add_profiles(self, group: pa.RecordBatch) -> None:
        for name in self.roles.kept:
            part = profile_of(self.contract.columns[name].type, group.column(name))
            self._profiles[name] = self._profiles[name].merge(part) if name in self._profiles else part

    def span(self) -> tuple[str, str] | None:
        """First and last time, ISO 8601; None if there is no time column."""
        if self._span is None:
            return None
        first, last = (str(np.datetime64(moment, "us").astype("datetime64[s]")) for moment in self._span)
        return first, last

    def profile(self) -> Profile:
        """Profile of the rows; training only."""
        return Profile(self.rows, self._profiles)


def profile_of(kind: str, values: pa.Array) -> ColumnProfile:
    """The profile of one canonical column. Categories are counted by Arrow, which is fast."""
    if pa.types.is_string(values.type) and kind == "text":
        lengths = pc.utf8_length(values).cast(pa.float64())
        return ColumnProfile.of_lengths(np.asarray(lengths.fill_null(np.nan)))
    if pa.types.is_floating(values.type):
        return ColumnProfile.of(kind, np.asarray(values.fill_null(np.nan)))
    if pa.types.is_timestamp(values.type):
        return ColumnProfile.of("datetime", values.to_numpy(zero_copy_only=False))
    counted = values.drop_null().value_counts()
    different = counted.field("values").cast(pa.string()).to_pylist()
    label = kind if kind in ("boolean", "category") else "category"
    return ColumnProfile.of_counts(label, different, counted.field("counts").to_pylist(), values.null_count)


def _report(writers: list[SplitWriter], roles: Roles) -> SplitReport:
    by_name = dict(zip(SPLITS, writers, strict=True))
    spans = {name: span for name, writer in by_name.items() if (span := writer.span())}
    classes = {
        name: dict(sorted(writer.classes.items())) for name, writer in by_name.items() if writer.classes
    }
    return SplitReport(
        roles.split, WHY[roles.split], {name: w.rows for name, w in by_name.items()}, spans, classes
    )


def _notes(profile: Profile, report: SplitReport, roles: Roles) -> Iterator[str]:
    """What a person should know and nothing forbids."""
    for name in roles.features:
        if profile.columns[name].constant:
            yield f"The feature {name} is constant in the training rows: no model can learn from it."
    for name, counts in report.classes.items():
        absent = sorted(set(report.classes["train"]) - set(counts))
        if absent:
            yield f"The {name} split has no row of class {', '.join(absent)}: some metrics cannot be measured on it."


def _check(report: SplitReport, roles: Roles) -> None:
    total = sum(report.rows.values())
    labels = {label for counts in report.classes.values() for label in counts}
    if roles.task == "classification" and len(labels) == 1:
        raise DataError(
            f"the target {roles.target!r} has the single class {next(iter(labels))!r} in all {total:,} rows",
            hint="There is nothing to tell apart. Were the other rows filtered out or quarantined?",
        )
    for name, count in report.rows.items():
        if not count:
            raise DataError(
                f"the {name} split is empty: {total:,} rows, divided {report.why}",
                hint="There are too few rows, groups or different times for the shares in data.split.",
            )
    if roles.task == "classification" and len(report.classes["train"]) == 1:
        raise DataError(
            f"all training rows have the class {next(iter(report.classes['train']))!r}; others come only later",
            hint=f"data.split.method is {report.method}; another method or share would mix the classes.",
        )
