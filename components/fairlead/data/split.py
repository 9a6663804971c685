"""Which split a row belongs to, decided row by row from a few cut points.

A first look at all rows gives the cut points, a second applies them, and nothing about single rows is kept in between. Random
assignment gives each row (or group) a place on a line by a seeded hash and cuts the line where the shares are right; so a split
does not change with the number of workers, and new rows at the end of the data do not reshuffle the old ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.data.hashing import Hashes

SPLITS = ("train", "valid", "test")
"""Names; the position is the code that assignment gives."""
TRAIN, VALID, TEST = range(3)

_BITS = 12
_PLACES = 1 << _BITS
_SAMPLE = 200_000

Codes = NDArray[np.int8]


# ----------------------------------------------------------------------------- random, stratified, by group


@dataclass(frozen=True, slots=True)
class PlaceCuts:
    """Cut points on the line of places, by stratum: below the first is test, below the second is validation."""

    cuts: Mapping[str, tuple[int, int]]

    def assign(self, strata: Sequence[str], codes: NDArray[np.integer], hashes: Hashes) -> Codes:
        """The split of each row.

        Args:
            strata: Names of the strata that *codes* points at.
            codes: (rows,) stratum of each row.
            hashes: (rows,) seeded hashes of what must stay together: the row, or its group.
        """
        table = np.array([self.cuts[name] for name in strata], dtype=np.int64).reshape(-1, 2)
        cut, place = table[codes], _places(hashes)
        return np.where(place < cut[:, 0], TEST, np.where(place < cut[:, 1], VALID, TRAIN)).astype(np.int8)


class PlaceSurvey:
    """Counts rows by place and stratum, to find the cuts that come nearest to the wanted shares.

    There are 4,096 places, so that a stratum's share is off by at most one part in 8,192 or one row, whichever is more.
    """

    def __init__(self) -> None:
        self._counts: dict[str, NDArray[np.int64]] = {}

    def add(self, strata: Sequence[str], codes: NDArray[np.integer], hashes: Hashes) -> None:
        """Count rows; arguments as of :meth:`PlaceCuts.assign`."""
        places = _places(hashes)
        for code, name in enumerate(strata):
            counts = np.bincount(places[codes == code], minlength=_PLACES)
            self._counts[name] = self._counts.get(name, np.zeros(_PLACES, dtype=np.int64)) + counts

    def cuts(self, *, valid: float, test: float) -> PlaceCuts:
        """The cut points for these shares of validation and test rows."""
        found = {}
        for name, counts in self._counts.items():
            below = np.concatenate([[0], np.cumsum(counts)])
            first = int(np.argmin(np.abs(below - below[-1] * test)))
            second = int(np.argmin(np.abs(below - below[-1] * (test + valid))))
            found[name] = (first, max(first, second))
        return PlaceCuts(found)

    def __len__(self) -> int:
        return len(self._counts)

    def totals(self) -> dict[str, int]:
        """Rows by stratum."""
        return {name: int(self._counts[name].sum()) for name in sorted(self._counts)}


def _places(hashes: Hashes) -> NDArray[np.int64]:
    return (hashes >> np.uint64(64 - _BITS)).astype(np.int64)


# --------------------------------------------------------------------------------------------------- by time


@dataclass(frozen=True, slots=True)
class TimeCuts:
    """Rows before *valid* are training, before *test* validation, the rest test. Equal times are never parted."""

    valid: int
    test: int

    def assign(self, times: NDArray[np.int64]) -> Codes:
        """The split of each row by its time in microseconds since 1970-01-01.

        >>> TimeCuts(valid=10, test=20).assign(np.array([9, 10, 19, 20])).tolist()
        [0, 1, 1, 2]
        """
        return np.where(times < self.valid, TRAIN, np.where(times < self.test, VALID, TEST)).astype(np.int8)


class TimeSurvey:
    """A sample of all times: the 200,000 with the smallest hashes, which is all of them for smaller data.

    Shares found from it are within 0.1 percentage points (one standard deviation) for data of any size.
    """

    def __init__(self, size: int = _SAMPLE) -> None:
        self._size = size
        self._hashes = np.empty(0, dtype=np.uint64)
        self._times = np.empty(0, dtype=np.int64)

    def add(self, times: NDArray[np.int64], hashes: Hashes) -> None:
        """Add rows by their times (microseconds) and the seeded hashes of their ordinals."""
        self._hashes = np.concatenate([self._hashes, hashes])
        self._times = np.concatenate([self._times, times])
        if len(self._hashes) > 2 * self._size:
            self._shrink()

    def _shrink(self) -> None:
        if len(self._hashes) > self._size:
            kept = np.argpartition(self._hashes, self._size)[: self._size]
            self._hashes, self._times = self._hashes[kept], self._times[kept]

    def cuts(self, *, valid: float, test: float) -> TimeCuts:
        """The cut points nearest to these shares that part no equal times.

        With three times or more no part is empty; with two there is no validation.
        """
        self._shrink()
        times = np.sort(self._times)
        distinct = np.unique(times)
        at_test = cut_near(times, len(times) * (1 - test))
        if len(distinct) < 3:
            return TimeCuts(at_test, at_test)
        at_test = max(at_test, int(distinct[2]))
        return TimeCuts(cut_near(times[times < at_test], len(times) * (1 - test - valid)), at_test)


def cut_near(times: NDArray[np.int64], rank: float) -> int:
    """The time for which the number of earlier ones comes nearest to *rank*; some are earlier, if there are two times.

    >>> cut_near(np.array([1, 2, 2, 2, 3]), 2), cut_near(np.array([1, 2, 2, 2, 3]), 3)
    (2, 3)
    """
    value = times[min(int(rank), len(times) - 1)]
    left, right = np.searchsorted(times, value, "left"), np.searchsorted(times, value, "right")
    if right == len(times) or (left > 0 and rank - left <= right - rank):
        return int(value)
    return int(times[right])
