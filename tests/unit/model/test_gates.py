"""Every kind of gate, passing and failing, and what it says."""

from __future__ import annotations

import math

import pytest

from fairlead.gates import ChampionComparison, Difference, judge, lets_through
from fairlead.records import GateResult, Outcome
from fairlead.spec.project import Gate

PASSED, FAILED = Outcome.PASSED, Outcome.FAILED
NOT_MEASURABLE, NOT_APPLICABLE = Outcome.NOT_MEASURABLE, Outcome.NOT_APPLICABLE


def champion(
    low: float | None, high: float | None, metric: str = "roc_auc", reason: str = ""
) -> ChampionComparison:
    differences = {} if reason else {metric: Difference(0.84, 0.85, low, high)}
    return ChampionComparison("3", 1000, differences, reason)


def outcome(gate: Gate, metrics=None, baseline=None, compared=None) -> Outcome:
    [result] = judge([gate], metrics or {}, baseline or {}, compared)
    return result.outcome


@pytest.mark.parametrize(
    ("bar", "measured", "expected"),
    [
        ({"at_least": 0.8}, 0.81, PASSED),
        ({"at_least": 0.8}, 0.8, PASSED),
        ({"at_least": 0.8}, 0.79, FAILED),
        ({"at_least": 0.3}, 0.1 + 0.2, PASSED),
        ({"at_least": 0.1 + 0.2}, 0.3, PASSED),
        ({"at_most": 0.1}, 0.09, PASSED),
        ({"at_most": 0.1}, 0.1, PASSED),
        ({"at_most": 0.1}, 0.11, FAILED),
        ({"at_most": 0.1}, math.nan, NOT_MEASURABLE),
        ({"at_least": 0.8}, math.inf, NOT_MEASURABLE),
        ({"at_least": 0.8}, None, NOT_MEASURABLE),
        ({"at_most": 0.8}, None, NOT_MEASURABLE),
        ({"better_than": "baseline"}, None, NOT_MEASURABLE),
        ({"not_worse_than": "champion"}, None, NOT_MEASURABLE),
    ],
)
def test_fixed_bars_and_missing_metrics(bar: dict, measured: float | None, expected: Outcome) -> None:
    metrics = {} if measured is None else {"recall": measured}
    assert outcome(Gate(metric="recall", **bar), metrics, {"recall": 0.5}) == expected


@pytest.mark.parametrize(
    ("metric", "by", "measured", "baseline", "expected"),
    [
        ("roc_auc", 0.0, 0.81, 0.80, PASSED),
        ("roc_auc", 0.0, 0.80, 0.80, FAILED),
        ("roc_auc", 0.0, 0.79, 0.80, FAILED),
        ("roc_auc", 0.02, 0.82, 0.80, PASSED),
        ("roc_auc", 0.02, 0.81, 0.80, FAILED),
        ("mae", 0.0, 9.0, 10.0, PASSED),
        ("mae", 0.0, 10.0, 10.0, FAILED),
        ("mae", 2.0, 8.0, 10.0, PASSED),
        ("mae", 2.0, 8.5, 10.0, FAILED),
        ("roc_auc", 0.0, 0.81, None, NOT_MEASURABLE),
    ],
)
def test_against_the_baseline(
    metric: str, by: float, measured: float, baseline: float | None, expected: Outcome
) -> None:
    gate = Gate(metric=metric, better_than="baseline", by=by)
    known = {} if baseline is None else {metric: baseline}
    assert outcome(gate, {metric: measured}, known) == expected


@pytest.mark.parametrize(
    ("metric", "margin", "low", "high", "expected"),
    [
        ("roc_auc", 0.0, 0.001, 0.02, PASSED),
        ("roc_auc", 0.0, 0.0, 0.0, PASSED),
        ("roc_auc", 0.0, -0.001, 0.02, FAILED),
        ("roc_auc", 0.005, -0.004, 0.02, PASSED),
        ("roc_auc", 0.005, -0.006, 0.02, FAILED),
        ("log_loss", 0.0, -0.02, -0.001, PASSED),
        ("log_loss", 0.0, -0.02, 0.001, FAILED),
        ("log_loss", 0.005, -0.02, 0.004, PASSED),
        ("log_loss", 0.005, -0.02, 0.006, FAILED),
        ("roc_auc", 0.005, None, None, NOT_MEASURABLE),
    ],
)
def test_against_the_champion(
    metric: str, margin: float, low: float | None, high: float | None, expected: Outcome
) -> None:
    gate = Gate(metric=metric, not_worse_than="champion", margin=margin)
    assert outcome(gate, {metric: 0.84}, {}, champion(low, high, metric)) == expected


def test_the_first_model_has_no_champion_to_beat() -> None:
    gate = Gate(metric="roc_auc", not_worse_than="champion")
    assert outcome(gate, {"roc_auc": 0.84}) == NOT_APPLICABLE


def test_a_champion_that_could_not_be_asked_lets_nothing_through() -> None:
    gate = Gate(metric="roc_auc", not_worse_than="champion")
    [result] = judge([gate], {"roc_auc": 0.84}, {}, champion(None, None, reason="it has other classes"))
    assert result.outcome == NOT_MEASURABLE
    assert result.reason == (
        "the champion (version 3) was not compared: it has other classes; "
        "promote a version that can be, or leave the gate out"
    )


def test_every_bar_of_a_gate_is_one_result_in_the_order_of_the_file() -> None:
    both = Gate(metric="roc_auc", at_least=0.8, better_than="baseline", by=0.02)
    results = judge(
        [both, Gate(metric="mae", at_most=1)], {"roc_auc": 0.9, "mae": 2.0}, {"roc_auc": 0.5}, None
    )
    assert [(result.gate, result.outcome) for result in results] == [
        ("roc_auc at least 0.8", PASSED),
        ("roc_auc better than baseline by 0.02", PASSED),
        ("mae at most 1", FAILED),
    ]


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (Gate(metric="roc_auc", at_least=0.9), "roc_auc is 0.84, at least 0.9 is asked"),
        (Gate(metric="roc_auc", at_most=0.5), "roc_auc is 0.84, at most 0.5 is asked"),
        (
            Gate(metric="roc_auc", better_than="baseline", by=0.5),
            "roc_auc is 0.84, the baseline's is 0.5, better by 0.5 is asked",
        ),
        (Gate(metric="mae", at_most=1), "mae of the model could not be measured on the test rows"),
        (
            Gate(metric="roc_auc", not_worse_than="champion", margin=0.005),
            (
                "roc_auc is 0.84, that of the champion (version 3) is 0.85 on the same 1,000 rows; "
                "the difference lies between -0.02 and 0.01 (95 %), and may not be worse than -0.005"
            ),
        ),
    ],
    ids=["at least", "at most", "baseline", "not measured", "champion"],
)
def test_the_reason_names_what_was_measured_and_the_bar(gate: Gate, reason: str) -> None:
    [result] = judge([gate], {"roc_auc": 0.84}, {"roc_auc": 0.5}, champion(-0.02, 0.01))
    assert (result.reason, result.outcome.lets_through) == (reason, False)


def test_a_near_miss_is_written_with_enough_digits() -> None:
    [result] = judge([Gate(metric="roc_auc", at_least=0.8)], {"roc_auc": 0.799999}, {}, None)
    assert result.reason == "roc_auc is 0.799999, at least 0.8 is asked"


@pytest.mark.parametrize(
    ("outcomes", "through"),
    [
        ([], True),
        ([PASSED, NOT_APPLICABLE], True),
        ([PASSED, FAILED], False),
        ([PASSED, NOT_MEASURABLE], False),
    ],
)
def test_one_bar_that_is_not_passed_stops_the_model(outcomes: list[Outcome], through: bool) -> None:
    assert lets_through([GateResult("gate", outcome, "reason") for outcome in outcomes]) is through
