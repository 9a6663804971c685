"""One arm against a bound that was fixed before the release: all that is left once there is nothing to compare.

After 100 % the old slot is warm but has no traffic, so no fault outside the model cancels any more: an upstream outage looks like
a bad version. Verdicts of these guards say *not compared*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairlead.release.judge.arrays import Array, zeros
from fairlead.release.judge.bets import Q_SHARE, share_factors
from fairlead.release.judge.evidence import Evidence
from fairlead.release.judge.guard import HOLD_EVIDENCE, Action, GuardResult, Stage, rate_of
from fairlead.release.judge.windows import Window


@dataclass(frozen=True, slots=True, eq=False)
class FixedState:
    """What has been seen, and the evidence of it."""

    n: Array
    bad: Array
    abort: Evidence
    peak: Array


@dataclass(frozen=True, slots=True)
class FixedGuard:
    """A share of bad units, and how large it may be."""

    name: str
    """errors or latency."""
    bound: float
    """Share, above 0 and below 1, fixed before the release."""
    action: Action = "abort"
    reserve: float = 0.2
    state: ClassVar[type[FixedState]] = FixedState

    def begin(self, shape: tuple[int, ...] = ()) -> FixedState:
        """The state before the first look."""
        none = zeros(shape)
        return FixedState(none, none, Evidence.fresh(len(Q_SHARE), shape), none)

    def update(self, state: FixedState, window: Window) -> FixedState:
        """The state after one look; stable's counts are not looked at.

        >>> guard = FixedGuard("errors", bound=0.02)
        >>> state = guard.update(guard.begin(), Window(1000, 35, 0, 0))
        >>> float(state.abort.log.round(6))
        3.109318
        """
        if window.fault():
            return state
        n, bad, _, _ = window.floats()
        abort = state.abort.after(share_factors(bad, n, self.bound, "abort"), self.reserve, n > 0)
        return FixedState(state.n + n, state.bad + bad, abort, np.maximum(state.peak, abort.log))

    def against(self, state: FixedState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(state.abort.log)

    def result(self, state: FixedState, stage: Stage) -> GuardResult:  # noqa: ARG002 - nothing is left to promote
        """What it says now."""
        n, bad, peak = float(state.n), float(state.bad), float(state.peak)
        fired = self.action == "hold" and peak >= HOLD_EVIDENCE
        return GuardResult(
            name=self.name, action=self.action, log_abort=self.against(state), log_abort_peak=peak,
            n_c=n, x_c=bad, estimate=rate_of(bad, n),
            hold=f"{self.name}: above {self.bound:.2%}" if fired else "",
            note=f"not compared: against {self.bound:.2%}, which was fixed before the release",
        )  # fmt: skip
