"""How long requests took, counted from when they were due, and how sure a quantile of it is.

A request that is sent late, because the answers before it were late, has waited all the same. Counting from the time at
which it was due counts this wait too; counting from the time of sending would omit it just where the server is slow
("coordinated omission"; Tene, How NOT to Measure Latency, 2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
"""Of the intervals."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """An order statistic and its interval, in the unit of the values. ``high`` is infinite where there are too few values."""

    value: float
    low: float
    high: float


def latencies(due: Floats, done: Floats) -> Floats:
    """Seconds from due to answered, ascending; infinite where ``done`` is NaN, for there was no valid answer.

    >>> latencies(np.array([0.0, 1.0, 2.0]), np.array([0.5, np.nan, 2.25])).tolist()
    [0.25, 0.5, inf]
    """
    waited = done - due
    return np.sort(np.where(np.isnan(waited), np.inf, waited))


def quantile(ascending: Floats, share: float, *, level: float = LEVEL) -> Quantile:
    """The smallest value that at least *share* of all values do not exceed, with a distribution-free interval.

    The number of values below the true quantile is binomial, whatever the distribution, so that two order statistics
    enclose it with at least the probability *level*. Values of one round wait in the same queue and are not independent;
    the interval is then too narrow, which is why a rate is not judged by one round alone (:mod:`.search`).

    Args:
        ascending: All values, sorted, at least one.
        share: 0.99 for the p99.
        level: Probability of the interval; each side is missed with half of the rest.

    Source: David and Nagaraja, Order Statistics (2003), section 7.1.

    >>> quantile(np.arange(1.0, 1001.0), 0.99)
    Quantile(value=990.0, low=983.0, high=997.0)
    >>> quantile(np.arange(1.0, 101.0), 0.99).high  # of 100 values none is surely above the p99
    inf
    """
    count = len(ascending)
    low, high = ranks(count, share, level=level)
    return Quantile(
        value=float(ascending[math.ceil(share * count) - 1]),
        low=float(ascending[low - 1]) if low > 0 else 0.0,
        high=float(ascending[high - 1]) if high <= count else math.inf,
    )


def ranks(count: int, share: float, *, level: float = LEVEL) -> tuple[int, int]:
    """Ranks, from 1, of the order statistics that enclose the quantile. 0 and ``count + 1`` mean that there is none.

    >>> ranks(1000, 0.99)
    (983, 997)
    >>> ranks(100, 0.5)
    (40, 61)
    """
    missed = (1 - level) / 2
    cumulative = _binomial(count, share)
    below = int(
        np.searchsorted(cumulative, missed)
    )  # fewer are under the quantile with a probability below `missed`
    return below, int(np.searchsorted(cumulative, 1 - missed)) + 1


def _binomial(count: int, share: float) -> Floats:
    """P(Binomial(count, share) ≤ k) for k from 0 to *count*; each probability from the one before, in logarithms.

    >>> _binomial(2, 0.5).tolist()
    [0.25, 0.75, 1.0]
    """
    before = np.arange(count)
    steps = np.log((count - before) / (before + 1)) + math.log(share / (1 - share))
    logarithms = count * math.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.cumsum(np.exp(logarithms), dtype=np.float64)
