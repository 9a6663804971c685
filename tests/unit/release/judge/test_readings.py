"""From counters and labels to what the judge observes."""

import math

import numpy as np
import pytest

from fairlead.release.judge.arrivals import Label, Predicted, arrived
from fairlead.release.judge.counters import Reading, increments
from fairlead.release.judge.latency import objective_bound, quantile_bound
from fairlead.release.judge.value import loss_of, paired, value_guard

POD = ("pod", -100.0)


def test_increments_are_summed_over_processes():
    before = Reading(0.0, {POD: (10, 1), ("other", -5.0): (100, 2)})
    after = Reading(60.0, {POD: (30, 1), ("other", -5.0): (150, 5)})
    assert increments(before, after).values == (70.0, 3.0)


def test_a_new_process_brings_its_whole_first_value_and_the_old_ones_rest_is_unknown():
    found = increments(Reading(0.0, {POD: (800, 20)}), Reading(60.0, {("pod", 30.0): (900, 25)}))
    assert (found.values, found.unknown) == ((900.0, 25.0), 1)


def test_a_process_that_was_not_read_before_but_is_older_adds_nothing_known():
    found = increments(Reading(0.0, {}), Reading(60.0, {POD: (5000, 50)}))
    assert (found.values, found.unknown) == ((0.0, 0.0), 1)


def test_nothing_read_is_no_increment():
    assert increments(Reading(0.0, {}), Reading(60.0, {})).values == ()


@pytest.mark.parametrize(
    ("values", "says"),
    [((5, 0), "fell without a restart"), ((math.nan, 0), "not a number"), ((math.inf, 0), "not a number"),
     (("x", 0), "not a number")],
    ids=["fell", "nan", "infinite", "text"],
)  # fmt: skip
def test_what_cannot_be_a_counter_makes_the_look_unreadable(values, says):
    assert says in increments(Reading(0.0, {POD: (10, 0)}), Reading(60.0, {POD: values})).problem


def test_counters_of_different_kinds_make_the_look_unreadable():
    assert increments(Reading(0.0, {POD: (1, 2)}), Reading(60.0, {POD: (1, 2, 3)})).problem


BOUNDS = (0.05, 0.1, 0.25, math.inf)


@pytest.mark.parametrize(("objective", "bound"), [(0.05, 0.05), (0.06, 0.1), (0.3, None)])
def test_the_objective_takes_the_next_bound(objective, bound):
    assert objective_bound(BOUNDS, objective) == bound


@pytest.mark.parametrize(
    ("cumulative", "bound"),
    [
        ((990, 995, 999, 1000), 0.05),
        ((900, 989, 999, 1000), 0.25),
        ((0, 0, 0, 0), None),
        ((1, 2, 3, 1000), None),
    ],
)
def test_the_quantile_takes_the_first_bound_with_little_enough_above(cumulative, bound):
    assert quantile_bound(BOUNDS, cumulative, 0.99) == bound


# ----------------------------------------------------------------------------------------------------- labels

COHORTS = {1: Predicted(100.0, 3, 2), 2: Predicted(160.0, 1, 1)}


def label(request, at, loss=1.0, cohort=1, arm="candidate"):
    return Label(request, cohort, arm, loss, at)


def test_a_label_below_maturity_is_young_and_counts_again_when_its_cohort_is_mature():
    labels = [label("a", 150.0)]
    assert arrived(labels, COHORTS, 120.0, 180.0, 1000.0).young[0].c == (1.0,)
    assert arrived(labels, COHORTS, 120.0, 180.0, 1000.0).mature == ()
    ripe = arrived(labels, COHORTS, 1060.0, 1120.0, 1000.0)
    assert (ripe.young, ripe.mature[0].c, ripe.labels) == ((), (1.0,), 0)


def test_a_label_after_maturity_counts_when_it_comes():
    window = arrived([label("a", 1200.0)], COHORTS, 1180.0, 1240.0, 1000.0)
    assert (window.young, window.mature[0].c, window.coverage) == ((), (1.0,), ())


def test_each_request_counts_once_and_corrections_are_counted():
    labels = [label("a", 1200.0, 1.0), label("a", 1210.0, 0.0), label("a", 1300.0, 0.0)]
    window = arrived(labels, COHORTS, 1180.0, 1240.0, 1000.0)
    assert (window.mature[0].c, window.labels, window.corrections) == ((1.0,), 1, 1)


def test_labels_are_kept_by_cohort_and_in_any_order():
    labels = [label("b", 1200.0, 0.0, 2), label("a", 1201.0), label("c", 1202.0, 0.5, 1, "stable")]
    windows = [arrived(order, COHORTS, 1180.0, 1240.0, 1000.0) for order in (labels, labels[::-1])]
    assert windows[0] == windows[1]
    assert [(cohort.number, cohort.c, cohort.s) for cohort in windows[0].mature] == [
        (1, (1.0,), (0.5,)),
        (2, (0.0,), ()),
    ]


def test_coverage_is_told_once_at_maturity():
    window = arrived([label("a", 150.0)], COHORTS, 1060.0, 1120.0, 1000.0)
    [found] = window.coverage
    assert (found.number, found.n_c, found.missing_c, found.n_s, found.missing_s) == (1, 3, 2, 2, 2)


def test_labels_of_the_future_and_of_unknown_cohorts_are_left_out():
    window = arrived([label("a", 5000.0), label("b", 150.0, cohort=9)], COHORTS, 120.0, 180.0, 10.0)
    assert (window.young, window.mature, window.labels) == ((), (), 0)


# ------------------------------------------------------------------------------------------------------ money


def test_money_is_a_loss_between_zero_and_one():
    assert loss_of(np.array([100.0, 0.0, -100.0, -9999.0]), 100.0).tolist() == [0.0, 0.5, 1.0, 1.0]


def test_differences_in_money_are_cut_at_the_cap():
    found = paired(np.array([0.0, 10.0, 10.0]), np.array([90.0, 10.0, 10.0]), 50.0)
    assert (found.difference.tolist(), found.count.tolist()) == ([0.0, 50.0], [2.0, 1.0])


def test_a_margin_in_money_becomes_a_share_of_the_caps_width():
    assert value_guard(0.2, 50.0, pairs=False, unit="EUR").margin.add == pytest.approx(0.002)
