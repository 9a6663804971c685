"""The same request answered by both versions: how often do they differ, and whose answers turn out worse?

Pairs cancel what makes requests hard for both: the labels needed fall by the factor 4p(1-p)/(share of pairs in which one of the
two is wrong), which is 9 where both are wrong in p = 10 % and one of them in 4 %. Prefer shadow for quality, a canary for load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairlead.release.judge.arrays import Array, Floats, zeros
from fairlead.release.judge.bets import GRID_PAIRS, Q_PROMOTE, Q_SHARE, paired_factors, share_factors
from fairlead.release.judge.evidence import Evidence
from fairlead.release.judge.guard import HOLD_EVIDENCE, Action, GuardResult, Stage, rate_of
from fairlead.release.judge.report import in_looks, still_needed
from fairlead.release.judge.windows import PairedLosses, Pairs

DROPPED = 0.01
"""Share of sampled requests without an answer of the candidate, above which pairs say little about the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class FlipsState:
    """What has been seen, and the evidence of it."""

    n: Array
    flips: Array
    dropped: Array
    abort: Evidence
    promote: Evidence
    peak: Array


@dataclass(frozen=True, slots=True)
class FlipsGuard:
    """How often the two versions may answer differently. A flip is not a fault, so it holds."""

    bound: float = 0.02
    """Share of pairs that may differ."""
    action: Action = "hold"
    required: bool = False
    reserve: float = 0.2
    name: ClassVar[str] = "flips"
    state: ClassVar[type[FlipsState]] = FlipsState

    def begin(self, shape: tuple[int, ...] = ()) -> FlipsState:
        """The state before the first look."""
        none = zeros(shape)
        return FlipsState(
            none, none, none, Evidence.fresh(len(Q_SHARE), shape), Evidence.fresh(len(Q_PROMOTE), shape), none
        )

    def update(self, state: FlipsState, window: Pairs) -> FlipsState:
        """The state after one look.

        >>> guard = FlipsGuard()
        >>> state = guard.update(guard.begin(), Pairs(1000, 35))
        >>> float(state.abort.log.round(6)), float(state.promote.log.round(6))
        (3.109318, -3.555536)
        """
        if window.fault():
            return state
        n, flips, dropped = (
            np.asarray(value, dtype=float) for value in (window.n, window.flips, window.dropped)
        )
        seen = n > 0
        abort = state.abort.after(share_factors(flips, n, self.bound, "abort"), self.reserve, seen)
        promote = state.promote.after(share_factors(flips, n, self.bound, "promote"), 0.0, seen)
        return FlipsState(
            state.n + n,
            state.flips + flips,
            state.dropped + dropped,
            abort,
            promote,
            np.maximum(state.peak, abort.log),
        )

    def against(self, state: FlipsState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(state.abort.log)

    def result(self, state: FlipsState, stage: Stage) -> GuardResult:
        """What it says now."""
        n, dropped, proof = float(state.n), float(state.dropped), float(state.promote.log)
        return GuardResult(
            name=self.name, action=self.action, log_abort=self.against(state), log_abort_peak=float(state.peak),
            log_promote=proof, n_c=n, x_c=float(state.flips), estimate=rate_of(float(state.flips), n),
            need=(need := still_needed(state.promote, n, stage.level)),
            looks_to_promote=in_looks(need, n / max(float(state.promote.looks), 1.0)),
            required=self.required, proved=proof >= stage.level, hold=self._hold(float(state.peak), n, dropped),
            note=f"estimate is the share of pairs that differ; {dropped:g} of {n + dropped:g} were not answered in time",
        )  # fmt: skip

    def _hold(self, peak: float, n: float, dropped: float) -> str:
        if self.action == "hold" and peak >= HOLD_EVIDENCE:
            return (
                f"the versions answer differently: more than {self.bound:.2%} of pairs; a person should look"
            )
        return unanswered(n, dropped)


def unanswered(n: float, dropped: float) -> str:
    """Why too few of the sampled requests were answered by the candidate; empty if enough were."""
    if dropped > DROPPED * (n + dropped):
        return f"the candidate did not answer {dropped:g} of {n + dropped:g} copied requests in time: pairs are not a fair sample"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class PairedState:
    """What has been seen, and the evidence of it."""

    n: Array
    worse: Array
    """Pairs in which the candidate lost more."""
    total: Array
    """Sum of the differences."""
    abort: Evidence
    promote: Evidence
    peak: Array


@dataclass(frozen=True, slots=True)
class PairedGuard:
    """How much more the candidate may lose on average, on requests whose outcome is known for both answers.

    Valid if in every look the average expected difference is on the null's side of the margin.
    """

    name: str = "quality"
    margin: float = 0.005
    """m, in the loss's own unit: for right and wrong the smallest that ordinary numbers of labels decide."""
    cap: float = 1.0
    """B: no difference is larger; what is larger is cut. Part of the metric's definition."""
    action: Action = "abort"
    required: bool = True
    reserve: float = 0.2
    unit: str = ""
    """Of the loss, for people: a currency, or empty for a share."""
    state: ClassVar[type[PairedState]] = PairedState

    def begin(self, shape: tuple[int, ...] = ()) -> PairedState:
        """The state before the first look."""
        none, stakes = zeros(shape), len(GRID_PAIRS)
        return PairedState(
            none, none, none, Evidence.fresh(stakes, shape), Evidence.fresh(stakes, shape), none
        )

    def update(self, state: PairedState, window: PairedLosses) -> PairedState:
        """The state after one look.

        >>> guard = PairedGuard(margin=0.005)
        >>> state = guard.update(guard.begin(), PairedLosses.of_counts(30, 10, 460))
        >>> float(state.abort.log.round(6)), float(state.promote.log.round(6))
        (2.213223, -0.981931)
        """
        if window.fault():
            return state
        d = np.clip(np.asarray(window.difference, dtype=float), -self.cap, self.cap)
        count = np.asarray(window.count, dtype=float)
        n: Floats = count.sum(axis=-1)
        abort = state.abort.after(
            paired_factors(d, count, self.margin, self.cap, "abort"), self.reserve, n > 0
        )
        promote = state.promote.after(paired_factors(d, count, self.margin, self.cap, "promote"), 0.0, n > 0)
        return PairedState(
            state.n + n, state.worse + (count * (d > 0)).sum(axis=-1), state.total + (count * d).sum(axis=-1),
            abort, promote, np.maximum(state.peak, abort.log),
        )  # fmt: skip

    def against(self, state: PairedState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(state.abort.log)

    def result(self, state: PairedState, stage: Stage) -> GuardResult:
        """What it says now. Labels are late, so only the last step asks for its proof."""
        n, proof, peak = float(state.n), float(state.promote.log), float(state.peak)
        fired = self.action == "hold" and peak >= HOLD_EVIDENCE
        return GuardResult(
            name=self.name, action=self.action, log_abort=self.against(state), log_abort_peak=peak,
            log_promote=proof, n_c=n, x_c=float(state.worse), estimate=rate_of(float(state.total), n),
            need=(need := still_needed(state.promote, n, stage.level)),
            looks_to_promote=in_looks(need, n / max(float(state.promote.looks), 1.0)),
            required=self.required and stage.is_last,
            proved=proof >= stage.level,
            hold=f"{self.name}: proved worse by more than {self.margin:g}{self._unit}" if fired else "",
            note=f"labelled pairs; estimate is the mean difference{self._unit}, allowed is {self.margin:g}",
        )  # fmt: skip

    @property
    def _unit(self) -> str:
        return f" {self.unit} a prediction" if self.unit else ""
