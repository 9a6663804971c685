"""How often a caller may ask: a token bucket each, kept as one number.

A bucket of *burst* tokens is refilled by *rate* tokens a second, and a request takes one. Instead of the
tokens, the time is kept at which the bucket will be full again (the "theoretical arrival time" of the generic
cell rate algorithm, ITU-T I.371): one float, no timer, and a bucket that is full needs no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Self

from fairlead.serve.environment import Environment

MOST_CALLERS = 10_000
"""Buckets kept. With more callers, whoever was quiet longest gets a full bucket early."""


@dataclass(frozen=True, slots=True)
class RateSettings:
    """What one caller may ask; where callers are not told apart, what all of them may together."""

    per_second: float = 0.0
    """0: no limit."""
    burst: int = 1
    """Requests that may come at once."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self:
        """``FAIRLEAD_RATE_PER_SECOND``, and ``FAIRLEAD_RATE_BURST``, which is one second's worth if not set."""
        per_second = env.number("FAIRLEAD_RATE_PER_SECOND", 0.0, low=0.0)
        burst = env.whole("FAIRLEAD_RATE_BURST", max(1, round(per_second)), low=1)
        return cls(per_second, burst)


class Buckets:
    """A bucket for each caller.

    >>> buckets = Buckets(per_second=2.0, burst=2)
    >>> [buckets.take("shop", now) for now in (0.0, 0.0, 0.0, 0.5, 0.5)]
    [0.0, 0.0, 0.5, 0.0, 0.5]
    """

    def __init__(self, per_second: float, burst: float, most: int = MOST_CALLERS) -> None:
        self._interval = 1.0 / per_second
        self._room = (burst - 1) * self._interval
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, now: float) -> float:
        """Take a token at *now* seconds.

        Returns:
            0.0 if there was one; else the seconds until there will be, and nothing is taken.
        """
        full_at = self._full_at
        before = full_at.get(caller, now)
        wait = before - now - self._room
        if wait > _ROUNDING:
            return wait
        full_at[caller] = (before if before > now else now) + self._interval
        full_at.move_to_end(caller)
        if len(full_at) > self._most:
            full_at.popitem(last=False)
        return 0.0


_ROUNDING = 1e-9
"""Seconds: sums of intervals are not exact, and a caller who waits as told must be let in."""
