"""A folder of images, one file an example. The name of the folder that holds a file is its label."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fairlead.adapters.sources.batches import coalesced
from fairlead.adapters.sources.files import File, Files
from fairlead.adapters.sources.texts import label_of
from fairlead.errors import DataError
from fairlead.spec.project import ImagesSource

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
_CHUNK = 500


class ImageFolder:
    """Columns ``path``, ``label``, ``width``, ``height`` and ``px_ROW_COLUMN`` (grey, 0 to 255)."""

    def __init__(self, source: ImagesSource, root: Path | None) -> None:
        """Nothing is opened yet."""
        self.files = Files.at(source.uri, root, SUFFIXES)
        self.size = source.size
        self.description = f"images {source.uri}"

    def fingerprint(self) -> str:
        """SHA-256 over names and content."""
        return self.files.fingerprint()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """One row a file, in the order of their names. Raises DataError for a file that is no image."""
        return coalesced(self._chunks())

    def _chunks(self) -> Iterator[pa.RecordBatch]:
        files = self.files.sorted()
        for start in range(0, len(files), _CHUNK):
            yield self._batch(files[start : start + _CHUNK])

    def _batch(self, files: Sequence[File]) -> pa.RecordBatch:
        read = [self._read(file) for file in files]
        pixels = np.stack([grey for _, grey in read])
        columns = {
            "path": pa.array([file.name for file in files]),
            "label": pa.array([label_of(file, self.files.base, {}) for file in files]),
            "width": pa.array([size[0] for size, _ in read]),
            "height": pa.array([size[1] for size, _ in read]),
        }
        for row, column in np.ndindex(*self.size):
            columns[f"px_{row}_{column}"] = pa.array(pixels[:, row, column])
        return pa.RecordBatch.from_pydict(columns)

    def _read(self, file: File) -> tuple[tuple[int, int], NDArray[np.uint8]]:
        """Width and height of the image as it is, and its grey values at the wanted size."""
        rows, columns = self.size
        try:
            with Image.open(io.BytesIO(self.files.read(file))) as image:
                grey = image.convert("L").resize((columns, rows), Image.Resampling.BILINEAR)
                return image.size, np.asarray(grey, dtype=np.uint8)
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as cause:
            raise DataError(f"{file.path} cannot be read as an image: {cause}") from cause
