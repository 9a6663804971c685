"""Two thousand simulated releases at once: how often a good candidate is aborted, and one at the margin promoted.

The guards themselves run here, with one more axis; ``benchmarks/judge`` has the larger tables.
"""

import numpy as np
import pytest

from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.latency import LatencyGuard
from fairlead.release.judge.margin import STRICT, Margin
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.shadow import FlipsGuard
from fairlead.release.judge.windows import Bins, Pairs, Window

ROLLOUTS, LOOKS, UNITS, BASE = 2000, 60, 6000, 0.005
LEVEL = np.log(20)
LADDER = (0.01, 0.05, 0.25, 0.5)


def ladder(number, state):
    """Weights that rise with time."""
    return np.full(ROLLOUTS, LADDER[number * len(LADDER) // LOOKS])


def adversary(number, state):
    """Weights that rise when the evidence looks bad, and fall when it looks good."""
    return np.where(state.abort.log > 0, 0.5, 0.02)


def simulated(guard, rate_of_candidate, weigh, *, rollouts=ROLLOUTS):
    """Shares of releases ever aborted and ever promoted by one guard on errors, the base swinging with the day."""
    generator = np.random.default_rng(20)
    state, promoted = guard.begin((rollouts,)), np.zeros(rollouts, dtype=bool)
    for number in range(LOOKS):
        base = BASE * (1 + 0.6 * np.sin(2 * np.pi * number / LOOKS)) * generator.lognormal(0, 0.2, rollouts)
        n_c = np.round(UNITS * weigh(number, state)[:rollouts])
        x_c = generator.binomial(n_c.astype(int), np.minimum(rate_of_candidate(base), 1))
        x_s = generator.binomial((UNITS - n_c).astype(int), base)
        state = guard.update(state, Window(n_c, x_c, UNITS - n_c, x_s))
        promoted |= state.promote.log[..., 0] >= LEVEL
    return float((state.peak >= LEVEL).mean()), float(promoted.mean())


@pytest.mark.parametrize("weigh", [ladder, adversary], ids=lambda rule: rule.__name__)
def test_an_equal_candidate_is_rarely_aborted_even_at_the_strict_margin(weigh):
    aborted, _ = simulated(ErrorsGuard(STRICT, prior_base=0.006), lambda base: base, weigh)
    assert aborted <= 0.035


@pytest.mark.parametrize("weigh", [ladder, adversary], ids=lambda rule: rule.__name__)
def test_a_candidate_exactly_at_the_margin_is_rarely_promoted_or_aborted(weigh):
    aborted, promoted = simulated(ErrorsGuard(prior_base=0.006), lambda base: 1.25 * base + 0.001, weigh)
    assert promoted <= 0.05
    assert aborted <= 0.05


def test_four_times_the_errors_are_found_in_a_few_looks():
    guard, generator = ErrorsGuard(), np.random.default_rng(4)
    state = guard.begin((500,))
    for _ in range(5):
        state = guard.update(
            state, Window(200, generator.binomial(200, 0.02, 500), 3800, generator.binomial(3800, 0.005, 500))
        )
    assert (state.peak >= LEVEL).mean() >= 0.5


def test_a_thousand_releases_at_once_are_a_thousand_releases():
    guard, generator = ErrorsGuard(steps=3), np.random.default_rng(1)
    x_c, x_s = generator.binomial(300, 0.01, (4, 6)), generator.binomial(5700, 0.005, (4, 6))
    together = guard.begin((6,))
    for look in range(4):
        together = guard.update(together, Window(300, x_c[look], 5700, x_s[look]))
    for release in range(6):
        alone = guard.begin()
        for look in range(4):
            alone = guard.update(alone, Window(300, x_c[look, release], 5700, x_s[look, release]))
        np.testing.assert_allclose(together.abort.log[release], alone.abort.log, rtol=1e-9)
        np.testing.assert_allclose(together.promote.log[release], alone.promote.log, rtol=1e-9)


def test_a_fault_that_starts_late_is_found_soon_because_of_the_reserve():
    def looks_until_found(reserve):
        generator = np.random.default_rng(3)
        guard = ErrorsGuard(reserve=reserve)
        state, found = guard.begin((100,)), np.full(100, np.inf)
        for number in range(160):
            rate = BASE if number < 100 else 3 * BASE
            window = Window(
                1200, generator.binomial(1200, rate, 100), 4800, generator.binomial(4800, BASE, 100)
            )
            state = guard.update(state, window)
            found = np.where((state.peak >= LEVEL) & np.isinf(found), number - 99, found)
        return float(np.median(found))

    assert looks_until_found(0.2) <= 10 < looks_until_found(0.0)


@pytest.mark.parametrize(("distance", "fired"), [(0.0, (0.0, 0.02)), (0.05, (0.0, 0.05)), (0.2, (0.9, 1.0))])
def test_predictions_fire_beyond_the_tolerance_only(distance, fired):
    guard, generator = PredictionsGuard(bins=10), np.random.default_rng(10)
    shares = np.full(10, 0.1)
    moved = shares + distance / 5 * np.repeat([1, -1], 5)
    state = guard.begin((500,))
    for _ in range(20):
        state = guard.update(
            state, Bins(generator.multinomial(300, moved, 500), generator.multinomial(5700, shares, 500))
        )
    assert fired[0] <= (state.peak >= LEVEL).mean() <= fired[1]


@pytest.mark.parametrize(("share", "proved"), [(0.005, "promote"), (0.04, "abort")])
def test_flips_are_proved_on_the_side_they_are_on(share, proved):
    guard, generator = FlipsGuard(), np.random.default_rng(2)
    state = guard.begin((500,))
    for _ in range(20):
        state = guard.update(state, Pairs(1000, generator.binomial(1000, share, 500)))
    assert (getattr(state, proved).log >= LEVEL).mean() > 0.99


def test_independent_slow_answers_abort_no_equal_candidate():
    guard, generator = LatencyGuard(STRICT), np.random.default_rng(7)
    state = guard.begin((500,))
    for _ in range(60):
        state = guard.update(
            state,
            Window(
                300, generator.binomial(300, 0.01, 500), 5700, generator.binomial(5700, 0.01, 500), seconds=60
            ),
        )
    assert (state.rates.peak >= LEVEL).mean() <= 0.02


def test_a_wider_margin_aborts_less():
    _, at_margin = simulated(ErrorsGuard(), lambda base: base, ladder, rollouts=300)
    aborted, _ = simulated(ErrorsGuard(Margin(2.0, 0.01)), lambda base: 2 * base, ladder, rollouts=300)
    assert aborted == 0.0
    assert at_margin > 0.9
