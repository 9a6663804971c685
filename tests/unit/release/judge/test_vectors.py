"""Worked examples of every guard: figures computed once by hand and by a second program, to six digits."""

import math

import numpy as np
import pytest

from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.fixed import FixedGuard
from fairlead.release.judge.forecast import Counted, planned, units_needed
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.latency import LatencyGuard, noise, slow_of
from fairlead.release.judge.margin import Margin, step_margins
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.shadow import FlipsGuard, PairedGuard
from fairlead.release.judge.slices import mean_evidence, named
from fairlead.release.judge.traffic import TrafficGuard
from fairlead.release.judge.windows import (
    Bins,
    Cohort,
    Coverage,
    LabelWindow,
    PairedLosses,
    Pairs,
    Share,
    Window,
)

DEFAULT, STRICT = Margin(1.25, 0.001), Margin(1.0, 0.0)


def near(*figures):
    return pytest.approx(figures, abs=1e-6)


def both(state):
    """Evidence of the abort side and, at the final margin, of the promote side."""
    return float(state.abort.log), float(np.ravel(state.promote.log)[0])


@pytest.mark.parametrize(
    ("window", "margin", "burst", "abort", "promote"),
    [
        ((300, 6, 5700, 28), STRICT, 1, 2.284389, -1.784813),
        ((300, 6, 5700, 28), DEFAULT, 1, 1.088547, -1.668588),
        ((300, 9, 5700, 28), DEFAULT, 1, 3.996529, -2.203745),
        ((300, 9, 5700, 28), DEFAULT, 3, 0.967417, -1.232308),
        ((3000, 0, 3000, 0), DEFAULT, 1, -0.857154, 1.570007),
        ((3000, 0, 3000, 0), Margin(1.25, 0.0), 1, -0.300308, -0.007920),
        ((60, 12, 5940, 30), DEFAULT, 1, 25.566593, -2.916086),
        ((300, 3, 0, 0), DEFAULT, 1, 0.0, 0.0),
    ],
    ids=[
        "strict",
        "default",
        "aborts",
        "bursts",
        "clean",
        "clean-without-addend",
        "gross",
        "no-stable-traffic",
    ],
)
def test_one_look_at_errors(window, margin, burst, abort, promote):
    guard = ErrorsGuard(margin, burst=burst)
    assert both(guard.update(guard.begin(), Window(*window))) == near(abort, promote)


def test_the_same_look_twice_bets_on_what_the_first_one_showed():
    guard = ErrorsGuard()
    first = guard.update(guard.begin(), Window(300, 6, 5700, 28))
    second = guard.update(first, Window(300, 6, 5700, 28))
    assert (float(first.abort.log), float(second.abort.log)) == near(1.088547, 2.815252)


def test_evidence_is_carried_across_weights():
    guard, found = ErrorsGuard(), []
    state = guard.begin()
    for window in ((300, 5, 5700, 30), (1500, 20, 4500, 21), (3000, 41, 3000, 14)):
        state = guard.update(state, Window(*window))
        found.append((*both(state), float(state.abort.cash)))
    assert found == [
        near(0.312470, -1.423498, 0.1),
        near(2.156478, -2.805629, 0.066667),
        near(5.120459, -4.121771, 0.05),
    ]


def test_sixty_clean_answers_prove_the_first_step_of_four():
    guard = ErrorsGuard(steps=4)
    state = guard.update(guard.begin(), Window(60, 0, 5940, 30))
    assert float(state.promote.log[3]) == pytest.approx(3.172127, abs=1e-6)


def test_the_default_ladder_of_margins():
    found = [(margin.ratio, round(margin.add, 9)) for margin in step_margins(DEFAULT, 4)]
    assert found == [(5, 0.05), (3, 0.02), (2, 0.005), (1.25, 0.001)]


def test_a_strict_ratio_stays_strict_at_every_step():
    assert {margin.ratio for margin in step_margins(Margin(1.0, 0.01), 6)} == {1.0}


# ---------------------------------------------------------------------------------------------------- latency

BOUNDS = (0.1, 0.25, 0.5, math.inf)


@pytest.mark.parametrize(
    ("before", "after", "answers", "slow"),
    [
        ((100, 180, 196, 200), (400, 700, 776, 800), 600, 20),
        ((2000, 3600, 3940, 4000), (4700, 8460, 9286, 9400), 5400, 54),
        ((0, 0, 0, 0), (30, 55, 59, 60), 60, 1),
    ],
    ids=["candidate", "stable", "new-process"],
)
def test_slow_answers_are_read_from_buckets(before, after, answers, slow):
    grown = [new - old for old, new in zip(before, after, strict=True)]
    assert slow_of(BOUNDS, grown, 0.5) == (answers, slow)


@pytest.mark.parametrize(
    ("window", "kappa0", "phi", "abort", "promote"),
    [
        ((600, 20, 5400, 54), 0.0, 1.0, 2.795050, -2.801554),
        ((600, 20, 5400, 54), 1.0, 6.4, 0.071166, -1.085707),
        ((600, 120, 5400, 54), 1.0, 6.4, 21.587606, None),
        ((600, 4, 5400, 54), 1.0, 6.4, None, 0.092696),
    ],
    ids=["independent", "first-block", "gross", "better"],
)
def test_one_block_of_latency(window, kappa0, phi, abort, promote):
    guard = LatencyGuard(kappa0=kappa0, prior_base=0.01)
    state = guard.update(guard.begin(), Window(*window, seconds=60))
    assert float(state.phi) == pytest.approx(phi, abs=1e-6)
    for found, wanted in zip(both(state.rates), (abort, promote), strict=True):
        assert wanted is None or found == pytest.approx(wanted, abs=1e-6)


def test_noise_is_learnt_from_earlier_blocks():
    blocks = np.array([(60, 1, 540, 4), (60, 0, 540, 6), (60, 7, 540, 5), (60, 2, 540, 30)], dtype=float)
    assert float(noise(blocks, 1.0)) == pytest.approx(1.045650, abs=1e-6)
    guard = LatencyGuard(prior_base=0.01)
    state = guard.begin()
    for block in blocks:
        state = guard.update(state, Window(*block, seconds=60))
    # The base of the fifth block is what the four showed; the worked figure has stable's rate 0.01.
    fixed = LatencyGuard(prior_base=0.01, prior_weight=1e15)
    assert float(fixed.update(state, Window(600, 1, 5400, 1)).phi) == pytest.approx(6.646512, abs=1e-6)


# ------------------------------------------------------------------------------------------------ predictions


def test_predictions_bet_on_the_bins_that_the_past_showed():
    guard, found = PredictionsGuard(bins=3), []
    state = guard.begin()
    for c, s in [
        ((400, 350, 250), (5000, 3000, 2000)),
        ((380, 300, 320), (5050, 2980, 1970)),
        ((350, 330, 320), (4950, 3050, 2000)),
    ]:
        state = guard.update(state, Bins(c, s))
        found.append(float(state.abort.log))
    assert found == near(0.0, 8.353676, 25.007269)


def test_predictions_without_candidate_traffic_change_nothing():
    guard = PredictionsGuard(bins=3)
    state = guard.begin()
    assert guard.update(state, Bins((0, 0, 0), (5000, 3000, 2000))) is state


# ----------------------------------------------------------------------------------------------------- shadow


@pytest.mark.parametrize(
    ("flips", "pairs", "abort", "promote"),
    [
        (35, 1000, 3.109318, -3.555536),
        (20, 1000, -1.172249, -1.394885),
        (8, 1000, -1.957284, 3.666216),
        (0, 150, -1.244734, 1.905996),
    ],
)
def test_flips_against_two_percent(flips, pairs, abort, promote):
    guard = FlipsGuard(bound=0.02)
    assert both(guard.update(guard.begin(), Pairs(pairs, flips))) == near(abort, promote)


@pytest.mark.parametrize(
    ("worse", "better", "same", "margin", "abort", "promote"),
    [
        (30, 10, 460, 0.005, 2.213223, -0.981931),
        (10, 10, 2480, 0.005, -0.719601, 1.696166),
        (12, 4, 484, 0.0, 0.838256, -0.704828),
        (0, 0, 1000, 0.01, -0.636281, 5.991550),
    ],
)
def test_paired_losses_of_zero_and_one(worse, better, same, margin, abort, promote):
    guard = PairedGuard(margin=margin)
    assert both(guard.update(guard.begin(), PairedLosses.of_counts(worse, better, same))) == near(
        abort, promote
    )


def test_paired_losses_in_money():
    guard = PairedGuard(margin=0.20, cap=50.0)
    lost = (3, -1, 12.5, 0, 0, -50, 7.25, 0.5)
    assert both(guard.update(guard.begin(), PairedLosses(lost, [1] * 8))) == near(-0.154040, 0.076825)


# ----------------------------------------------------------------------------------------------------- labels

C, S = (0.1, 0.9, 0.4, 0.0), (0.2, 0.1, 0.0, 0.3, 0.5, 0.1, 0.2, 0.0)


@pytest.mark.parametrize(
    ("cohorts", "abort", "promote"),
    [
        ((Cohort(1, C, S),), -0.224375, -0.474280),
        ((Cohort(1, C[:3], S[:4]), Cohort(2, C[3:], S[4:])), -0.299783, -0.443131),
        ((Cohort(1, (1.0,) * 3 + (0.0,) * 7, (1.0,) * 2 + (0.0,) * 18),), -0.114572, None),
    ],
    ids=["one-cohort", "two-cohorts", "right-or-wrong"],
)
def test_late_labels_by_cohort(cohorts, abort, promote):
    guard = LabelsGuard(margin=Margin(1.0, 0.02), prior_base=0.2)
    state = guard.update(guard.begin(), LabelWindow(mature=cohorts))
    assert float(state.rates.abort.log) == pytest.approx(abort, abs=1e-6)
    assert promote is None or float(state.rates.promote.log[0]) == pytest.approx(promote, abs=1e-6)


def test_right_or_wrong_as_counts_gives_the_same():
    guard = ErrorsGuard(Margin(1.0, 0.02), prior_base=0.2)
    assert float(guard.update(guard.begin(), Window(10, 3, 20, 2)).abort.log) == pytest.approx(
        -0.114572, abs=1e-6
    )


@pytest.mark.parametrize(
    ("cohort", "fewer"),
    [((1000, 300, 4000, 300), 122.797942), ((1000, 90, 4000, 360), -2.191754)],
    ids=["unequal", "equal"],
)
def test_coverage_of_labels(cohort, fewer):
    guard = LabelsGuard(coverage=0.02, prior_missing=0.1)
    state = guard.update(guard.begin(), LabelWindow(coverage=(Coverage(1, *cohort),)))
    assert float(state.coverage.abort.log[0]) == pytest.approx(fewer, abs=1e-6)


# ----------------------------------------------------------------------------------------- verdicts and traffic


def test_evidence_of_several_guards_is_their_weighted_mean():
    log_e, weights = np.array([2, 1, -3, 0.5]), np.array([0.4, 0.2, 0.3, 0.1])
    mean = float(mean_evidence(log_e + np.log(weights))) + math.log(4)
    assert mean == pytest.approx(1.302665, abs=1e-6)


def test_slices_are_named_by_their_present_evidence():
    assert named(np.log([300, 60, 24, 8, 0.5]), 0.1) == [0, 1, 2]


@pytest.mark.parametrize(
    ("routed", "more", "less"),
    [(330, -0.309435, None), (150, None, 5.166541), (250, -2.300818, -8.535434)],
    ids=["a-third-more", "too-little", "as-asked"],
)
def test_the_routed_share_of_five_thousand_at_five_percent(routed, more, less):
    guard = TrafficGuard()
    state = guard.update(guard.begin(), Share(routed, 5000, 0.05))
    assert more is None or float(state.more.log) == pytest.approx(more, abs=1e-6)
    assert less is None or float(state.less.log) == pytest.approx(less, abs=1e-6)


@pytest.mark.parametrize(
    ("bad", "units", "abort"),
    [(35, 1000, 3.109318), (20, 1000, -1.172249), (8, 1000, -1.957284), (0, 150, -1.244734)],
)
def test_one_arm_against_a_fixed_bound(bad, units, abort):
    guard = FixedGuard("errors", bound=0.02)
    assert float(guard.update(guard.begin(), Window(units, bad, 0, 0)).abort.log) == pytest.approx(
        abort, abs=1e-6
    )


# --------------------------------------------------------------------------------------------------- forecast


@pytest.mark.parametrize(
    ("counted", "log_e", "side", "needed"),
    [
        ((20, 1500, 28, 28500), 1.0, "abort", 163.030497),
        ((9, 1500, 140, 28500), 0.5, "promote", 51823.942530),
        ((20, 1500, 28, 28500), 0.5, "promote", None),
    ],
    ids=["abort", "promote", "not-expected"],
)
def test_units_that_are_still_needed(counted, log_e, side, needed):
    found = units_needed(Counted(*counted), 19, DEFAULT, log_e, math.log(20), side)
    assert found == (None if needed is None else pytest.approx(needed, abs=1e-5))


@pytest.mark.parametrize(
    ("base", "worse", "at_5", "at_50"),
    [
        (0.001, 1, 31.1, 4.5),
        (0.005, 1, 35.4, 6.5),
        (0.02, 1, 18.3, 3.6),
        (0.005, 2, 30.2, 6.3),
        (0.005, 4, 1.9, 0.5),
    ],
)
def test_the_plan_before_the_first_look(base, worse, at_5, at_50):
    looks = [
        planned(base, ratio, DEFAULT, math.log(20), worse) / units for ratio, units in ((19, 300), (1, 3000))
    ]
    assert looks == [pytest.approx(at_5, abs=0.05), pytest.approx(at_50, abs=0.05)]
