"""Parquet files, read a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fairlead.adapters.sources.batches import ROWS, coalesced
from fairlead.adapters.sources.files import File, Files, reading
from fairlead.spec.project import ParquetSource

SUFFIXES = (".parquet", ".pq")


class ParquetFiles:
    """One Parquet file, a folder of them, or a pattern."""

    def __init__(self, source: ParquetSource, root: Path | None) -> None:
        """Nothing is opened yet."""
        self.files = Files.at(source.uri, root, SUFFIXES)
        self.description = f"parquet {source.uri}"

    def fingerprint(self) -> str:
        """SHA-256 over names and content."""
        return self.files.fingerprint()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, files in sorted order, small files joined. Raises DataError."""
        return coalesced(batch for file in self.files.sorted() for batch in self._rows(file))

    def _rows(self, file: File) -> Iterator[pa.RecordBatch]:
        with reading(file.path), self.files.filesystem.open_input_file(file.path) as stream:
            yield from pq.ParquetFile(stream, pre_buffer=False).iter_batches(ROWS, use_threads=False)
