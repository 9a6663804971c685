"""Failed requests by slice (tenant, country, class): is the candidate worse for somebody?

The slices are fixed before the release and each request is in one. Inside the guard the evidence is the *mean* of the slices'
evidence, which is evidence under any dependence and asks for no share of alpha each. Which slices are named in the report is
found by e-BH on the present values (Wang and Ramdas 2020); that holds for present values only, so a name may disappear again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairlead.release.judge.arrays import Array, Floats, Mask, log_sum, zeros
from fairlead.release.judge.guard import HOLD_EVIDENCE, Action, GuardResult, Stage
from fairlead.release.judge.margin import Margin, rung_of, rungs
from fairlead.release.judge.rates import RateState, RateTest, advance, begin, one_cohort, pick
from fairlead.release.judge.report import rate_result
from fairlead.release.judge.windows import Window

MARGIN = Margin(2.0, 0.01)
"""Wider than that of all requests, because each slice has only a part of them."""


@dataclass(frozen=True, slots=True, eq=False)
class SlicesState:
    """What has been seen, and the evidence of it."""

    rates: RateState
    """(…, slices)"""
    peak: Array
    """(…,) the largest mean so far."""


def mean_evidence(log_e: Floats) -> Floats:
    """``log`` of the mean of e-values, over the last axis."""
    mean: Floats = log_sum(log_e) - np.log(log_e.shape[-1])
    return mean


def named(log_e: Sequence[float] | Floats, q: float) -> list[int]:
    """Positions that e-BH names at level *q*, by falling evidence: the largest k with ``E_(k) ≥ K/(qk)``.

    >>> named(np.log([300, 60, 24, 8, 0.5]), 0.1)
    [0, 1, 2]
    """
    values = np.asarray(log_e, dtype=float)
    order = np.argsort(-values, kind="stable")
    bounds = np.log(len(values) / (q * np.arange(1, len(values) + 1)))
    reached = np.flatnonzero(values[order] >= bounds)
    return [int(position) for position in order[: reached[-1] + 1]] if len(reached) else []


@dataclass(frozen=True, slots=True)
class SlicesGuard:
    """How failed requests are judged by slice."""

    names: tuple[str, ...]
    """The slices, fixed before the release. Requests of others are in none."""
    margin: Margin = MARGIN
    action: Action = "abort"
    required: bool = True
    required_share: float = 0.05
    """Slices with at least this share of the traffic must be proved inside the margin; smaller ones are only reported."""
    steps: int = 1
    q: float = 0.1
    """Expected share of wrong names among those named."""
    prior_base: float = 0.005
    prior_weight: float = 1000.0
    reserve: float = 0.2
    burst: float = 1.0
    name: ClassVar[str] = "slices"
    state: ClassVar[type[SlicesState]] = SlicesState

    @property
    def test(self) -> RateTest:
        """The test of two rates in each slice."""
        return RateTest(rungs(self.margin, self.steps), self.prior_base, self.prior_weight, self.reserve)

    def begin(self, shape: tuple[int, ...] = ()) -> SlicesState:
        """The state before the first look."""
        return SlicesState(begin(self.test, (*shape, len(self.names))), zeros(shape))

    def update(self, state: SlicesState, window: Mapping[str, Window]) -> SlicesState:
        """The state after one look. A slice that is not there had no requests."""
        if not self.names or any(part.fault() for part in window.values()):
            return state
        none = Window(0, 0, 0, 0)
        parts = [window.get(name, none).floats() for name in self.names]
        n_c, x_c, n_s, x_s = (
            np.stack(np.broadcast_arrays(*counts), axis=-1) for counts in zip(*parts, strict=True)
        )
        rates = advance(self.test, state.rates, one_cohort(n_c, x_c, n_s, x_s), self.burst)
        return SlicesState(rates, np.maximum(state.peak, mean_evidence(rates.abort.log)))

    def against(self, state: SlicesState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(mean_evidence(state.rates.abort.log))

    def result(self, state: SlicesState, stage: Stage) -> GuardResult:
        """What it says now; its promote side is that of the slowest slice with enough traffic."""
        rates = state.rates
        units = rates.n_c + rates.n_s
        big = units >= self.required_share * max(float(units.sum()), 1.0)
        proofs = rates.promote.log[..., min(rung_of(stage.step, stage.steps), len(self.test.rungs) - 1)]
        slowest = self._slowest(rates, np.where(big, proofs, np.inf), stage) if big.any() else None
        proved = bool(float(units.sum()) > 0 and np.all(proofs[big] >= stage.level))
        peak = float(state.peak)
        worse = ", ".join(self.names[position] for position in named(rates.abort.log, self.q))
        fired = self.action == "hold" and peak >= HOLD_EVIDENCE
        return GuardResult(
            name=self.name, action=self.action, log_abort=self.against(state), log_abort_peak=peak,
            log_promote=slowest.log_promote if slowest else 0.0, need=slowest.need if slowest else None,
            looks_to_promote=slowest.looks_to_promote if slowest else None,
            n_c=float(rates.n_c.sum()), x_c=float(rates.x_c.sum()),
            n_s=float(rates.n_s.sum()), x_s=float(rates.x_s.sum()), required=self.required, proved=proved,
            hold=f"slices proved worse: {worse or 'several together'}" if fired else "",
            note=self._note(worse, proofs, big, stage.level),
        )  # fmt: skip

    def _slowest(self, rates: RateState, proofs: Floats, stage: Stage) -> GuardResult:
        """What the slice with the least proof says."""
        one = pick(rates, int(np.argmin(proofs)))
        return rate_result(
            self.name, self.action, self.test, one, stage, required=self.required, phi=self.burst
        )

    def _note(self, worse: str, proofs: Floats, big: Mask, level: float) -> str:
        missing = ", ".join(
            name
            for name, proof, counts in zip(self.names, proofs, big, strict=True)
            if counts and proof < level
        )
        return f"worse: {worse or 'none named'}; not yet proved: {missing or 'none'}"
