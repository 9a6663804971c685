"""A quantile sketch that can be merged: counts in logarithmic buckets, on both sides of zero.

Every bucket is a constant factor wide, so a quantile read from it is within 1 % of the true value, whatever the
distribution, and merging two sketches is adding counts. After DDSketch (Masson, Rim, Lee: *DDSketch: A Fast and
Fully-Mergeable Quantile Sketch with Relative-Error Guarantees*, VLDB 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACCURACY = 0.01
"""Relative error of a quantile."""
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
SMALLEST = 1e-12
"""Magnitudes below this count as zero: the bound on the number of buckets."""

Buckets = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Sketch:
    """Counts of values by bucket; bucket ``i`` holds magnitudes in ``(gamma**(i-1), gamma**i]``.

    The buckets are sparse: a column that spans twelve decades needs about 1,400 of them.
    """

    positive: Buckets = field(default_factory=dict)
    negative: Buckets = field(default_factory=dict)
    zeros: int = 0

    @property
    def count(self) -> int:
        """How many values were seen."""
        return self.zeros + sum(self.positive.values()) + sum(self.negative.values())

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Sketch:
        """The sketch of finite *values*; NaN and infinities are passed over."""
        finite = values[np.isfinite(values)]
        return cls(
            positive=_bucket_counts(finite[finite >= SMALLEST]),
            negative=_bucket_counts(-finite[finite <= -SMALLEST]),
            zeros=int(np.count_nonzero(np.abs(finite) < SMALLEST)),
        )

    def merge(self, other: Sketch) -> Sketch:
        """The sketch of both sets of values; exact, and the same in any order."""
        return Sketch(
            _added(self.positive, other.positive),
            _added(self.negative, other.negative),
            self.zeros + other.zeros,
        )

    def quantile(self, q: float) -> float:
        """The value at rank ``floor(q * (count - 1))`` of the sorted values, within 1 %.

        Raises:
            ValueError: The sketch is empty, or *q* is outside 0 to 1.

        >>> 495 <= Sketch.of(np.arange(1.0, 1001.0)).quantile(0.5) <= 505
        True
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q is {q}, but must be from 0 to 1")
        if not self.count:
            raise ValueError("an empty sketch has no quantiles")
        values, counts = self._steps()
        rank = math.floor(q * (self.count - 1))
        return float(values[np.searchsorted(np.cumsum(counts), rank, side="right")])

    def histogram(self, edges: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many values fall between consecutive *edges* (as ``numpy.histogram``), to the sketch's accuracy."""
        if not self.count:
            return np.zeros(len(edges) - 1, dtype=np.int64)
        values, counts = self._steps()
        # Representatives may lie 1 % outside the true range: the outermost bars take them.
        inside = np.clip(values, edges[0], edges[-1])
        return np.histogram(inside, bins=edges, weights=counts)[0].astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """A form for JSON: pairs of bucket and count, in bucket order."""
        return {"positive": _pairs(self.positive), "negative": _pairs(self.negative), "zeros": self.zeros}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Sketch:
        """The inverse of :meth:`to_dict`."""
        return cls(dict(raw["positive"]), dict(raw["negative"]), raw["zeros"])

    def _steps(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Representative values in rising order, and their counts."""
        below = sorted(self.negative.items(), reverse=True)
        above = sorted(self.positive.items())
        values = [
            *(-_representative(bucket) for bucket, _ in below),
            0.0,
            *(_representative(b) for b, _ in above),
        ]
        counts = [*(count for _, count in below), self.zeros, *(count for _, count in above)]
        return np.array(values), np.array(counts, dtype=np.int64)


def _bucket_counts(magnitudes: NDArray[np.float64]) -> dict[int, int]:
    if not magnitudes.size:
        return {}
    buckets = np.ceil(np.log(magnitudes) / _LOG_GAMMA).astype(np.int64)
    lowest = int(buckets.min())
    counts = np.bincount(buckets - lowest)
    used = np.flatnonzero(counts)
    return dict(zip((used + lowest).tolist(), counts[used].tolist(), strict=True))


def _representative(bucket: int) -> float:
    """The value whose relative distance to both ends of the bucket is ``ACCURACY``."""
    # 2 gamma**i / (gamma + 1), from the bucket's lower end so that the exponential cannot overflow.
    return (1 + ACCURACY) * math.exp((bucket - 1) * _LOG_GAMMA)


def _added(one: Buckets, other: Buckets) -> dict[int, int]:
    total = dict(one)
    for bucket, count in other.items():
        total[bucket] = total.get(bucket, 0) + count
    return total


def _pairs(buckets: Buckets) -> list[list[int]]:
    return [[bucket, buckets[bucket]] for bucket in sorted(buckets)]
