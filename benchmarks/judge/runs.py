"""Guards of the product over simulated streams: one more axis, and no second implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.release.judge.guard import AnyGuard

LEVEL = float(np.log(20))
"""alpha = beta = 5 %."""


@dataclass(frozen=True)
class Run:
    """What one guard said of each rollout: the look, from 1, at which it proved something; infinite if never."""

    abort: NDArray[np.float64]
    promote: NDArray[np.float64]

    @property
    def aborted(self) -> NDArray[np.bool_]:
        return np.isfinite(self.abort)

    @property
    def promoted(self) -> NDArray[np.bool_]:
        return np.isfinite(self.promote)

    def aborted_by(self, look: int) -> NDArray[np.bool_]:
        return self.abort <= look


def run(guard: AnyGuard, rollouts: int, windows: Iterable[Any]) -> Run:
    """One guard over a stream."""
    return run_states(guard.begin((rollouts,)), rollouts, windows, guard.update)


def run_states(state: Any, rollouts: int, windows: Iterable[Any], update: Callable[[Any, Any], Any]) -> Run:
    """Any state that has evidence of two sides, or of one, over a stream."""
    abort, promote = np.full(rollouts, np.inf), np.full(rollouts, np.inf)
    for number, window in enumerate(windows, start=1):
        state = update(state, window)
        against, for_it = sides(state)
        abort = np.where((against >= LEVEL) & np.isinf(abort), number, abort)
        if for_it is not None:
            promote = np.where((for_it >= LEVEL) & np.isinf(promote), number, promote)
    return Run(abort, promote)


def sides(state: Any) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """``log E`` against the candidate and for it, at the final margin."""
    inner = getattr(state, "rates", state)
    proof = getattr(inner, "promote", None)
    if proof is None:
        return inner.abort.log, None
    return inner.abort.log, proof.log[..., 0] if proof.log.ndim > inner.abort.log.ndim else proof.log
