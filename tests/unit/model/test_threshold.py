"""The threshold that is chosen on validation rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.model.evaluations import MONEY, TWO, two_classes

from fairlead.model.threshold import choose
from fairlead.schema.fields import Output
from fairlead.stats.value import AnswerValue, value_per_1000


def test_with_money_it_is_worth_at_least_as_much_as_any_other() -> None:
    output, rows = two_classes()
    choice = choose(output, MONEY, rows.actual, rows.answers)
    others = [
        value_per_1000(MONEY, replace(output, threshold=threshold), rows.actual, rows.answers)
        for threshold in np.linspace(0, 1, 401)
    ]
    assert choice.per_1000 >= max(others) - 1e-9
    assert choice.per_1000 == pytest.approx(
        value_per_1000(MONEY, replace(output, threshold=choice.threshold), rows.actual, rows.answers)
    )


def test_the_reason_names_both_amounts() -> None:
    actual = np.array(["yes", "no", "yes", "no"])
    choice = choose(TWO, MONEY, actual, np.array([[0.1, 0.9], [0.7, 0.3], [0.8, 0.2], [0.9, 0.1]]))
    assert choice.threshold == pytest.approx(0.15)
    assert choice.reason == "worth most on 4 validation rows: 41,500 EUR per 1,000, against -6,250 at 0.5"


def test_the_curve_is_thin_and_rises_in_threshold() -> None:
    output, rows = two_classes(rows=3_000)
    curve = choose(output, MONEY, rows.actual, rows.answers).curve
    assert len(curve.x) <= 201
    assert list(curve.x) == sorted(curve.x)


def test_the_chosen_point_is_on_the_curve() -> None:
    output, rows = two_classes(rows=3_000)
    choice = choose(output, MONEY, rows.actual, rows.answers)
    assert (choice.threshold, choice.per_1000) in zip(choice.curve.x, choice.curve.y, strict=True)


def test_without_money_it_is_one_half() -> None:
    output, rows = two_classes()
    choice = choose(output, None, rows.actual, rows.answers)
    assert (choice.threshold, choice.per_1000, choice.curve) == (0.5, None, None)


@pytest.mark.parametrize(
    "output",
    [Output("classification", classes=("a", "b", "c")), Output("regression"), Output("clustering")],
    ids=["three classes", "regression", "clustering"],
)
def test_other_tasks_have_none(output: Output) -> None:
    assert choose(output, AnswerValue(1, -1), np.array([]), np.empty((0, 3))) is None
