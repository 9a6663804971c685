"""One e-process: money bet against a null hypothesis, never more than it started with in expectation while the null is true.

It starts with 1. At the first look the money is divided among the alternatives; a *reserve* is kept in cash and handed out
slowly, so that there are fresh bets when a leak or a cold cache shows late. That is a mixture over alternatives and starting
times, hence an e-process: ``P(E ever ≥ 1/alpha) ≤ alpha`` while the null is true, however often one looks (Ville 1939)::

    looks += 1;  new = reserve/(looks+1);  log_w = logaddexp(log_w, log((cash-new)/K));  cash = new;  log_w += log e
    log E = logaddexp(logsumexp(log_w), log cash)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlead.release.judge.arrays import Array, Floats, Mask, log_sum, zeros


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The state of one e-process, or of an array of them."""

    log_w: Array
    """(…, alternatives): logarithm of the money in each."""
    cash: Array
    """(…,): money not bet yet."""
    looks: Array
    """(…,): how often was bet."""

    @classmethod
    def fresh(cls, alternatives: int, shape: tuple[int, ...] = ()) -> Evidence:
        """Nothing has been seen: ``log E = 0``."""
        return cls(np.full((*shape, alternatives), -np.inf), np.ones(shape), zeros(shape))

    @property
    def log(self) -> Floats:
        """``log E``, (…,)."""
        with np.errstate(divide="ignore"):
            total: Floats = np.logaddexp(log_sum(self.log_w), np.log(self.cash))
        return total

    @property
    def growth(self) -> Floats:
        """``log`` of how much the best alternative has multiplied its first money, (…,)."""
        best: Floats = np.max(self.log_w, axis=-1) + np.log(self.log_w.shape[-1])
        return best

    def after(self, log_e: Floats, reserve: float, where: Mask | bool = True) -> Evidence:
        """What one look makes of it.

        Args:
            log_e: (…, alternatives) logarithm of each alternative's factor.
            reserve: Share of the money for late bets: 0.2 where something may start late, 0 where not.
            where: (…,) whether the look had evidence; where not, the state stays as it is.

        >>> first = Evidence.fresh(2).after(np.array([0.0, 1.0]), reserve=0.2)
        >>> float(first.cash), round(float(first.log), 6)
        (0.1, 0.572801)
        """
        seen = np.asarray(where, dtype=bool)
        looks = self.looks + seen
        kept = np.where(seen, np.minimum(self.cash, reserve / (looks + 1)), self.cash)
        with np.errstate(divide="ignore"):
            handed_out = np.log((self.cash - kept) / self.log_w.shape[-1])
        log_w = np.logaddexp(self.log_w, handed_out[..., None]) + np.where(seen[..., None], log_e, 0.0)
        return Evidence(log_w, kept, looks)
