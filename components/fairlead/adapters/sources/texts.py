"""A folder of texts, one file an example. The name of the folder that holds a file is its label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pyarrow as pa

from fairlead.adapters.sources.batches import batch_of, coalesced
from fairlead.adapters.sources.email import COLUMNS, parse_email
from fairlead.adapters.sources.files import File, Files, known_encoding
from fairlead.spec.project import TextsSource

_CHUNK = 500


class TextFolder:
    """Columns ``path``, ``label``, ``text``; for e-mail also ``subject``, ``sender``, ``date``."""

    def __init__(self, source: TextsSource, root: Path | None) -> None:
        """Nothing is opened yet."""
        self.files = Files.at(source.uri, root)
        self.labels = source.labels
        self.email = source.format == "email"
        self.encoding = known_encoding(source.encoding)
        self.description = f"texts {source.uri}"

    def fingerprint(self) -> str:
        """SHA-256 over names and content."""
        return self.files.fingerprint()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """One row a file, in the order of their names. Bytes that the encoding does not know are replaced."""
        return coalesced(self._chunks())

    def _chunks(self) -> Iterator[pa.RecordBatch]:
        files = self.files.sorted()
        names = ("path", "label", *(COLUMNS if self.email else ("text",)))
        for start in range(0, len(files), _CHUNK):
            rows = [self._row(file) for file in files[start : start + _CHUNK]]
            yield batch_of({name: [row[name] for row in rows] for name in names})

    def _row(self, file: File) -> dict[str, str | None]:
        raw = self.files.read(file)
        content = (
            parse_email(raw, self.encoding) if self.email else {"text": raw.decode(self.encoding, "replace")}
        )
        return {"path": file.name, "label": label_of(file, self.files.base, self.labels), **content}


def label_of(file: File, base: str, labels: dict[str, str]) -> str:
    """The name of the folder that holds *file*, as *labels* call it.

    >>> label_of(File("/mails/spam-1/0001.txt", "spam-1/0001.txt"), "/mails", {"spam-1": "spam"})
    'spam'
    """
    folder = PurePosixPath(file.name).parent.name or PurePosixPath(base).name
    return labels.get(folder, folder)
