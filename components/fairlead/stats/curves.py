"""The points of the curves people know: ROC, precision-recall, lift, calibration. For two classes.

Curves of many rows are thinned to at most :data:`POINTS` points, evenly along the curve's length, ends kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.stats.intervals import wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

POINTS = 200
"""More cannot be told apart in a picture half a page wide."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in order."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    at: tuple[float, ...] = ()
    """The threshold of each point, where the curve is one of thresholds."""


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows with similar probabilities: what was said and what came true."""

    rows: int
    said: float
    """Mean probability."""
    came_true: float
    """Share of positives."""
    low: float
    """Wilson 95 % interval of that share."""
    high: float


def roc(positive: Bools, score: Floats) -> Curve:
    """False positive rate (x) against recall (y), from (0, 0) to (1, 1). Both classes must be present.

    At (0, 0), where nothing is called, the threshold is one more than the highest score.

    >>> roc(np.array([True, False]), np.array([0.9, 0.1]))
    Curve(x=(0.0, 0.0, 1.0), y=(0.0, 1.0, 1.0), at=(1.9, 0.9, 0.1))
    """
    hits, called, at = _counts(positive, score)
    return thin((called - hits) / (called - hits)[-1], hits / hits[-1], at)


def precision_recall(positive: Bools, score: Floats) -> Curve:
    """Recall (x) against precision (y), strictest threshold first. A positive must be present."""
    hits, called, at = _counts(positive, score)
    return thin(hits[1:] / hits[-1], hits[1:] / called[1:], at[1:])


def lift(positive: Bools, score: Floats) -> Curve:
    """Share of rows called, best scores first (x), against positives found per positive of chance (y)."""
    hits, called, _ = _counts(positive, score)
    share = called[1:] / called[-1]
    return thin(share, hits[1:] / hits[-1] / share)


def _counts(positive: Bools, score: Floats) -> tuple[Floats, Floats, Floats]:
    """Positives and rows at or above each distinct score, and that score, highest first, after a leading zero."""
    order = np.argsort(-score, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
    hits = np.cumsum(positive[order])[ends]
    at = score[order][ends]
    return np.r_[0.0, hits], np.r_[0.0, ends + 1.0], np.r_[at[0] + 1.0, at]


def thin(x: Floats, y: Floats, at: Floats | None = None) -> Curve:
    """At most :data:`POINTS` of a curve's points, evenly along its length, both ends kept."""
    thresholds = np.empty(0) if at is None else at
    if len(x) > POINTS:
        height = float(np.ptp(y)) or 1.0
        length = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)) / height)]
        kept = np.unique(np.searchsorted(length, np.linspace(0.0, length[-1], POINTS)).clip(0, len(x) - 1))
        x, y, thresholds = x[kept], y[kept], thresholds[kept] if at is not None else thresholds
    return Curve(tuple(x.tolist()), tuple(y.tolist()), tuple(thresholds.tolist()))


def calibration(positive: Bools, probability: Floats, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """What was said against what came true, in bins that expect equally many positives.

    Bins of equal width, or of equally many rows, would crowd nearly all points of a rare class near 0. Equal
    probabilities stay in one bin, so there may be fewer bins than asked for.
    """
    ordered = np.sort(probability)
    expected = np.cumsum(ordered)
    ends = np.searchsorted(expected, expected[-1] * np.arange(1, bins) / bins)
    place = np.searchsorted(np.unique(ordered[ends]), probability, side="left")
    return tuple(_bin(positive[place == code], probability[place == code]) for code in np.unique(place))


def _bin(positive: Bools, probability: Floats) -> CalibrationBin:
    rows, hits = len(positive), int(positive.sum())
    interval = wilson(hits, rows)
    return CalibrationBin(rows, float(probability.mean()), hits / rows, interval.low, interval.high)
