"""The rows that broke the contract, as they were read, each with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairlead.data.report import EXAMPLES, Reason, Tally
from fairlead.data.uniform import shown
from fairlead.data.validate import Failure


class Quarantine:
    """Writes ``quarantine.parquet`` and counts the reasons. All columns are text: a broken value has no better type."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Create the file with *columns*, ``_row`` and ``_reason``."""
        fields = [pa.field(name, pa.string()) for name in columns]
        self.schema = pa.schema([*fields, pa.field("_row", pa.int64()), pa.field("_reason", pa.string())])
        self.rows = 0
        self._columns = list(columns)
        self._tally = Tally()
        self._writer = pq.ParquetWriter(path, self.schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(
        self, batch: pa.RecordBatch, rows: NDArray[np.int64], failures: Sequence[Failure]
    ) -> NDArray[np.bool_]:
        """Write the rows of *batch* that any of *failures* names.

        Args:
            batch: Values as they were read; a column that it lacks is left empty.
            rows: Their ordinals in the source.
            failures: What was found.

        Returns:
            Which rows of the batch are quarantined now.
        """
        reasons = np.full(batch.num_rows, "", dtype=object)
        for failure in failures:
            before = reasons[failure.rows]
            reasons[failure.rows] = np.where(before == "", failure.text, before + "; " + failure.text)
            self._count(failure, batch, rows)
        bad: NDArray[np.bool_] = reasons != ""
        if bad.any():
            self._write(batch, rows, reasons, bad)
        return bad

    def reasons(self) -> list[Reason]:
        """Why rows are here, the most frequent reason first."""
        found = [
            Reason(column, rule, because, count, tuple(examples))
            for (column, rule, because), count, examples in self._tally.items()
        ]
        return sorted(found, key=lambda reason: -reason.count)

    def _count(self, failure: Failure, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> None:
        key = (failure.column, failure.rule, failure.because)
        examples = []
        if self._tally.wants_examples(key):
            examples = [
                {"row": int(rows[position]), "value": _values(failure, batch, int(position))}
                for position in failure.rows[:EXAMPLES]
            ]
        self._tally.add(key, len(failure.rows), examples)

    def _write(
        self,
        batch: pa.RecordBatch,
        rows: NDArray[np.int64],
        reasons: NDArray[np.object_],
        bad: NDArray[np.bool_],
    ) -> None:
        chosen = batch.filter(pa.array(bad))
        columns = {
            name: as_written(chosen.column(name))
            if name in chosen.schema.names
            else pa.nulls(len(chosen), pa.string())
            for name in self._columns
        }
        columns["_row"] = pa.array(rows[bad])
        columns["_reason"] = pa.array(reasons[bad], pa.string())
        self._writer.write_table(pa.table(columns, schema=self.schema))
        self.rows += chosen.num_rows


def _values(failure: Failure, batch: pa.RecordBatch, row: int) -> str:
    """The values that explain a failure; for a row rule with the names of their columns."""
    values = {name: shown(batch.column(name)[row].as_py()) for name in failure.shows}
    return ", ".join(value if failure.column else f"{name} = {value}" for name, value in values.items())


def as_written(values: pa.Array) -> pa.Array:
    """Values of any type as text."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_binary(values.type) or pa.types.is_nested(values.type):
        return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
    return pc.cast(values, pa.string())
