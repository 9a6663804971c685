"""The test that most guards share: is the candidate's rate of bad units above, or below, a line over stable's rate?

Evidence grows look by look. The alternatives of a look are multiples of the margin line at stable's rate *in past looks*, so
that the bets of a look never depend on its outcomes; that, and nothing else, is what makes evidence valid across weights that
change, also when the judge changes them itself. Each step's coarser margin has a promote side of its own, run from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from fairlead.release.judge.arrays import Array, Floats, Mask, Number, Rows2, zeros
from fairlead.release.judge.bets import Q_ABORT, Q_PROMOTE, Alternatives, Bets, Side, rate_bets
from fairlead.release.judge.evidence import Evidence
from fairlead.release.judge.margin import Margin

RECENT = 5
"""Looks from which the present exposures are read, for forecasts."""


@dataclass(frozen=True, slots=True)
class RateTest:
    """What is tested."""

    rungs: tuple[Margin, ...]
    """The final margin first, then those of earlier steps. The abort side uses the first."""
    prior_base: float
    """Stable's rate before the release, to bet on the first look with; it need not be exact."""
    prior_weight: float = 1000.0
    """Units it counts as."""
    reserve: float = 0.2
    """Share of the abort side's money for faults that start late."""
    sides: tuple[Side, ...] = ("abort", "promote")


@dataclass(frozen=True, slots=True, eq=False)
class RateState:
    """What has been seen, and the evidence of it."""

    n_c: Array
    """Units that were bet on."""
    x_c: Array
    n_s: Array
    x_s: Array
    abort: Evidence
    """(…,)"""
    peak: Array
    """(…,) the largest ``log E`` of the abort side so far."""
    promote: Evidence
    """(…, rungs)"""
    recent: Rows2
    """(…, up to 5, 2) units of candidate and stable in the latest looks with evidence."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Units of one look with outcomes 0 and 1, by cohort: (…, cohorts) each."""

    n_c: Floats
    x_c: Floats
    n_s: Floats
    x_s: Floats

    def log_e(self, bets: Bets) -> Floats:
        """``log e`` by cohort, (…, cohorts, alternatives)."""
        return bets.counts(self.n_c, self.x_c, self.n_s, self.x_s)


@dataclass(frozen=True, slots=True)
class Losses:
    """Units of one look with outcomes from 0 to 1, by cohort: (…, cohorts, values) each."""

    y_c: Floats
    """Values that occurred in the candidate."""
    w_c: Floats
    """How often; 0 for padding."""
    y_s: Floats
    w_s: Floats

    @property
    def n_c(self) -> Floats:
        """Units of the candidate by cohort."""
        units: Floats = self.w_c.sum(axis=-1)
        return units

    @property
    def x_c(self) -> Floats:
        """Their losses by cohort."""
        lost: Floats = (self.y_c * self.w_c).sum(axis=-1)
        return lost

    @property
    def n_s(self) -> Floats:
        """Units of stable by cohort."""
        units: Floats = self.w_s.sum(axis=-1)
        return units

    @property
    def x_s(self) -> Floats:
        """Their losses by cohort."""
        lost: Floats = (self.y_s * self.w_s).sum(axis=-1)
        return lost

    def log_e(self, bets: Bets) -> Floats:
        """As :meth:`Counts.log_e`."""
        return bets.losses(self.y_c, self.w_c, self.y_s, self.w_s)


Units = Counts | Losses


def one_cohort(n_c: Floats, x_c: Floats, n_s: Floats, x_s: Floats) -> Counts:
    """A look whose units all belong together."""
    return Counts(n_c[..., None], x_c[..., None], n_s[..., None], x_s[..., None])


def begin(test: RateTest, shape: tuple[int, ...] = ()) -> RateState:
    """The state before the first look."""
    none = zeros(shape)
    return RateState(
        n_c=none, x_c=none, n_s=none, x_s=none,
        abort=Evidence.fresh(len(Q_ABORT), shape), peak=none,
        promote=Evidence.fresh(len(Q_PROMOTE), (*shape, len(test.rungs))),
        recent=zeros((*shape, 0, 2)),
    )  # fmt: skip


def pick(state: RateState, position: int) -> RateState:
    """One of several states that are kept side by side, such as one slice."""
    abort, promote = state.abort, state.promote
    return RateState(
        n_c=state.n_c[position], x_c=state.x_c[position], n_s=state.n_s[position], x_s=state.x_s[position],
        abort=Evidence(abort.log_w[position], abort.cash[position], abort.looks[position]), peak=state.peak[position],
        promote=Evidence(promote.log_w[position], promote.cash[position], promote.looks[position]),
        recent=state.recent[position],
    )  # fmt: skip


def base_rate(test: RateTest, n_s: Floats, x_s: Floats) -> Floats:
    """Stable's rate as it is known before a look, from past looks and the prior."""
    known = (test.prior_weight * test.prior_base + x_s) / (test.prior_weight + n_s)
    return np.clip(known, 1e-6, 0.99)


def advance(test: RateTest, state: RateState, units: Units, phi: Number = 1.0) -> RateState:
    """The state after one look.

    Cohorts without units in both arms are left out; a look that has no others changes nothing.

    Args:
        test: What is tested.
        state: What was known before the look.
        units: What was observed.
        phi: Most units that may depend on each other, or more; divides ``log e``, which leaves a valid bet.
    """
    present = (units.n_c > 0) & (units.n_s > 0)
    seen: Mask = np.asarray(present.any(axis=-1))
    if not seen.any():
        return state
    chosen, against = _alternatives(test)
    bets = rate_bets(base_rate(test, state.n_s, state.x_s)[..., None], units.n_c, units.n_s, chosen)
    log_e = np.where(present[..., None], units.log_e(bets), 0.0).sum(axis=-2) / np.asarray(phi)[..., None]
    abort, promote = state.abort, state.promote
    if "abort" in test.sides:
        abort = abort.after(log_e[..., :against], test.reserve, seen)
    if "promote" in test.sides:
        by_rung = log_e[..., against:].reshape(*log_e.shape[:-1], len(test.rungs), len(Q_PROMOTE))
        promote = promote.after(by_rung, 0.0, seen[..., None])
    n_c, x_c, n_s, x_s = (
        np.where(present, units_of, 0.0).sum(axis=-1)
        for units_of in (units.n_c, units.x_c, units.n_s, units.x_s)
    )
    exposure = np.stack([n_c, n_s], axis=-1)[..., None, :]
    return RateState(
        n_c=state.n_c + n_c, x_c=state.x_c + x_c, n_s=state.n_s + n_s, x_s=state.x_s + x_s,
        abort=abort, peak=np.maximum(state.peak, abort.log), promote=promote,
        recent=np.concatenate([state.recent, exposure], axis=-2)[..., -RECENT:, :],
    )  # fmt: skip


@cache
def _alternatives(test: RateTest) -> tuple[Alternatives, int]:
    """The bets of both sides, those that are against the candidate first, and how many those are."""
    final = test.rungs[0]
    abort = [Alternatives.of(final.ratio, final.add, "abort")] if "abort" in test.sides else []
    promote = [
        Alternatives.of(rung.ratio, rung.add, "promote") for rung in test.rungs if "promote" in test.sides
    ]
    return Alternatives.joined([*abort, *promote]), len(Q_ABORT) * len(abort)
