"""How sure a figure is: bootstrap intervals of any metric, paired differences, and intervals of shares.

A bootstrap resample is a row of weights: how often each row (or each group's rows) was drawn. Metrics take
such weights (:mod:`fairlead.stats.metrics`), so no row is ever copied, and memory is bounded whatever the
number of resamples.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Weights (resamples, rows) to one figure a resample."""

RESAMPLES = 500
"""Enough for the ends of a 95 % interval to move by less than a tenth of its width from seed to seed."""
LEVEL = 0.95
_CELLS = 1 << 21
"""Weights held at a time: 16 MiB of float64."""
_DEFINED = 0.9
"""A figure that is undefined in more than a tenth of the resamples has no interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends, in the figure's unit."""

    low: float
    high: float


def resample_weights(
    rows: int, *, groups: NDArray[Any] | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[Floats]:
    """Blocks of weights, shape (some, rows), *resamples* rows in all.

    The same arguments give the same weights. With *groups*, whole groups are drawn: rows of one customer are
    not independent, and an interval that pretends they are is too narrow.

    Args:
        rows: Number of rows.
        groups: (rows,) identifier of each row's group, or None.
        resamples: How often to draw.
        seed: Of the generator (PCG64).
    """
    generator = np.random.default_rng(seed)
    member = None if groups is None else np.unique(groups, return_inverse=True)[1]
    units = rows if member is None else int(member.max()) + 1
    block = max(1, min(resamples, _CELLS // max(rows, 1)))
    for start in range(0, resamples, block):
        drawn = [_draw(generator, units) for _ in range(min(block, resamples - start))]
        weights = np.stack(drawn).astype(np.float64)
        yield weights if member is None else weights[:, member]


def _draw(generator: np.random.Generator, units: int) -> NDArray[np.intp]:
    return np.bincount(generator.integers(units, size=units), minlength=units)


def bootstrap(
    statistics: Mapping[str, Statistic],
    rows: int,
    *,
    groups: NDArray[Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Percentile intervals of several figures from the same resamples.

    Args:
        statistics: Name to the figure as a function of weights.
        rows: Number of rows the figures are about.
        groups: (rows,) identifier of each row's group, or None.
        resamples: How often to draw.
        seed: Of the generator.
        level: Share of the resamples between the ends.

    Returns:
        Name to interval. A figure that is undefined in more than a tenth of the resamples is left out; with
        fewer than two rows or groups all are.
    """
    if rows < 2 or (groups is not None and len(np.unique(groups)) < 2):
        return {}
    drawn: dict[str, list[Floats]] = {name: [] for name in statistics}
    for weights in resample_weights(rows, groups=groups, resamples=resamples, seed=seed):
        for name, statistic in statistics.items():
            drawn[name].append(np.asarray(statistic(weights), dtype=np.float64))
    found = {name: _percentiles(np.concatenate(parts), level) for name, parts in drawn.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def _percentiles(figures: Floats, level: float) -> Interval | None:
    defined = figures[np.isfinite(figures)]
    if len(defined) < _DEFINED * len(figures):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def paired_differences(
    these: Mapping[str, Statistic],
    others: Mapping[str, Statistic],
    rows: int,
    *,
    groups: NDArray[Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Intervals of *this minus other* for two models on the same rows, for the figures that both have.

    Every resample is scored for both models, so that what makes rows hard for both cancels out. This is much
    narrower than the difference of two separate intervals.
    """
    shared = {name: _difference(these[name], others[name]) for name in these if name in others}
    return bootstrap(shared, rows, groups=groups, resamples=resamples, seed=seed, level=level)


def _difference(this: Statistic, other: Statistic) -> Statistic:
    return lambda weights: this(weights) - other(weights)


def wilson(hits: float, rows: float, level: float = LEVEL) -> Interval:
    """Interval of a share (Wilson 1927), which is right near 0 and 1 too and never leaves them.

    >>> round(wilson(0, 10).high, 4), wilson(0, 0)
    (0.2775, Interval(low=0.0, high=1.0))
    """
    if rows == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, z2 = hits / rows, z * z
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = z * (share * (1 - share) / rows + z2 / (4 * rows * rows)) ** 0.5 / (1 + z2 / rows)
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == rows else centre + half
    return Interval(max(0.0, low), min(1.0, high))
