"""JSON Lines: one object a line. A key that an object lacks is a missing value."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from fairlead.adapters.sources.batches import ROWS, batch_of, coalesced
from fairlead.adapters.sources.files import File, Files, reading
from fairlead.errors import DataError
from fairlead.spec.project import JsonLinesSource

SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".jsonl.zst")
_CHARACTERS = 16 << 20


class JsonLinesFiles:
    """One JSON Lines file, a folder of them, or a pattern."""

    def __init__(self, source: JsonLinesSource, root: Path | None) -> None:
        """Nothing is opened yet."""
        self.files = Files.at(source.uri, root, SUFFIXES)
        self.description = f"jsonl {source.uri}"

    def fingerprint(self) -> str:
        """SHA-256 over names and content."""
        return self.files.fingerprint()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, files in sorted order. Raises DataError for a line that is no JSON object."""
        return coalesced(self._chunks())

    def _chunks(self) -> Iterator[pa.RecordBatch]:
        """Batches that have every key seen so far, so that a key which is rare is not a column that comes and goes."""
        names: dict[str, None] = {}
        for file in self.files.sorted():
            for objects in self._objects(file):
                for one in objects:
                    names.update(dict.fromkeys(one))
                yield batch_of({name: [one.get(name) for one in objects] for name in names})

    def _objects(self, file: File) -> Iterator[list[dict[str, Any]]]:
        objects: list[dict[str, Any]] = []
        size = 0
        with self.files.open(file, decompress=True) as stream, reading(file.path):
            for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8-sig"), start=1):
                if line.strip():
                    objects.append(_object(line, file, number))
                    size += len(line)
                if len(objects) >= ROWS or size >= _CHARACTERS:
                    yield objects
                    objects, size = [], 0
        if objects:
            yield objects


def _object(line: str, file: File, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as cause:
        raise DataError(f"{file.path}, line {number}, is not JSON: {cause}") from cause
    if not isinstance(value, dict):
        raise DataError(f"{file.path}, line {number}, is {line.strip()[:60]!r}, but must be a JSON object")
    return value
