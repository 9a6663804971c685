"""Batching is decided by what calls cost, measured."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.bundle.batching import OBJECTIVE_SHARE, PATIENCE, SIZES, Curve, consider, decide, fit, measure
from fairlead.records import Answer
from fairlead.schema import Batch
from fairlead.serve.rules import Batching, rules_of
from fairlead.spec.serve import Serve


def curve(call: float, row: float, noise: tuple[float, ...] = ()) -> Curve:
    exact = [call + row * rows for rows in SIZES]
    return Curve(
        SIZES, tuple(value * (1 + off) for value, off in itertools.zip_longest(exact, noise, fillvalue=0.0))
    )


@pytest.mark.parametrize(
    ("call", "row", "objective", "expected"),
    [
        pytest.param(
            7e-6, 1.4e-6, 0.05, None, id="forest in ONNX Runtime: a call costs less than collecting"
        ),
        pytest.param(35e-6, 2e-6, 0.05, None, id="saving 26 µs for 15 µs is not worth a change"),
        pytest.param(250e-6, 5e-6, 0.05, Batching(64, 0.0), id="linear model in scikit-learn"),
        pytest.param(4.7e-3, 15e-6, 0.05, Batching(64, 0.0), id="forest in scikit-learn"),
        pytest.param(
            4.7e-3, 15e-6, 0.01, Batching(64, 0.0), id="the same with 10 ms: 64 rows take little longer"
        ),
        pytest.param(
            1e-3, 1e-3, 0.05, Batching(8, 0.0), id="16 rows would take more than a quarter of 50 ms"
        ),
        pytest.param(20e-3, 20e-3, 0.05, Batching(2, 0.0), id="a row takes long: two in the time of two"),
        pytest.param(1e-6, 5e-3, 0.05, None, id="rows cost, calls do not"),
    ],
)
def test_batching_pays_where_calls_are_dear(
    call: float, row: float, objective: float, expected: Batching | None
) -> None:
    assert decide(curve(call, row), objective).batching == expected


@given(st.floats(1e-6, 1e-2), st.floats(1e-7, 1e-3))
def test_the_fit_finds_what_calls_and_rows_cost(call: float, row: float) -> None:
    found = fit(curve(call, row))
    assert found.call == pytest.approx(call, rel=1e-3, abs=2e-9)
    assert found.row == pytest.approx(row, rel=1e-3, abs=2e-9)


@given(st.floats(0, 1e-2), st.floats(0, 1e-3), st.lists(st.floats(-0.5, 2.0), min_size=7, max_size=7))
def test_no_noise_makes_a_cost_negative_or_a_call_longer_than_it_may_be(
    call: float, row: float, noise: list[float]
) -> None:
    decision = decide(curve(call + 1e-7, row, tuple(noise)), 0.05)
    assert decision.cost.call >= 0
    assert decision.cost.row >= 0
    if decision.batching is not None:
        seconds = decision.cost.call + decision.cost.row * decision.batching.rows
        alone = decision.cost.call + decision.cost.row
        assert seconds <= max(OBJECTIVE_SHARE * 0.05, PATIENCE * alone) * 1.0001


def test_a_measurement_takes_the_least_time_of_each_size() -> None:
    ticks = itertools.count()
    asked: list[int] = []

    def answers(batch: Batch) -> np.ndarray:
        asked.append(len(batch))
        return np.zeros((len(batch), 1))

    found = measure(answers, Batch(np.ones((3, 2), np.float32)), lambda: next(ticks) * 1e-3)
    assert found.rows == SIZES
    assert found.seconds == (0.001,) * len(SIZES)
    assert set(asked) == set(SIZES)  # three rows are enough to ask with 64


def test_without_rows_nothing_is_measured() -> None:
    with pytest.raises(ValueError, match="no rows"):
        measure(lambda batch: np.zeros((0, 1)), Batch(np.ones((0, 2), np.float32)), lambda: 0.0)


@pytest.mark.parametrize("call", [1e-6, 1e-3])
def test_the_decision_is_what_the_runtime_reads_and_its_record_is_json(call: float) -> None:
    decision = decide(curve(call, 1e-6), 0.05)
    assert rules_of({"batching": decision.entry}).batching == decision.batching
    assert json.loads(json.dumps(decision.record()))["batching"] == decision.entry


def test_nothing_is_measured_unless_the_project_asks() -> None:
    def opened() -> tuple[Answer, Batch]:
        raise AssertionError("asked")

    assert consider(Serve(), opened, lambda: 0.0) is None


def test_a_project_that_asks_gets_the_decision_for_its_objective() -> None:
    ticks = itertools.count()
    rows = Batch(np.ones((3, 2), np.float32))
    decision = consider(
        Serve(batching="auto"),
        lambda: (lambda batch: np.zeros((len(batch), 1)), rows),
        lambda: next(ticks) * 2e-3,
    )
    assert decision is not None
    assert decision.batching == Batching(64, 0.0)  # every call took 2 ms, however many rows it had
