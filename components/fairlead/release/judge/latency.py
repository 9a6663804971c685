"""Slow answers: may the candidate's share of them be more than stable's and the margin?

Slow is what took longer than one bound of the latency histogram, fixed before the release. Only successful answers count: errors
can be fast, and the error guard sees them.

Slow answers cluster in time and by arm (collector pauses, a noisy neighbour), and more traffic does not average an arm's own
noise away. So the bets are made on blocks of a minute or more, and ``log e`` is divided by ``φ = 1 + κ²v``, where κ² is the
relative noise of an arm a block, learnt from *earlier blocks only*, and v the variance of a block's slow answers under
independence. A φ that the past has fixed leaves a valid bet; under clustering it is what protects. An arm that wanders for many
minutes as a whole cannot be told from a slow version by any statistic: then the guard must not abort (``action: hold``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fairlead.release.judge.arrays import Array, Floats, Rows4, zeros
from fairlead.release.judge.guard import Action, GuardResult, Stage
from fairlead.release.judge.margin import Margin, rungs
from fairlead.release.judge.rates import RateState, RateTest, advance, base_rate, begin, one_cohort
from fairlead.release.judge.report import rate_result
from fairlead.release.judge.windows import Window

MARGIN = Margin(1.25, 0.0025)
"""At most a quarter more slow answers, and a quarter of a percent."""
KEPT = 256
"""Blocks from which the noise is learnt; older ones are forgotten, so that a release of a day fits into its journal."""
_SCALES = (1, 2, 4, 8)
_PRIOR_BLOCKS = 5


def objective_bound(bounds: Sequence[float], objective: float) -> float | None:
    """The smallest bound of the histogram that is at least *objective*, in seconds; None if only +Inf is.

    >>> objective_bound((0.1, 0.25, 0.5), 0.2)
    0.25
    """
    return min((bound for bound in bounds if objective <= bound < np.inf), default=None)


def quantile_bound(bounds: Sequence[float], cumulative: Sequence[float], q: float) -> float | None:
    """The smallest bound with at most ``1 - q`` of stable's history above it: "p99 is not worse" becomes a share.

    Args:
        bounds: Upper bounds of the buckets in seconds, rising, the last one +Inf.
        cumulative: Answers up to each bound.
        q: The quantile, 0.99 for p99.

    >>> quantile_bound((0.1, 0.25, 0.5, np.inf), (900, 980, 995, 1000), 0.99)
    0.5
    """
    total = cumulative[-1] if cumulative else 0
    if not total > 0:
        return None
    inside = (
        bound for bound, count in zip(bounds, cumulative, strict=False) if total - count <= (1 - q) * total
    )
    return min((bound for bound in inside if bound < np.inf), default=None)


def slow_of(bounds: Sequence[float], cumulative: Sequence[float], bound: float) -> tuple[float, float]:
    """Answers and slow ones among them, from increments of cumulative buckets.

    >>> slow_of((0.1, 0.25, 0.5, np.inf), (300, 520, 580, 600), 0.5)
    (600, 20)
    """
    total = cumulative[-1]
    return total, total - cumulative[list(bounds).index(bound)]


@dataclass(frozen=True, slots=True, eq=False)
class LatencyState:
    """What has been seen, and the evidence of it."""

    rates: RateState
    blocks: Rows4
    """(…, up to 256, 4): n_c, x_c, n_s, x_s of earlier blocks, oldest first."""
    open: Array
    """(…, 4): the same of the block that is not full yet."""
    phi: Array
    """(…,) what the latest ``log e`` was divided by."""
    seconds: float = 0.0
    """Length of the open block."""
    weight: float | None = None
    """Weight of the open block."""


@dataclass(frozen=True, slots=True)
class LatencyGuard:
    """How slow answers are judged."""

    margin: Margin = MARGIN
    action: Action = "abort"
    """hold, where the arms are on one node each or a check of stable against itself crosses."""
    required: bool = True
    steps: int = 1
    block: float = 60.0
    """Seconds; at least twice the time for which an arm's noise hangs together."""
    kappa0: float = 1.0
    """κ before it is learnt, and a fading share of it after. Half of it is twice as fast and gives 7 to 14 % false aborts."""
    prior_base: float = 0.01
    """Share of slow answers before the release."""
    prior_weight: float = 1000.0
    reserve: float = 0.2
    bound: float | None = None
    """Seconds above which an answer is slow; a bound of the histogram. Only told, the counts come ready."""
    name: ClassVar[str] = "latency"
    state: ClassVar[type[LatencyState]] = LatencyState

    @property
    def test(self) -> RateTest:
        """The test of two rates behind it."""
        return RateTest(rungs(self.margin, self.steps), self.prior_base, self.prior_weight, self.reserve)

    def begin(self, shape: tuple[int, ...] = ()) -> LatencyState:
        """The state before the first look."""
        return LatencyState(
            begin(self.test, shape), zeros((*shape, 0, 4)), zeros((*shape, 4)), np.ones(shape)
        )

    def update(self, state: LatencyState, window: Window) -> LatencyState:
        """The state after one look: bets are made when a block is full, or ends early because the weight changed.

        >>> guard = LatencyGuard(prior_base=0.01)
        >>> state = guard.update(guard.begin(), Window(600, 20, 5400, 54, seconds=60))
        >>> float(state.phi.round(6)), float(state.rates.abort.log.round(6))
        (6.4, 0.071166)
        """
        if window.fault():
            return state
        if state.seconds > 0 and window.weight != state.weight:
            state = self._close(state)
        counted = np.stack(window.floats(), axis=-1)
        state = replace(
            state,
            open=state.open + counted,
            seconds=state.seconds + float(window.seconds),
            weight=window.weight,
        )
        return self._close(state) if state.seconds >= self.block else state

    def _close(self, state: LatencyState) -> LatencyState:
        """Bet on the open block. A short one pays the φ of a full one, since its noise is not smaller."""
        n_c, x_c, n_s, x_s = np.moveaxis(state.open, -1, 0)
        emptied = replace(state, open=np.zeros_like(state.open), seconds=0.0)
        if not ((n_c > 0) & (n_s > 0)).any():
            return emptied
        scale = max(1.0, self.block / state.seconds) if state.seconds > 0 else 1.0
        base = base_rate(self.test, state.rates.n_s, state.rates.x_s)
        phi = 1 + noise(state.blocks, self.kappa0) * scale * variance(base, n_c, n_s)
        rates = advance(self.test, state.rates, one_cohort(n_c, x_c, n_s, x_s), phi)
        blocks = np.concatenate([state.blocks, state.open[..., None, :]], axis=-2)[..., -KEPT:, :]
        return replace(emptied, rates=rates, blocks=blocks, phi=phi)

    def against(self, state: LatencyState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(state.rates.abort.log)

    def result(self, state: LatencyState, stage: Stage) -> GuardResult:
        """What it says now."""
        note = f"slow is above {self.bound:g} s; " if self.bound is not None else ""
        note += f"evidence divided by φ = {float(state.phi):.2g}"
        return rate_result(
            self.name, self.action, self.test, state.rates, stage, required=self.required, phi=float(state.phi), note=note
        )  # fmt: skip


def variance(base: Floats, n_c: Floats, n_s: Floats) -> Floats:
    """v: variance of the candidate's slow answers in a block, given all slow ones, under independence.

    >>> float(variance(np.float64(0.01), np.float64(600.0), np.float64(5400.0)).round(6))
    5.4
    """
    total = n_c + n_s
    share = np.divide(n_c, total, out=np.zeros_like(total), where=total > 0)
    spread: Floats = base * total * share * (1 - share)
    return spread


def noise(blocks: Floats, kappa0: float) -> Floats:
    """κ²: the relative variance of an arm's rate a block, beyond chance, from earlier blocks.

    What the candidate got more than its share of the slow answers, ``r_j = x_cj - m_jθ_j``, squared, less what chance makes of
    it; over blocks joined in groups of 1, 2, 4 and 8, because noise may outlast a block. The largest counts.

    Args:
        blocks: (…, blocks, 4).
        kappa0: What is believed before two blocks exist, and weighs as much as five of them after.

    >>> four = np.array([[60, 1, 540, 4], [60, 0, 540, 6], [60, 7, 540, 5], [60, 2, 540, 30]], dtype=float)
    >>> float(noise(four, 1.0).round(6))
    1.04565
    """
    count = blocks.shape[-2]
    if count < 2:
        return np.full(blocks.shape[:-2], kappa0**2)
    excess, chance = _excess(blocks)
    weight = np.maximum(1e-9, np.mean(chance**2, axis=-1))
    found = zeros(blocks.shape[:-2])
    for scale in _SCALES:
        groups = count // scale
        if groups >= 2:
            joined = (
                excess[..., count - groups * scale :].reshape(*excess.shape[:-1], groups, scale).sum(axis=-1)
            )
            by_chance = chance[..., count - groups * scale :].sum(axis=-1)
            above = (joined**2).sum(axis=-1) - by_chance + _PRIOR_BLOCKS * kappa0**2 * weight
            found = np.maximum(found, above / ((groups * scale + _PRIOR_BLOCKS) * weight))
    return found


def _excess(blocks: Floats) -> tuple[Floats, Floats]:
    """r_j and its variance v_j under independence, (…, blocks)."""
    n_c, x_c, n_s, x_s = np.moveaxis(blocks, -1, 0)
    rate_c = (x_c.sum(axis=-1) + 0.5) / np.maximum(n_c.sum(axis=-1), 1.0)
    rate_s = (x_s.sum(axis=-1) + 0.5) / np.maximum(n_s.sum(axis=-1), 1.0)
    expected = (rate_c / rate_s)[..., None] * n_c
    total = expected + n_s
    share = np.divide(expected, total, out=np.zeros_like(total), where=total > 0)
    slow = x_c + x_s
    return x_c - slow * share, slow * share * (1 - share)
