"""Does the candidate get the share of traffic that was asked for?

Not about the model, but about whether the rest can be believed: a share that is off by a fifth means a router that does not
obey, a cache in front of one arm, or counters that miss a pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairlead.release.judge.arrays import Array, zeros
from fairlead.release.judge.bets import Q_PROMOTE, Q_SHARE, share_factors
from fairlead.release.judge.evidence import Evidence
from fairlead.release.judge.guard import HOLD_EVIDENCE, Action, GuardResult, Stage, rate_of
from fairlead.release.judge.windows import Share


@dataclass(frozen=True, slots=True, eq=False)
class TrafficState:
    """What has been seen, and the evidence of it."""

    n_c: Array
    n: Array
    asked: Array
    """Requests that the weights would have sent to the candidate."""
    more: Evidence
    less: Evidence
    peak_more: Array
    peak_less: Array


@dataclass(frozen=True, slots=True)
class TrafficGuard:
    """How far the routed share may be from the weight."""

    tolerance: float = 0.2
    """Relative: at 5 % asked, from 4 to 6 %."""
    action: Action = "report"
    reserve: float = 0.2
    name: ClassVar[str] = "traffic"
    state: ClassVar[type[TrafficState]] = TrafficState

    def begin(self, shape: tuple[int, ...] = ()) -> TrafficState:
        """The state before the first look."""
        none = zeros(shape)
        more, less = Evidence.fresh(len(Q_SHARE), shape), Evidence.fresh(len(Q_PROMOTE), shape)
        return TrafficState(none, none, none, more, less, none, none)

    def update(self, state: TrafficState, window: Share) -> TrafficState:
        """The state after one look. A weight of 0 or 1 cannot be missed, so nothing is bet on it.

        >>> guard = TrafficGuard()
        >>> state = guard.update(guard.begin(), Share(150, 5000, 0.05))
        >>> float(state.less.log.round(6))
        5.166541
        """
        if window.fault():
            return state
        n_c, n, asked = (np.asarray(value, dtype=float) for value in (window.n_c, window.n, window.asked))
        upper, lower = (1 + self.tolerance) * asked, (1 - self.tolerance) * asked
        seen = (n > 0) & (asked > 0) & (asked < 1)
        more = state.more.after(share_factors(n_c, n, upper, "abort"), self.reserve, seen)
        less = state.less.after(share_factors(n_c, n, lower, "promote"), 0.0, seen)
        return TrafficState(
            state.n_c + n_c, state.n + n, state.asked + n * asked, more, less,
            np.maximum(state.peak_more, more.log), np.maximum(state.peak_less, less.log),
        )  # fmt: skip

    def against(self, state: TrafficState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(max(state.more.log, state.less.log))

    def result(self, state: TrafficState, stage: Stage) -> GuardResult:  # noqa: ARG002 - it has no promote side
        """What it says now."""
        more, less, n = float(state.peak_more), float(state.peak_less), float(state.n)
        found = "more" if more >= HOLD_EVIDENCE else "less" if less >= HOLD_EVIDENCE else ""
        shares = (
            f"{float(state.n_c):g} of {n:g} requests, {float(state.asked):.0f} asked"
            if n > 0
            else "no requests yet"
        )
        said = f"{found} traffic than asked: {shares}" if found else shares
        return GuardResult(
            name=self.name, action=self.action,
            log_abort=self.against(state), log_abort_peak=max(more, less),
            n_c=float(state.n_c), n_s=n - float(state.n_c), estimate=rate_of(float(state.n_c), n),
            hold=said if found and self.action != "report" else "", note=said,
        )  # fmt: skip
