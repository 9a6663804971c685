"""Pass one: the source is read once; every row is made uniform, checked, and kept or quarantined.

Kept rows go to a temporary Parquet file. What the later passes must know about all rows at once (duplicates, repeated values,
quartiles) is gathered on the way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.data.duplicates import DuplicateFinder
from fairlead.data.hashing import row_hashes, value_hashes
from fairlead.data.quarantine import Quarantine
from fairlead.data.report import Change, Reason, Tally
from fairlead.data.roles import Roles
from fairlead.data.rowset import RowSet
from fairlead.data.uniform import CANONICAL, UNREADABLE, Uniform, uniform
from fairlead.data.validate import REQUIRED, Failure, Validator, require_columns
from fairlead.errors import DataError
from fairlead.spec import Contract
from fairlead.spec.project import Cleaning
from fairlead.stats.sketch import Sketch

ROW = "_row"
_TOP_REASONS = 5


@dataclass(frozen=True, slots=True)
class Ingested:
    """What pass one leaves behind.

    Attributes:
        rows: Parquet file of the kept rows: the dataset's columns and ``_row``.
        read: Rows in the source.
        incomplete: Rows dropped because an allowed missing value is not wanted (``clean.missing: drop``).
        duplicates: Later ones of equal rows.
        repeated: By column with ``unique``: rows whose value an earlier row has.
        sketches: By numeric column: the kept values.
        changes: What was made uniform.
        dropped_columns: In the source, not in the contract.
        spilled: Bytes of hash partitions that were on disk.
    """

    rows: Path
    read: int
    incomplete: int
    duplicates: RowSet
    repeated: Mapping[str, RowSet]
    sketches: Mapping[str, Sketch]
    changes: tuple[Change, ...]
    dropped_columns: tuple[str, ...]
    spilled: int


def unwatched(_rows: int) -> None:
    """The ``advance`` of work that nobody watches."""


def ingest(
    batches: Iterable[pa.RecordBatch],
    contract: Contract,
    roles: Roles,
    cleaning: Cleaning,
    quarantine: Quarantine,
    scratch: Path,
    advance: Callable[[int], object] = unwatched,
) -> Ingested:
    """Read all rows.

    Args:
        batches: Raw rows.
        contract: What they must look like.
        roles: Which columns play which part.
        cleaning: Whether incomplete rows are dropped.
        quarantine: Takes the rows that break the contract.
        scratch: Folder for temporary files.
        advance: Called with the number of rows of each batch.

    Raises:
        DataError: There are no rows, a column is missing, or not one row satisfies the contract.
    """
    path = scratch / "rows.parquet"
    with ExitStack() as open_files:
        state = _Pass(contract, roles, cleaning, quarantine, path, scratch, open_files)
        for batch in batches:
            state.take(batch)
            advance(batch.num_rows)
        return state.finish()


def dataset_schema(contract: Contract, roles: Roles) -> pa.Schema:
    """Arrow schema of a dataset's splits: canonical types, class labels as text."""
    fields = []
    for name in roles.kept:
        label = name == roles.target and roles.task == "classification"
        fields.append(pa.field(name, pa.string() if label else CANONICAL[contract.columns[name].type]))
    return pa.schema([*fields, pa.field(ROW, pa.int64())])


@dataclass
class _Pass:
    contract: Contract
    roles: Roles
    cleaning: Cleaning
    quarantine: Quarantine
    path: Path
    scratch: Path
    open_files: ExitStack
    read: int = 0
    kept: int = 0
    incomplete: int = 0
    changes: Tally = field(default_factory=Tally)
    extra: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = self.contract.columns
        self.validator = Validator(self.contract, self.roles.needed)
        self.schema = dataset_schema(self.contract, self.roles)
        self.writer = self.open_files.enter_context(
            pq.ParquetWriter(self.path, self.schema, compression="lz4")
        )
        self.finder = self._finder("duplicates")
        self.unique = {
            name: self._finder(f"unique-{position}")
            for position, name in enumerate(self.roles.kept) if columns[name].unique
        }  # fmt: skip
        self.sketches = {
            name: Sketch() for name in self.roles.kept
            if columns[name].type in ("number", "integer") and columns[name].use == "feature"
            and self.schema.field(name).type == pa.float64()
        }  # fmt: skip

    def _finder(self, name: str) -> DuplicateFinder:
        return self.open_files.enter_context(DuplicateFinder(self.scratch / name))

    def take(self, batch: pa.RecordBatch) -> None:
        """Check one batch and keep what is good."""
        if not batch.num_rows:
            return
        raw = select_columns(batch, self.contract, self.extra)
        rows = np.arange(self.read, self.read + batch.num_rows, dtype=np.int64)
        self.read += batch.num_rows
        made = {name: uniform(raw.column(name), column) for name, column in self.contract.columns.items()}
        self._note_changes(made)
        canonical = pa.RecordBatch.from_pydict({name: one.values for name, one in made.items()})
        bad = self.quarantine.add(raw, rows, self._failures(canonical, made))
        self._keep(canonical.filter(pa.array(~bad)), rows[~bad])

    def _failures(self, canonical: pa.RecordBatch, made: Mapping[str, Uniform]) -> list[Failure]:
        """What cannot be read, and what the contract's rules say about the rest."""
        found = []
        for name, one in made.items():
            if one.broken.any():
                rule = UNREADABLE[self.contract.columns[name].type]
                found.append(Failure(name, rule, "", np.flatnonzero(one.broken), (name,)))
        for failure in self.validator.failures(canonical):
            positions = failure.rows
            if failure.rule == REQUIRED:  # said already, and better, of a value that cannot be read
                positions = positions[~made[failure.column].broken[positions]]
            if len(positions):
                found.append(dataclasses.replace(failure, rows=positions))
        return found

    def _keep(self, good: pa.RecordBatch, rows: NDArray[np.int64]) -> None:
        columns = {name: _as(good.column(name), self.schema.field(name).type) for name in self.roles.kept}
        batch = pa.RecordBatch.from_pydict({**columns, ROW: pa.array(rows)}, schema=self.schema)
        if self.cleaning.missing == "drop":
            complete = _complete(batch)
            self.incomplete += int((~complete).sum())
            batch = batch.filter(pa.array(complete))
        if batch.num_rows:
            self._gather(batch)
            self.writer.write_batch(batch)
            self.kept += batch.num_rows

    def _gather(self, batch: pa.RecordBatch) -> None:
        rows = np.asarray(batch.column(ROW))
        if self.cleaning.duplicates != "keep":
            self.finder.add_rows(row_hashes(batch.column(name) for name in self.roles.kept), rows)
        for name, finder in self.unique.items():
            values = batch.column(name)
            known = np.asarray(pc.is_valid(values))
            hashes = (value_hashes(values, 0)[known], value_hashes(values, 1)[known])
            finder.add_rows(hashes, rows[known])
        for name, sketch in self.sketches.items():
            self.sketches[name] = sketch.merge(Sketch.of(np.asarray(batch.column(name).fill_null(np.nan))))

    def _note_changes(self, made: Mapping[str, Uniform]) -> None:
        for name, one in made.items():
            for step in one.steps:
                self.changes.add((name, step.action, step.why), step.count, step.examples)

    def finish(self) -> Ingested:
        """Close the files and settle what needed all rows."""
        self.writer.close()
        if not self.read:
            raise DataError("the source has no rows", hint="There are columns, but nothing below them.")
        if not self.kept:
            raise _nothing_kept(self.read, self.quarantine.reasons(), self.incomplete)
        return Ingested(
            rows=self.path,
            read=self.read,
            incomplete=self.incomplete,
            duplicates=self.finder.later_ones(self.read),
            repeated={name: finder.later_ones(self.read) for name, finder in self.unique.items()},
            sketches=self.sketches,
            changes=tuple(
                Change(column, action, why, count, tuple(examples))
                for (column, action, why), count, examples in self.changes.items()
            ),
            dropped_columns=tuple(self.extra),
            spilled=self.finder.bytes + sum(finder.bytes for finder in self.unique.values()),
        )


def select_columns(batch: pa.RecordBatch, contract: Contract, extra: dict[str, None]) -> pa.RecordBatch:
    """The contract's columns under the contract's names, raw. Names of other columns are added to *extra*.

    Raises:
        DataError: As :func:`fairlead.data.validate.require_columns`.
    """
    extra.update(dict.fromkeys(require_columns(contract, batch.schema.names)))
    wanted = {name: column.source or name for name, column in contract.columns.items()}
    return pa.RecordBatch.from_arrays(
        [batch.column(source) for source in wanted.values()], names=list(wanted)
    )


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Canonical values as the dataset's type; only class labels differ: 1 becomes ``1``, True ``true``."""
    if values.type == kind:
        return values
    if pa.types.is_floating(values.type):
        whole = pc.equal(values, pc.round(values))
        return pc.if_else(
            whole, pc.cast(values, pa.int64(), safe=False).cast(pa.string()), values.cast(pa.string())
        )
    return values.cast(kind)


def _complete(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    complete = np.ones(batch.num_rows, dtype=bool)
    for values in batch.columns:
        complete &= np.asarray(pc.is_valid(values))
    return complete


def _nothing_kept(read: int, reasons: list[Reason], incomplete: int) -> DataError:
    lines = [
        f"  {reason.count:,} rows: {reason.text} (such as {_value(reason)})"
        for reason in reasons[:_TOP_REASONS]
    ]
    if incomplete:
        lines.append(f"  {incomplete:,} rows: a value is missing and data.clean.missing is drop")
    return DataError(
        f"not one of {read:,} rows satisfies the contract:\n" + "\n".join(lines),
        hint="Correct the contract if the data is right; `fairlead data infer` shows what the data looks like.",
    )


def _value(reason: Reason) -> str:
    return repr(reason.examples[0]["value"]) if reason.examples else "none"
