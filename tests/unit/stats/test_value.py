"""Money per outcome, and the threshold that is worth most."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ProjectError
from fairlead.schema.fields import Output
from fairlead.spec.project import OutcomeValue
from fairlead.stats.value import (
    AnswerValue,
    CellValue,
    UnitValue,
    best_threshold,
    cuts,
    value_for,
    value_per_1000,
)

TWO = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.5)
THREE = Output("classification", classes=("a", "b", "c"))
FRAUD = CellValue(true_positive=85, false_positive=-4, false_negative=-110, true_negative=0)

money = st.integers(-200, 200).map(float)
cells = st.builds(CellValue, money, money, money, money)
chance = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.50001, 0.7, 0.9, 1.0])
rows = st.lists(st.tuples(st.booleans(), chance), min_size=1, max_size=25)


def worth(value: CellValue, positive, probability, threshold: float) -> float:
    return float(1000 * value.money(positive, probability >= threshold).mean())


@given(cells, rows)
def test_no_threshold_is_worth_more_than_the_best_one(value: CellValue, drawn) -> None:
    positive, probability = (np.array(column) for column in zip(*drawn, strict=True))
    best = worth(value, positive, probability, best_threshold(value, positive, probability))
    everything = [0.0, *np.unique(probability), *(np.unique(probability) + 1e-9), 0.5, 2.0]
    assert best == pytest.approx(max(worth(value, positive, probability, t) for t in everything))


@given(cells, rows)
def test_each_cut_is_worth_what_it_says(value: CellValue, drawn) -> None:
    positive, probability = (np.array(column) for column in zip(*drawn, strict=True))
    found = cuts(value, positive, probability)
    for threshold, per_1000 in zip(found.thresholds, found.per_1000, strict=True):
        assert per_1000 == pytest.approx(worth(value, positive, probability, threshold), abs=1e-6)


@given(cells, rows)
def test_rounding_to_float32_moves_no_row_across_the_best_threshold(value: CellValue, drawn) -> None:
    positive, probability = (np.array(column) for column in zip(*drawn, strict=True))
    threshold = best_threshold(value, positive, probability)
    rounded = probability.astype(np.float32).astype(np.float64) * (1 + 1e-7)
    assert ((probability >= threshold) == (rounded >= threshold)).all()


@pytest.mark.parametrize(
    ("positive", "probability", "expected"),
    [
        ([True, False, True, False], [0.9, 0.3, 0.2, 0.1], 0.15),
        ([False, False], [0.4, 0.8], 0.9),
        ([False, False], [0.4, 1.0], 1.5),
        ([True, True], [0.4, 0.8], 0.2),
        ([True, False], [0.9, 0.1], 0.5),
    ],
    ids=["between two rows", "call nothing", "call nothing, though a row has 1", "call all", "midpoint"],
)
def test_best_threshold(positive: list[bool], probability: list[float], expected: float) -> None:
    assert best_threshold(FRAUD, np.array(positive), np.array(probability)) == pytest.approx(expected)


def test_among_equal_thresholds_the_one_nearest_one_half_wins() -> None:
    nothing = CellValue(0, 0, 0, 0)
    assert best_threshold(
        nothing, np.array([True, False, True]), np.array([0.2, 0.42, 0.7])
    ) == pytest.approx(0.56)


@pytest.mark.parametrize(
    ("value", "output", "actual", "answers", "expected"),
    [
        (
            CellValue(10, -1, 0, 0),
            TWO,
            ["yes", "no", "yes", "no"],
            [[0.1, 0.9], [0.4, 0.6], [0.8, 0.2], [1, 0]],
            2250,
        ),
        (AnswerValue(1, -0.5), THREE, ["a", "b"], [[0.8, 0.1, 0.1], [0.5, 0.3, 0.2]], 250),
        (UnitValue(-1, -4), Output("regression"), [10.0, 10.0], [[13.0], [8.0]], -5500),
        (UnitValue(-1, -4), Output("forecast"), [10.0], [[10.0]], 0),
    ],
    ids=["two classes", "many classes", "regression", "exact forecast"],
)
def test_value_per_1000(value, output: Output, actual: list, answers: list, expected: float) -> None:
    assert value_per_1000(value, output, np.array(actual), np.array(answers)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("output", "spec", "expected"),
    [
        (TWO, OutcomeValue(currency="EUR", true_positive=8, false_positive=-4, false_negative=-9,
                           true_negative=0), CellValue(8, -4, -9, 0, "EUR")),
        (THREE, OutcomeValue(currency="EUR", correct=1, wrong=-2), AnswerValue(1, -2, "EUR")),
        (Output("forecast"), OutcomeValue(currency="GBP", over=-1, under=-3), UnitValue(-1, -3, "GBP")),
        (TWO, None, None),
    ],
    ids=["two classes", "many classes", "forecast", "none"],
)  # fmt: skip
def test_the_projects_value_becomes_the_one_of_its_task(output: Output, spec, expected) -> None:
    assert value_for(output, spec) == expected


@pytest.mark.parametrize("output", [TWO, THREE, Output("clustering")], ids=["two", "three", "clustering"])
def test_money_for_another_kind_of_task_is_refused(output: Output) -> None:
    with pytest.raises(ProjectError, match=r"problem\.value"):
        value_for(output, SimpleNamespace(over=-1.0, under=-1.0, currency="EUR"))
