"""CSV files. Every column is read as text: what the text means is the contract's business."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from fairlead.adapters.sources.batches import coalesced
from fairlead.adapters.sources.files import File, Files, known_encoding, reading
from fairlead.errors import DataError
from fairlead.spec.project import CsvSource

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".csv.zst", ".csv.bz2")
_BLOCK = 4 << 20
_HEADER = 1 << 16


class CsvFiles:
    """One CSV file, a folder of them, or a pattern; each with a header line."""

    def __init__(self, source: CsvSource, root: Path | None) -> None:
        """Nothing is opened yet."""
        self.files = Files.at(source.uri, root, SUFFIXES)
        self.delimiter = source.delimiter
        self.encoding = known_encoding(source.encoding)
        self.description = f"csv {source.uri}"

    def fingerprint(self) -> str:
        """SHA-256 over names and content."""
        return self.files.fingerprint()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, files in sorted order, small files joined. Raises DataError."""
        return coalesced(batch for file in self.files.sorted() for batch in self._rows(file))

    def _rows(self, file: File) -> Iterator[pa.RecordBatch]:
        header = self._header(file)
        with self.files.open(file, decompress=True) as stream, reading(file.path):
            reader = pa.csv.open_csv(
                stream,
                pa.csv.ReadOptions(block_size=_BLOCK, encoding=self.encoding, use_threads=False),
                pa.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(header, pa.string()),
                    strings_can_be_null=False,
                    check_utf8=True,
                ),
            )
            yield from reader

    def _header(self, file: File) -> list[str]:
        with self.files.open(file, decompress=True) as stream, reading(file.path):
            start = bytes(stream.read(_HEADER))
        if not start.strip():
            raise DataError(f"{file.path} is empty", hint="A CSV file starts with a line of column names.")
        # A character may be cut in two at the end of the piece; the header lies well before.
        text = start.decode(self.encoding, errors="replace").lstrip("\ufeff")
        header = next(csv.reader(io.StringIO(text), delimiter=self.delimiter))
        twice = sorted(name for name, count in Counter(header).items() if count > 1)
        if twice:
            raise DataError(f"{file.path} has the column {twice[0]!r} twice")
        return header
