"""Exact duplicates among any number of rows: two 64-bit hashes a row, compared partition by partition.

Two rows are the same if all columns of the dataset are, after they were made uniform. Columns with ``use: ignore`` and columns
that the contract does not have do not count: what is left out cannot tell examples apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlead.data.hashing import Hashes
from fairlead.data.partitions import HashPartitions
from fairlead.data.rowset import RowSet

_RECORD = np.dtype([("one", "<u8"), ("two", "<u8"), ("row", "<i8")])


class DuplicateFinder(HashPartitions):
    """Finds rows whose 128 bits an earlier row has too. Rows must be added in rising order."""

    def __init__(self, folder: Path) -> None:
        """Spill to *folder*."""
        super().__init__(folder, _RECORD)

    def add_rows(self, hashes: tuple[Hashes, Hashes], rows: NDArray[np.int64]) -> None:
        """Add rows by their hashes."""
        records = np.empty(len(rows), dtype=_RECORD)
        records["one"], records["two"] = hashes
        records["row"] = rows
        self.add(hashes[0], records)

    def later_ones(self, rows: int) -> RowSet:
        """All but the first of each set of equal rows, as a subset of the ordinals below *rows*."""
        found = RowSet(rows)
        for records in self:
            # lexsort is stable: among equal hashes the earliest row comes first.
            ordered = records[np.lexsort((records["two"], records["one"]))]
            again = (ordered["one"][1:] == ordered["one"][:-1]) & (ordered["two"][1:] == ordered["two"][:-1])
            found.add(ordered["row"][1:][again])
        return found
