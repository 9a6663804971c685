"""When the requests of a round are due."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["poisson", "uniform"]


def arrivals(rate: float, seconds: float, *, seed: int, shape: Shape = "poisson") -> NDArray[np.float64]:
    """Times at which requests are due, in seconds from the begin of the round, ascending.

    There are ``rate · seconds`` of them, rounded, and one at least. Given their number, the times of a Poisson process
    are independent and uniform over the round, so they are drawn so and sorted: bursts are those of callers who do not
    know of each other, and the rate is exactly what was asked for.

    Args:
        rate: Requests a second, above 0.
        seconds: Length of the round, above 0.
        seed: The same seed gives the same times.
        shape: ``poisson``, or ``uniform`` for equal gaps, which no real crowd keeps.

    Source: Kingman, Poisson Processes (1993), section 2.4.

    >>> arrivals(4, 1, seed=0, shape="uniform").tolist()
    [0.0, 0.25, 0.5, 0.75]
    >>> len(arrivals(200, 2.5, seed=0))
    500
    """
    if not (rate > 0 and seconds > 0):
        raise ValueError(f"rate and seconds must be above 0, not {rate} and {seconds}")
    count = max(1, round(rate * seconds))
    if shape == "uniform":
        return np.arange(count, dtype=np.float64) * np.float64(seconds / count)
    return np.sort(np.random.default_rng(seed).uniform(0.0, seconds, count))
