"""Failed requests: may the candidate's share of them be more than stable's and the margin?

Exact for requests that fail independently of each other given the past, each with a chance of its own. Bursts (retries, one
user's session) break that: then either units are counted (first attempts, users) or ``burst`` says how many requests may hang
together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fairlead.release.judge.guard import Action, GuardResult, Stage
from fairlead.release.judge.margin import Margin, rungs
from fairlead.release.judge.rates import RateState, RateTest, advance, begin, one_cohort
from fairlead.release.judge.report import rate_result
from fairlead.release.judge.windows import Window

MARGIN = Margin(1.25, 0.001)
"""At most a quarter more errors, and one in a thousand."""


@dataclass(frozen=True, slots=True)
class ErrorsGuard:
    """How failed requests are judged."""

    margin: Margin = MARGIN
    action: Action = "abort"
    required: bool = True
    steps: int = 1
    """Steps of the release: each has its own margin to prove."""
    prior_base: float = 0.005
    """Stable's rate in the hour before; a factor of 5 either way changes little."""
    prior_weight: float = 1000.0
    reserve: float = 0.2
    burst: float = 1.0
    """φ: E[k²]/E[k] of the sizes k of groups of requests that may depend on each other. 1 when attempts are counted once."""
    name: ClassVar[str] = "errors"
    state: ClassVar[type[RateState]] = RateState

    @property
    def test(self) -> RateTest:
        """The test of two rates behind it."""
        return RateTest(rungs(self.margin, self.steps), self.prior_base, self.prior_weight, self.reserve)

    def begin(self, shape: tuple[int, ...] = ()) -> RateState:
        """The state before the first look."""
        return begin(self.test, shape)

    def update(self, state: RateState, window: Window) -> RateState:
        """The state after one look.

        >>> guard = ErrorsGuard()
        >>> state = guard.update(guard.begin(), Window(300, 9, 5700, 28))
        >>> round(float(state.abort.log), 6)
        3.996529
        """
        if window.fault():
            return state
        return advance(self.test, state, one_cohort(*window.floats()), phi=self.burst)

    def against(self, state: RateState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(state.abort.log)

    def result(self, state: RateState, stage: Stage) -> GuardResult:
        """What it says now."""
        return rate_result(
            self.name, self.action, self.test, state, stage, required=self.required, phi=self.burst
        )
