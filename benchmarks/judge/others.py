"""What else is in use, on the same streams: thresholds on the candidate, a z-test, and Kayenta's Mann-Whitney judge."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fairlead.release.judge.windows import Window

Looks = NDArray[np.float64]
"""(rollouts,) the look at which a method alarmed, counted from 1; infinite where it never did."""


def first_look(alarms: Sequence[NDArray[np.bool_]]) -> Looks:
    """From alarms by look to the first of each rollout."""
    table = np.stack(list(alarms))
    return np.where(table.any(axis=0), table.argmax(axis=0) + 1.0, np.inf)


def threshold(windows: Sequence[Window], success: float, limit: int) -> Looks:
    """Argo Rollouts' ``successCondition`` with a ``failureLimit``, as Flagger's threshold: the candidate alone."""
    failed = np.cumsum([window.x_c / window.n_c > 1 - success for window in windows], axis=0)
    return first_look([count > limit for count in failed])


def z_test(windows: Sequence[Window], level: float = 0.05) -> Looks:
    """A one-sided test of two proportions on all counts so far, at every look."""
    bound = NormalDist().inv_cdf(1 - level)
    n_c, x_c, n_s, x_s = (
        np.cumsum(counts, axis=0) for counts in zip(*(window.floats() for window in windows), strict=True)
    )
    pooled = (x_c + x_s) / (n_c + n_s)
    error = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / n_c + 1 / n_s), 1e-300))
    return first_look(list((x_c / n_c - x_s / n_s) / error > bound))


def mann_whitney(windows: Sequence[Window], first: int = 10, every: int = 2) -> Looks:
    """Kayenta's rule on one error rate a look: "high" if the 98 % interval of the shift is above 0.25 of its estimate.

    The interval is the normal approximation with the correction for ties. Tried at every second look from the tenth on.
    """
    c = np.stack([window.x_c / window.n_c for window in windows])
    s = np.stack([window.x_s / window.n_s for window in windows])
    alarms = [np.zeros(c.shape[1], dtype=bool) for _ in windows]
    for count in range(first, len(windows) + 1, every):
        alarms[count - 1] = np.array([_high(c[:count, one], s[:count, one]) for one in range(c.shape[1])])
    return first_look(alarms)


def _high(c: NDArray[np.float64], s: NDArray[np.float64]) -> bool:
    n, m = len(c), len(s)
    shifts = np.sort((c[:, None] - s[None, :]).ravel())
    _, ties = np.unique(np.concatenate([c, s]), return_counts=True)
    total = n + m
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    rank = max(0, round(n * m / 2 - NormalDist().inv_cdf(0.99) * np.sqrt(max(variance, 0.0))))
    return bool(shifts[rank] > 0.25 * abs(float(np.median(shifts))))
