"""A set of row ordinals as a bitmap: ten million rows take 1.25 MB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class RowSet:
    """Ordinals from 0 to *rows* - 1.

    >>> marked = RowSet(10)
    >>> marked.add(np.array([2, 7]))
    >>> marked.contains(np.array([1, 2, 7])).tolist(), len(marked)
    ([False, True, True], 2)
    """

    def __init__(self, rows: int) -> None:
        """The empty set."""
        self._bits = np.zeros(rows // 8 + 1, dtype=np.uint8)

    def add(self, rows: NDArray[np.int64]) -> None:
        """Put *rows* into the set."""
        np.bitwise_or.at(self._bits, rows >> 3, (1 << (rows & 7)).astype(np.uint8))

    def contains(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of *rows* are in the set."""
        found: NDArray[np.bool_] = (self._bits[rows >> 3] >> (rows & 7).astype(np.uint8)) & 1 == 1
        return found

    def __len__(self) -> int:
        return int(np.bitwise_count(self._bits).sum())
