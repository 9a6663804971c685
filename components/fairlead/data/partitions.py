"""Fixed-size records spilled to disk in hash partitions, so that what belongs together can be looked at in little memory.

Records with the same hash are in the same partition. A partition of ten million records of 24 bytes takes 4 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fairlead.data.hashing import Hashes

PARTITIONS = 64


class HashPartitions:
    """Records in *folder*, one file a partition. To be used in a ``with`` block, which removes the files at its end."""

    def __init__(self, folder: Path, dtype: np.dtype[Any]) -> None:
        """Create the files. *dtype* is a structured type."""
        folder.mkdir(parents=True, exist_ok=True)
        self.dtype = dtype
        self.bytes = 0
        self._paths = [folder / f"{number:02d}.bin" for number in range(PARTITIONS)]
        with ExitStack() as opened:
            self._files = [opened.enter_context(path.open("wb")) for path in self._paths]
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def add(self, hashes: Hashes, records: NDArray[Any]) -> None:
        """Append *records* to the partitions that the top bits of their *hashes* name."""
        partition = (hashes >> np.uint64(58)).astype(np.int64)
        order = np.argsort(partition, kind="stable")
        ends = np.cumsum(np.bincount(partition, minlength=PARTITIONS))
        start = 0
        for file, end in zip(self._files, ends.tolist(), strict=True):
            if end > start:
                file.write(records[order[start:end]].tobytes())
            start = end
        self.bytes += records.nbytes

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """The partitions, records in the order in which they were added."""
        for file, path in zip(self._files, self._paths, strict=True):
            file.flush()
            yield np.fromfile(path, dtype=self.dtype)
