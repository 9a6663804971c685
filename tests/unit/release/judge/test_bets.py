"""Bets: the nearest point of the line, and factors that expect at most 1 under the null."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fairlead.release.judge.bets import Alternatives, paired_factors, project, rate_bets, share_factors
from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.latency import LatencyGuard
from fairlead.release.judge.margin import STRICT
from fairlead.release.judge.windows import Window

SIDES = ("abort", "promote")


@pytest.mark.parametrize(
    ("alternative", "nearest"),
    [
        ((0.01, 0.005, 300, 5700, 1, 0), (0.005250, 0.005250)),
        ((0.01, 0.005, 300, 5700, 1.25, 0.001), (0.007398, 0.005119)),
        ((0.005, 0.005, 3000, 3000, 1.25, 0.001), (0.006099, 0.004079)),
        ((0.9, 0.3, 50, 200, 1, 0.05), (0.457597, 0.407597)),
    ],
    ids=["strict", "default-margin", "inside", "high-rates"],
)
def test_the_nearest_point_is_that_of_the_worked_example(alternative, nearest):
    assert project(*alternative) == pytest.approx(nearest, abs=1e-6)


def bisected(theta_c, theta_s, n_c, n_s, ratio, add):
    """The same point by a hundred halvings."""
    low, high = max(1e-12, (1e-12 - add) / ratio), min(1 - 1e-12, (1 - 1e-12 - add) / ratio)
    for _ in range(100):
        t = (low + high) / 2
        c = ratio * t + add
        value = ratio * n_c * (c - theta_c) / (c * (1 - c)) + n_s * (t - theta_s) / (t * (1 - t))
        low, high = (t, high) if value < 0 else (low, t)
    return ratio * high + add, high


rates = st.floats(1e-6, 0.99)


@given(
    rates,
    rates,
    st.floats(1, 1e6),
    st.floats(1, 1e6),
    st.floats(0.5, 5),
    st.sampled_from([0.0, 0.001, 0.02, 0.3]),
)
def test_the_nearest_point_is_where_bisection_finds_it(theta_c, theta_s, n_c, n_s, ratio, add):
    found = project(theta_c, theta_s, n_c, n_s, ratio, add)
    assert found == pytest.approx(bisected(theta_c, theta_s, n_c, n_s, ratio, add), rel=1e-7, abs=1e-11)


def binomial(n, p):
    """Chances of 0 … n."""
    k = np.arange(n + 1)
    logs = np.array([sum(np.log(range(1, int(m) + 1))) for m in range(n + 1)])
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = np.exp(logs[n] - logs[k] - logs[n - k] + k * np.log(p) + (n - k) * np.log1p(-p))
    return np.where(np.isnan(chance), 0.0, chance)


@given(
    n_c=st.integers(1, 60), n_s=st.integers(1, 60), ratio=st.floats(0.5, 5), add=st.sampled_from([0.0, 0.001, 0.01, 0.2]),
    base=st.floats(0.001, 0.6), p_s=st.floats(0.0, 1.0), inside=st.floats(0.0, 1.0), side=st.sampled_from(SIDES),
    phi=st.sampled_from([1.0, 3.0]),
)  # fmt: skip
def test_no_bet_expects_more_than_one_while_the_null_is_true(
    n_c, n_s, ratio, add, base, p_s, inside, side, phi
):
    line = ratio * p_s + add
    p_c = inside * min(line, 1.0) if side == "abort" else line + inside * (1 - line)
    assume(0 <= p_c <= 1)
    n = np.array(float(n_c)), np.array(float(n_s))
    bets = rate_bets(np.array(base), *n, Alternatives.of(ratio, add, side))
    x_c, x_s = np.meshgrid(np.arange(n_c + 1.0), np.arange(n_s + 1.0), indexing="ij")
    factors = np.exp(bets.counts(n[0], x_c, n[1], x_s) / phi)
    chances = binomial(n_c, p_c)[:, None] * binomial(n_s, p_s)[None, :]
    assert np.all((chances[..., None] * factors).sum(axis=(0, 1)) <= 1 + 1e-9)


@given(st.integers(1, 60), st.floats(0.01, 0.95), st.floats(0, 1), st.sampled_from(SIDES))
def test_no_bet_on_one_share_expects_more_than_one_while_the_null_is_true(n, bound, inside, side):
    p = inside * bound if side == "abort" else bound + inside * (1 - bound)
    k = np.arange(n + 1.0)
    factors = np.exp(share_factors(k, np.full(n + 1, float(n)), bound, side))
    assert np.all((binomial(n, p)[:, None] * factors).sum(axis=0) <= 1 + 1e-9)


@given(st.floats(0, 0.5), st.floats(0, 1), st.floats(0, 1), st.sampled_from(SIDES))
def test_no_bet_on_a_pair_expects_more_than_one_while_the_null_is_true(margin, share, inside, side):
    # Differences -1, 0 and 1, whose mean is on the null's side of the margin.
    mean = -1 + inside * (1 + margin) if side == "abort" else margin + inside * (1 - margin)
    worse = max(mean, 0.0) + share * (1 - abs(mean)) / 2
    chances = np.array([worse, worse - mean, 1 - 2 * worse + mean])
    assume(np.all(chances >= -1e-12))
    factors = [
        np.exp(paired_factors(np.array([d]), np.array([1.0]), margin, 1.0, side)) for d in (1.0, -1.0, 0.0)
    ]
    assert np.all(sum(chance * factor for chance, factor in zip(chances, factors, strict=True)) <= 1 + 1e-9)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(2, 5), st.sampled_from(SIDES), st.data())
def test_a_look_split_at_the_same_ratio_and_base_has_the_same_factors(n_c, n_s, parts, side, data):
    base, total = np.array(0.02), 0.0
    sums = np.zeros(4)
    for _ in range(parts):
        x_c, x_s = data.draw(st.integers(0, n_c)), data.draw(st.integers(0, n_s))
        look = np.array([n_c, x_c, n_s, x_s], dtype=float)
        total = total + rate_bets(base, look[0], look[2], Alternatives.of(1.25, 0.001, side)).counts(*look)
        sums += look
    whole = rate_bets(base, sums[0], sums[2], Alternatives.of(1.25, 0.001, side)).counts(*sums)
    np.testing.assert_allclose(total, whole, rtol=1e-9, atol=1e-9 * parts * (n_c + n_s))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 50), st.integers(0, 50))
def test_losses_of_zero_and_one_are_counts(n_c, n_s, x_c, x_s):
    assume(x_c <= n_c and x_s <= n_s)
    for side in SIDES:
        bets = rate_bets(
            np.array(0.2), np.array(float(n_c)), np.array(float(n_s)), Alternatives.of(1.0, 0.02, side)
        )
        counts = bets.counts(*(np.array(float(v)) for v in (n_c, x_c, n_s, x_s)))
        values = np.array([0.0, 1.0])
        losses = bets.losses(values, np.array([n_c - x_c, x_c]), values, np.array([n_s - x_s, x_s]))
        np.testing.assert_allclose(losses, counts, rtol=1e-9, atol=1e-9)


@settings(max_examples=40)
@given(
    guard=st.sampled_from([ErrorsGuard(STRICT), ErrorsGuard(), ErrorsGuard(burst=3.0), LatencyGuard(block=1.0)]),
    first=st.tuples(st.integers(0, 30), st.integers(0, 90)), n_c=st.integers(1, 25), n_s=st.integers(1, 25),
    p_s=st.floats(0.001, 0.6), side=st.sampled_from(SIDES),
)  # fmt: skip
def test_evidence_is_never_expected_to_grow_while_the_null_is_true(guard, first, n_c, n_s, p_s, side):
    p_c = min(guard.margin.at(p_s), 1.0)
    assume(p_c < 1 or side == "abort")
    x_c, x_s = (
        grid.ravel() for grid in np.meshgrid(np.arange(n_c + 1.0), np.arange(n_s + 1.0), indexing="ij")
    )
    all_of = np.ones(len(x_c))
    before = guard.update(
        guard.begin((len(x_c),)), Window(30 * all_of, first[0] * all_of, 90.0 * all_of, first[1] * all_of)
    )
    after = guard.update(before, Window(n_c * all_of, x_c, n_s * all_of, x_s))
    money = [
        np.exp(getattr(getattr(state, "rates", state), side).log.reshape(len(x_c)))
        for state in (before, after)
    ]
    chances = (binomial(n_c, p_c)[:, None] * binomial(n_s, p_s)[None, :]).ravel()
    assert (chances * money[1]).sum() <= money[0][0] * (1 + 1e-9)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("counts", "base"),
    list(
        itertools.product(
            [(1, 0, 1, 0), (1, 1, 1, 1), (1, 1, 1e9, 0), (1e9, 1e9, 1, 0), (1e12, 0, 1e12, 1e12)],
            [1e-6, 0.99],
        )
    ),
)
def test_extreme_counts_give_finite_factors(side, counts, base):
    n_c, x_c, n_s, x_s = (np.array(float(count)) for count in counts)
    bets = rate_bets(np.array(base), n_c, n_s, Alternatives.of(1.25, 0.001, side))
    assert np.isfinite(bets.counts(n_c, x_c, n_s, x_s)).all()
