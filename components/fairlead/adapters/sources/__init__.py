"""Where raw rows come from: one module a kind, each fulfilling :class:`fairlead.records.Source`.

In: the ``data.source`` part of a project file. Out: rows as Arrow batches of bounded size, in a stable order, with raw types (CSV
gives text only: types are the contract's business), and a fingerprint that changes whenever the rows may have.

Does not belong here: checking or changing a value. A source reads all there is or says why it cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from fairlead.records import Source
from fairlead.spec import project as spec


def open_source(source: spec.Source, root: Path | None) -> Source:
    """The source that *source* describes. Nothing is read yet.

    Args:
        source: ``data.source`` of the project file.
        root: What relative paths are relative to; None where they are not allowed (on a cluster).

    Raises:
        DataError: A relative path without a root.
        ProjectError: An unknown encoding, or a database URL that names an environment variable which is not set.
    """
    match source:
        case spec.CsvSource():
            from fairlead.adapters.sources.csv import CsvFiles

            return CsvFiles(source, root)
        case spec.ParquetSource():
            from fairlead.adapters.sources.parquet import ParquetFiles

            return ParquetFiles(source, root)
        case spec.JsonLinesSource():
            from fairlead.adapters.sources.jsonl import JsonLinesFiles

            return JsonLinesFiles(source, root)
        case spec.SqlSource():
            from fairlead.adapters.sources.sql import SqlQuery

            return SqlQuery(source, root)
        case spec.TextsSource():
            from fairlead.adapters.sources.texts import TextFolder

            return TextFolder(source, root)
        case spec.ImagesSource():
            from fairlead.adapters.sources.images import ImageFolder

            return ImageFolder(source, root)
        case _:
            assert_never(source)
