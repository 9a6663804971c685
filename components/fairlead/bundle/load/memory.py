"""Whether memory grows while a server works: a robust slope with an interval, and what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WARM_UP = 1 / 3
"""Share of the samples that is left out: allocators and caches fill at first, in every server."""
FEWEST = 30
"""Samples; with fewer the interval means little."""
MOST = 2_000
"""Samples that are looked at, evenly spaced: the slope is a median over all pairs."""
HORIZON_HOURS = 24 * 7
"""A pod is to live for a week at least."""
ALLOWED_GROWTH = 0.2
"""Of the memory it has, in that time; the memory limit leaves a quarter."""


class Growth(StrEnum):
    """What the slope says."""

    LEAK = "leak"
    NONE = "no leak"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth in bytes an hour, with a 95 % interval, and what it says."""

    growth: Growth
    bytes_an_hour: float
    low: float
    high: float
    allowed: float
    """Bytes an hour that a pod may grow by."""
    samples: int


def slope_of(seconds: Floats, resident: Floats) -> Slope:
    """How memory grew after the warm-up.

    A leak: the whole interval is above what is allowed. No leak: it is below. Unknown: it is neither, or there are too
    few samples; a longer soak tells. Samples follow each other and are not independent, so the interval is on the narrow side.

    Args:
        seconds: (samples,) ascending.
        resident: (samples,) bytes.

    Source: Theil (1950); Sen (1968) for the interval. The median of all pairwise slopes is not moved by a single jump.

    >>> at = np.arange(300.0)
    >>> slope_of(at, np.full(300, 200e6)).growth.value
    'no leak'
    >>> slope_of(at, 200e6 + 10_000 * at).growth.value  # 36 MB an hour
    'leak'
    >>> slope_of(at[:20], np.full(20, 200e6)).growth.value
    'unknown'
    """
    start = int(len(seconds) * WARM_UP)
    step = max(1, (len(seconds) - start) // MOST)
    at, values = seconds[start::step], resident[start::step]
    allowed = float(values.mean()) * ALLOWED_GROWTH / HORIZON_HOURS if len(values) else 0.0
    if len(values) < FEWEST:
        return Slope(Growth.UNKNOWN, 0.0, -np.inf, np.inf, allowed, len(values))
    slope, low, high = (3600 * value for value in theil_sen(at, values))
    growth = Growth.LEAK if low > allowed else Growth.NONE if high <= allowed else Growth.UNKNOWN
    return Slope(growth, slope, low, high, allowed, len(values))


def theil_sen(at: Floats, values: Floats, *, level: float = 0.95) -> tuple[float, float, float]:
    """Median of the slopes between all pairs of points, and the ends of its interval.

    Args:
        at: (n,) ascending and different, n ≥ 2.
        values: (n,).
        level: Probability of the interval, by the normal approximation to Kendall's statistic. Ties are not corrected for,
            which makes it wider.

    Source: Sen, Estimates of the Regression Coefficient Based on Kendall's Tau (1968).

    >>> theil_sen(np.arange(50.0), 3 * np.arange(50.0) + 7)
    (3.0, 3.0, 3.0)
    """
    first, second = np.triu_indices(len(at), 1)
    slopes = np.sort((values[second] - values[first]) / (at[second] - at[first]))
    count, pairs = len(at), len(slopes)
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = math.floor((pairs - reach) / 2), math.ceil((pairs + reach) / 2)
    return (
        float(np.median(slopes)),
        float(slopes[max(0, low)]),
        float(slopes[min(pairs - 1, high)]),
    )
