"""Whether one column gives another away: sums and sets that are gathered batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MOST_PAIRS = 200
"""Different (feature, target) pairs that are followed. A mapping with more of them is no longer one that anybody wrote down."""
LEAST_ROWS = 20
"""With fewer rows a perfect match is a coincidence as easily as a leak."""
PERFECT = 0.9999


@dataclass(slots=True)
class Pairs:
    """Which values of two columns occur together, as long as they are few."""

    seen: set[tuple[str | None, str | None]] = field(default_factory=set)
    too_many: bool = False

    def add(self, one: pa.Array, other: pa.Array) -> None:
        """Add the rows of a batch; missing is a value like any other."""
        if self.too_many:
            return
        left, right = _encoded(one), _encoded(other)
        if len(left.dictionary) > MOST_PAIRS or len(right.dictionary) > MOST_PAIRS:
            self.too_many = True
            return
        width = len(right.dictionary)
        both = np.unique(np.asarray(left.indices).astype(np.int64) * width + np.asarray(right.indices))
        names, others = left.dictionary.to_pylist(), right.dictionary.to_pylist()
        self.seen.update((names[pair // width], others[pair % width]) for pair in both.tolist())
        self.too_many = len(self.seen) > MOST_PAIRS

    @property
    def one_to_one(self) -> bool:
        """Whether each value of one column goes with exactly one of the other, and there are at least two."""
        ones, others = {one for one, _ in self.seen}, {other for _, other in self.seen}
        return not self.too_many and 2 <= len(self.seen) == len(ones) == len(others)


def _encoded(values: pa.Array) -> pa.DictionaryArray:
    return values.cast(pa.string()).dictionary_encode(null_encoding="encode")


@dataclass(slots=True)
class Correlation:
    """Pearson's correlation of two columns where both are known (co-moments merged as in Chan and others, 1979)."""

    rows: int = 0
    means: tuple[float, float] = (0.0, 0.0)
    moments: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sums of xx, yy and xy deviations."""

    def add(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Add the rows of a batch; NaN is unknown."""
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
        if not len(x):
            return
        mean_x, mean_y = float(x.mean()), float(y.mean())
        shifted_x, shifted_y = x - mean_x, y - mean_y
        total = self.rows + len(x)
        step_x, step_y = mean_x - self.means[0], mean_y - self.means[1]
        weight = self.rows * len(x) / total
        added = (shifted_x @ shifted_x, shifted_y @ shifted_y, shifted_x @ shifted_y)
        between = (step_x * step_x, step_y * step_y, step_x * step_y)
        xx, yy, xy = (
            old + float(new) + gap * weight
            for old, new, gap in zip(self.moments, added, between, strict=True)
        )
        self.moments = (xx, yy, xy)
        self.means = (self.means[0] + step_x * len(x) / total, self.means[1] + step_y * len(x) / total)
        self.rows = total

    @property
    def value(self) -> float:
        """From -1 to 1; 0 if a column is constant."""
        xx, yy, xy = self.moments
        return xy / math.sqrt(xx) / math.sqrt(yy) if xx > 0 and yy > 0 else 0.0


@dataclass(slots=True)
class Equality:
    """Whether two text columns say the same in every row where both are known."""

    rows: int = 0
    same: bool = True

    def add(self, one: pa.Array, other: pa.Array) -> None:
        """Add the rows of a batch; case does not matter."""
        if not self.same:
            return
        equal = pc.equal(pc.utf8_lower(one), pc.utf8_lower(other)).drop_null()
        self.rows += len(equal)
        self.same = bool(pc.all(equal).as_py()) if len(equal) else True
