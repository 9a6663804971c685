from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.bundle.parity import TOLERANCE, Comparison, compare, decisions, result_of
from fairlead.schema import Output

TWO = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.5)
THREE = Output("classification", classes=("a", "b", "c"))
VALUE = Output("regression")
CLUSTERS = Output("clustering", clusters=2)


@pytest.mark.parametrize(
    ("output", "expected", "answered", "agrees"),
    [
        pytest.param(TWO, [[0.9, 0.1]], [[0.9, 0.1]], True, id="equal probabilities"),
        pytest.param(TWO, [[0.9, 0.1]], [[0.90009, 0.09991]], True, id="within the tolerance"),
        pytest.param(TWO, [[0.9, 0.1]], [[0.9002, 0.0998]], False, id="beyond the tolerance"),
        pytest.param(TWO, [[0.9, 0.1]], [[0.9]], False, id="a column is missing"),
        pytest.param(TWO, [[0.9, 0.1], [0.5, 0.5]], [[0.9, 0.1]], False, id="a row is missing"),
        pytest.param(TWO, [[0.9, 0.1]], [[np.nan, np.nan]], False, id="no number"),
        pytest.param(TWO, np.empty((0, 2)), np.empty((0, 2)), True, id="no rows"),
        pytest.param(VALUE, [[1000.0]], [[1000.09]], True, id="value relative to its size"),
        pytest.param(VALUE, [[1000.0]], [[1000.2]], False, id="value too far"),
        pytest.param(VALUE, [[0.0], [1000.0]], [[0.04], [1000.0]], True, id="small beside large values"),
        pytest.param(VALUE, [[0.0]], [[0.0]], True, id="all values zero"),
        pytest.param(VALUE, [[0.0]], [[0.01]], False, id="something where there was nothing"),
        pytest.param(CLUSTERS, [[-100.0, -200.0]], [[-100.01, -200.0]], True, id="distances are relative"),
        pytest.param(CLUSTERS, [[0.9, 0.1]], [[0.8, 0.2]], False, id="posteriors are absolute"),
    ],
)
def test_agreement(output: Output, expected: object, answered: object, agrees: bool) -> None:
    assert compare(np.asarray(expected), np.asarray(answered), output).agrees is agrees


@pytest.mark.parametrize(
    ("output", "answers", "called"),
    [
        pytest.param(TWO, [[0.5, 0.5]], [1], id="at the threshold"),
        pytest.param(TWO, [[0.500001, 0.499999]], [0], id="below the threshold"),
        pytest.param(THREE, [[0.2, 0.5, 0.3]], [1], id="most probable of three"),
        pytest.param(CLUSTERS, [[-2.0, -1.0]], [1], id="nearest cluster"),
        pytest.param(VALUE, [[17.0]], [0], id="values decide nothing"),
    ],
)
def test_decisions(output: Output, answers: list[list[float]], called: list[int]) -> None:
    assert decisions(np.asarray(answers), output).tolist() == called


def test_a_threshold_that_is_itself_a_common_probability_is_found() -> None:
    """A forest of few trees gives many rows 0.29; as float32 that is less than 0.29."""
    output = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.29)
    expected = np.tile([[0.71, 0.29]], (500, 1))
    comparison = compare(expected, expected.astype(np.float32).astype(np.float64), output)
    assert comparison.agrees
    assert result_of("onnx", comparison, comparison).outcome == "disagrees"
    assert (
        result_of("onnx", comparison, comparison).reason == "500 of 500 held-out rows are decided otherwise"
    )


@pytest.mark.parametrize(
    ("rows", "flipped", "too_often"),
    [(100, 0, False), (100, 1, False), (100, 2, True), (5000, 5, False), (5000, 6, True)],
)
def test_flips_allowed(rows: int, flipped: int, too_often: bool) -> None:
    assert Comparison(rows, 1e-9, 0, flipped).flips_too_often is too_often


@pytest.mark.parametrize(
    ("heldout", "hard", "outcome"),
    [
        pytest.param(1e-7, 1e-7, "agrees", id="both within"),
        pytest.param(0.1, 1e-7, "disagrees", id="held-out rows differ"),
        pytest.param(1e-7, 0.1, "disagrees", id="hard rows differ"),
        pytest.param(float("inf"), 0.0, "disagrees", id="nothing to compare"),
    ],
)
def test_outcome(heldout: float, hard: float, outcome: str) -> None:
    result = result_of("onnx", Comparison(10, heldout, 0, 0), Comparison(20, hard, 0, 0))
    assert result.outcome == outcome


def test_a_result_counts_all_rows_and_keeps_the_largest_difference() -> None:
    result = result_of("onnx", Comparison(10, 2e-7, 0, 0), Comparison(20, 3e-7, 0, 0))
    assert (result.rows, result.max_difference) == (30, 3e-7)


probabilities = arrays(np.float64, (5, 2), elements=st.floats(0, 1))


@given(probabilities)
def test_a_model_agrees_with_itself(answers: np.ndarray) -> None:
    comparison = compare(answers, answers.copy(), TWO)
    assert comparison.agrees
    assert comparison.flipped == 0


@given(probabilities, st.integers(0, 4), st.floats(2 * TOLERANCE, 1))
def test_one_wrong_answer_is_found_wherever_it_is(answers: np.ndarray, row: int, by: float) -> None:
    wrong = answers.copy()
    wrong[row, 1] += by
    comparison = compare(answers, wrong, TWO)
    assert not comparison.agrees
    assert comparison.worst_row == row


@given(probabilities, st.floats(-TOLERANCE * 0.99, TOLERANCE * 0.99))
def test_within_the_tolerance_only_rows_near_the_threshold_flip(answers: np.ndarray, by: float) -> None:
    moved = answers + by
    flipped = decisions(answers, TWO) != decisions(moved, TWO)
    assert np.all(np.abs(answers[flipped, 1] - TWO.threshold) <= TOLERANCE)
