"""How variants are judged: thresholds of their own, paired intervals, and the project's gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairlead.bundle.compress.hold import gates_of
from fairlead.bundle.compress.measure import decided_otherwise, differences, judged, with_best_threshold
from fairlead.heldout import LabelledRows
from fairlead.records import Candidate, Outcome
from fairlead.schema import Batch, Output
from fairlead.spec.project import Gate
from fairlead.stats.intervals import Interval
from fairlead.stats.value import CellValue

OUTPUT = Output("classification", "y", classes=("no", "yes"), positive="yes", threshold=0.5)
MONEY = CellValue(true_positive=10, false_positive=-1, false_negative=-10, true_negative=0, currency="EUR")
RANDOM = np.random.default_rng(3)
ACTUAL = np.where(RANDOM.random(400) < 0.2, "yes", "no").astype(object)
ROWS = LabelledRows(Batch(np.zeros((400, 1), np.float32)), ACTUAL)
CHANCE = np.clip((ACTUAL == "yes") * 0.3 + RANDOM.random(400) * 0.6, 0, 1)
ANSWERS = np.column_stack([1 - CHANCE, CHANCE])
CANDIDATE = Candidate(".", "c", {}, {}, {"roc_auc": 0.5}, [], [], "d", "p")


def test_a_variant_gets_the_threshold_that_is_worth_most_for_its_own_probabilities() -> None:
    half = np.column_stack([1 - CHANCE / 2, CHANCE / 2])
    whole = with_best_threshold(OUTPUT, MONEY, ROWS, ANSWERS).threshold
    assert with_best_threshold(OUTPUT, MONEY, ROWS, half).threshold == pytest.approx(whole / 2)
    assert with_best_threshold(OUTPUT, None, ROWS, half).threshold == 0.5


def test_a_model_does_not_differ_from_itself() -> None:
    one = judged(OUTPUT, MONEY, ROWS, ANSWERS)
    found = differences({"same": one}, one, ["roc_auc", "value_per_1000"], ROWS, seed=0)
    assert found["same"] == {"roc_auc": Interval(0.0, 0.0), "value_per_1000": Interval(0.0, 0.0)}
    assert decided_otherwise(one, one) == 0


def test_the_interval_holds_the_difference_and_is_narrower_than_that_of_two_models() -> None:
    noisy = np.clip(CHANCE + RANDOM.normal(scale=0.05, size=400), 0, 1)
    one = judged(OUTPUT, MONEY, ROWS, ANSWERS)
    other = judged(OUTPUT, MONEY, ROWS, np.column_stack([1 - noisy, noisy]))
    found = differences({"noisy": other}, one, ["roc_auc"], ROWS, seed=0)["noisy"]["roc_auc"]
    assert found.low < other.figures["roc_auc"] - one.figures["roc_auc"] < found.high
    assert found.high - found.low < 0.06
    assert decided_otherwise(other, one) > 0


CHAMPION = {
    "version": "2",
    "rows": 400,
    "differences": {"roc_auc": {"this": 0.9, "champion": 0.9, "low": -0.004, "high": 0.004}},
    "reason": "",
}


@pytest.mark.parametrize(
    ("gate", "champion", "figure", "ends", "outcome"),
    [
        ({"at_least": 0.8}, None, 0.85, (0.0, 0.0), Outcome.PASSED),
        ({"at_least": 0.8}, None, 0.75, (0.0, 0.0), Outcome.FAILED),
        ({"better_than": "baseline", "by": 0.3}, None, 0.79, (0.0, 0.0), Outcome.FAILED),
        ({"not_worse_than": "champion", "margin": 0.005}, None, 0.9, (0.0, 0.0), Outcome.NOT_APPLICABLE),
        ({"not_worse_than": "champion", "margin": 0.005}, CHAMPION, 0.9, (-0.001, 0.0), Outcome.PASSED),
        ({"not_worse_than": "champion", "margin": 0.005}, CHAMPION, 0.9, (-0.002, 0.0), Outcome.FAILED),
    ],
    ids=["reaches its bar", "misses its bar", "too near the baseline", "no champion", "both losses within the margin",
         "together beyond the margin"],
)  # fmt: skip
def test_gates_are_judged_again_for_a_variant(
    gate: dict[str, Any], champion: Any, figure: float, ends: tuple[float, float], outcome: Outcome
) -> None:
    gates = [Gate(metric="roc_auc", **gate)]
    [found] = gates_of(gates, CANDIDATE, champion, {"roc_auc": figure}, {"roc_auc": Interval(*ends)})
    assert found.outcome == outcome


def test_without_an_interval_the_champion_gate_is_not_measurable() -> None:
    gates = [Gate(metric="roc_auc", not_worse_than="champion")]
    [found] = gates_of(gates, CANDIDATE, CHAMPION, {"roc_auc": 0.95}, {})
    assert found.outcome == Outcome.NOT_MEASURABLE
