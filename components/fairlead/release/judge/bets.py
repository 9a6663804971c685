"""Bets against a null hypothesis: factors whose expectation is at most 1 while it is true.

**Two arms** (:func:`project`, :class:`Bets`). The null of the abort side is ``p_c ≤ R·p_s + δ``, that of the promote side
``p_c ≥ R·p_s + δ``. An alternative (θ_c, θ_s) beyond the line bets its likelihood ratio against the point (θ*_c, θ*_s) of the
line that minimises ``n_c·KL(θ_c‖θ*_c) + n_s·KL(θ_s‖θ*_s)``. There, with ``μ = n_c(θ_c-θ*_c)/(θ*_c(1-θ*_c))``, the factor is
``Π[1+(μ/n_c)(y-θ*_c)]·Π[1-(Rμ/n_s)(y-θ*_s)]``; by ``1+z ≤ e^z`` its expectation is at most ``exp(μ(p̄_c - R·p̄_s - δ)) ≤ 1``
for independent outcomes in [0, 1] with *any* means, whose averages over this look are p̄. So requests may differ from each
other, and the common rate may swing. For R = 1, δ = 0 this is the e-variable of Turner, Ly and Grünwald (2021).

**One arm** (:func:`share_factors`): a share against a fixed bound, by the same likelihood ratio.

**Pairs** (:func:`paired_factors`): the mean of bounded differences, by betting (Waudby-Smith and Ramdas 2020).

All functions broadcast over leading axes; the last axis of a result is the alternatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fairlead.release.judge.arrays import Floats, Mask, Number

Side = Literal["abort", "promote"]

Q_ABORT = np.array([1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
"""Alternatives as multiples of the margin line."""
Q_PROMOTE = np.array([0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9])
Q_SHARE = np.array([1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
"""The abort side against a fixed bound."""
GRID_PAIRS = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
"""Stakes of a bet on pairs, as shares of the largest allowed one."""

_EDGE = 1e-12
_LOWEST, _HIGHEST = 1e-9, 0.995
_STEPS = 100
"""Bound of the search; a root is found in about ten steps."""
_CLOSE = 1e-14


def project(
    theta_c: Number, theta_s: Number, n_c: Number, n_s: Number, ratio: Number, add: Number
) -> tuple[Floats, Floats]:
    """The point of the margin line nearest to an alternative, by Kullback-Leibler divergence weighted with the exposures.

    It is the root of the increasing function ``R·n_c(c-θ_c)/(c(1-c)) + n_s(t-θ_s)/(t(1-t))``, ``c = Rt+δ``, found by Newton's
    method on its numerator (a cubic), kept between bounds that each step narrows. Only the ratio ``n_c : n_s`` matters.

    Args:
        theta_c: Rate of the candidate in the alternative, between 0 and 1.
        theta_s: Rate of stable in the alternative, between 0 and 1.
        n_c: Units of the candidate, above 0.
        n_s: Units of stable, above 0.
        ratio: R, above 0.
        add: δ, from 0 to below 1.

    Returns:
        θ*_c and θ*_s.

    >>> [round(float(rate), 6) for rate in project(0.01, 0.005, 300, 5700, 1.25, 0.001)]
    [0.007398, 0.005119]
    """
    theta_c, theta_s, share, ratio, add = np.broadcast_arrays(
        theta_c, theta_s, np.asarray(n_c) / (np.asarray(n_c) + np.asarray(n_s)), ratio, add
    )
    low = np.maximum(_EDGE, (_EDGE - add) / ratio)
    high = np.maximum(low, np.minimum(1 - _EDGE, (1 - _EDGE - add) / ratio))
    # Poisson's answer, which is near for small rates.
    start = (share * np.maximum(theta_c - add, 0) + (1 - share) * theta_s) / (share * ratio + 1 - share)
    nearest = _root(
        theta_c, theta_s, ratio * share, 1 - share, ratio, add, low, high, np.clip(start, low, high)
    )
    return ratio * nearest + add, nearest


def _root(
    theta_c: Floats, theta_s: Floats, weight_c: Floats, weight_s: Floats, ratio: Floats, add: Floats,
    low: Floats, high: Floats, t: Floats,
) -> Floats:  # fmt: skip
    for _ in range(_STEPS):
        c = ratio * t + add
        spread_t, spread_c = t * (1 - t), c * (1 - c)
        value = weight_c * (c - theta_c) * spread_t + weight_s * (t - theta_s) * spread_c
        slope = (
            weight_c * (ratio * spread_t + (c - theta_c) * (1 - 2 * t))
            + weight_s * (spread_c + (t - theta_s) * ratio * (1 - 2 * c))
        )  # fmt: skip
        low, high = np.where(value < 0, t, low), np.where(value > 0, t, high)
        newton = t - value / np.where(slope == 0, 1.0, slope)
        inside = (slope != 0) & (newton >= low) & (newton <= high)
        following = np.where(value == 0, t, np.where(inside, newton, (low + high) / 2))
        moved = np.abs(following - t)
        t = following
        if np.all(moved <= _CLOSE * t):
            break
    return t


@dataclass(frozen=True, slots=True)
class Bets:
    """Alternatives of one look and their nearest points on the line; shape (…, alternatives) each."""

    theta_c: Floats
    theta_s: Floats
    star_c: Floats
    star_s: Floats
    active: Floats
    """1 where the alternative is strictly beyond the line, 0 where it bets nothing."""

    def counts(self, n_c: Floats, x_c: Floats, n_s: Floats, x_s: Floats) -> Floats:
        """``log e`` of outcomes 0 and 1, from their counts: shape (…) in, (…, alternatives) out."""
        total = (
            x_c[..., None] * np.log(self.theta_c / self.star_c)
            + (n_c - x_c)[..., None] * np.log((1 - self.theta_c) / (1 - self.star_c))
            + x_s[..., None] * np.log(self.theta_s / self.star_s)
            + (n_s - x_s)[..., None] * np.log((1 - self.theta_s) / (1 - self.star_s))
        )
        log_e: Floats = self.active * total
        return log_e

    def losses(self, y_c: Floats, w_c: Floats, y_s: Floats, w_s: Floats) -> Floats:
        """``log e`` of outcomes between 0 and 1: values *y* that occurred *w* times, (…, values) in, (…, alternatives) out.

        The linear form, of which :meth:`counts` is the special case of the values 0 and 1.
        """
        up = (self.theta_c - self.star_c) / (self.star_c * (1 - self.star_c))
        down = (self.star_s - self.theta_s) / (self.star_s * (1 - self.star_s))
        gain_c = np.log1p(up[..., None, :] * (y_c[..., None] - self.star_c[..., None, :]))
        gain_s = np.log1p(-down[..., None, :] * (y_s[..., None] - self.star_s[..., None, :]))
        total = (w_c[..., None] * gain_c).sum(axis=-2) + (w_s[..., None] * gain_s).sum(axis=-2)
        log_e: Floats = self.active * total
        return log_e


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """Which bets are made: multiples of margin lines, each on its side; shape (alternatives,) each."""

    q: Floats
    ratio: Floats
    add: Floats
    above: Mask
    """True on the abort side of the line."""

    @classmethod
    def of(cls, ratio: float, add: float, side: Side) -> Alternatives:
        """Those of one side of one line."""
        q = Q_ABORT if side == "abort" else Q_PROMOTE
        return cls(q, np.full(len(q), ratio), np.full(len(q), add), np.full(len(q), side == "abort"))

    @classmethod
    def joined(cls, parts: Sequence[Alternatives]) -> Alternatives:
        """Several lines and sides, one after the other."""
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("q", "ratio", "add", "above")
            )
        )


def rate_bets(base: Floats, n_c: Floats, n_s: Floats, chosen: Alternatives) -> Bets:
    """The bets of a guard on rates: multiples of the margin line at stable's past rate."""
    line = chosen.ratio * base[..., None] + chosen.add
    theta_c = np.clip(chosen.q * line, _LOWEST, _HIGHEST)
    return bets_at(base, theta_c, n_c, n_s, chosen.ratio, chosen.add, chosen.above)


def bets_at(
    base: Floats, theta_c: Floats, n_c: Floats, n_s: Floats, ratio: Number, add: Number, above: Mask | bool
) -> Bets:
    """Bets on alternatives ``(theta_c, base)``; an alternative on the wrong side of its line bets nothing.

    Args:
        base: Stable's rate, (…,).
        theta_c: (…, alternatives).
        n_c: Units of the candidate in this look, (…,); where it or *n_s* is 0 the bets are of no use.
        n_s: Units of stable.
        ratio: R of the line, a number or (alternatives,).
        add: δ of the line, a number or (alternatives,).
        above: Which side of the line an alternative must be on, one or (alternatives,).
    """
    line = ratio * base[..., None] + add
    active = np.where(above, theta_c > line, theta_c < line)
    # Where nothing is bet any point will do.
    usable = np.where(active, theta_c, np.clip(line, _LOWEST, _HIGHEST))
    present = (n_c > 0) & (n_s > 0)
    units_c, units_s = np.where(present, n_c, 1.0)[..., None], np.where(present, n_s, 1.0)[..., None]
    star_c, star_s = project(usable, base[..., None], units_c, units_s, ratio, add)
    return Bets(
        usable, np.broadcast_to(base[..., None], usable.shape), star_c, star_s, active.astype(np.float64)
    )


def share_factors(k: Number, n: Number, bound: Number, side: Side) -> Floats:
    """``log e`` of *k* of *n* against a bound on the share: (…) in, (…, alternatives) out.

    Abort: the null is a share of at most *bound*; promote: of at least *bound*. Exact, since the factor of one unit is linear
    in the outcome. A bound outside (0, 1) allows no bet.

    >>> share_factors(35.0, 1000.0, 0.02, "abort").round(3).tolist()[:3]
    [1.364, 2.874, 4.294]
    """
    k, n, bound = (np.asarray(value, dtype=np.float64)[..., None] for value in (k, n, bound))
    usable = (bound > 0) & (bound < 1)
    null = np.where(usable, bound, 0.5)
    q = Q_SHARE if side == "abort" else Q_PROMOTE
    other = np.minimum(q * null, (1 + null) / 2)
    return np.where(usable, k * np.log(other / null) + (n - k) * np.log((1 - other) / (1 - null)), 0.0)


def paired_factors(d: Floats, count: Floats, margin: float, cap: float, side: Side) -> Floats:
    """``log e`` of differences *d* = loss of candidate - loss of stable that occurred *count* times.

    Abort: ``Π(1+λ(d-m))`` with ``λ = l/(B+m)``; promote: ``Π(1-λ(d-m))`` with ``λ = l/(B-m)``.

    Args:
        d: (…, values), in [-cap, cap].
        count: (…, values).
        margin: m, from 0 to below *cap*, in the unit of the loss.
        cap: B.
        side: abort or promote.

    Returns:
        (…, stakes).
    """
    stake = GRID_PAIRS / (cap + margin) if side == "abort" else -GRID_PAIRS / (cap - margin)
    log_e: Floats = (count[..., None] * np.log1p(stake * (d[..., None] - margin))).sum(axis=-2)
    return log_e
