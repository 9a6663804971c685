"""What follows from a rate: replicas, resources, autoscaling, cost, and whether a gate lets it through."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.bundle.load.capacity import (
    GIB,
    MIB,
    NO_PRICES,
    Capacity,
    Measured,
    Prices,
    capacity_of,
    chart_values,
    cores_for,
    cost_per_million,
    judge,
    memory_for,
    replicas_for,
    utilisation,
)
from fairlead.bundle.load.search import Outcome
from fairlead.errors import IntegrityError

MACHINE = {"cpus": 2}


def measured(outcome: Outcome = Outcome.FOUND, rate: float | None = 10_000.0, cpu: float = 98e-6) -> Measured:
    known = rate is not None
    return Measured(
        outcome, rate, *((20.0, 19.0, None) if known else (None, None, None)), cpu if known else None, 150 * MIB,
        ({"rate": 200.0, "verdict": "held"},),
    )  # fmt: skip


def made(found: Measured, expected_rate: float | None = None, prices: Prices = NO_PRICES) -> Capacity:
    return capacity_of(
        found, bundle="ab", objective_ms=50.0, machine=MACHINE, expected_rate=expected_rate, prices=prices
    )


@given(st.floats(1, 1e6), st.floats(1, 1e5))
def test_replicas_are_enough_and_one_fewer_would_not_be(expected: float, rate: float) -> None:
    replicas = replicas_for(expected, rate)
    assert replicas * rate >= expected * (1 - 1e-12)
    assert replicas == 1 or (replicas - 1) * rate < expected


@given(st.floats(1e-4, 64))
def test_the_cpu_request_covers_what_was_used_to_a_thousandth_in_steps_of_50_m(used: float) -> None:
    cores = cores_for(used)
    assert cores >= used - 0.001 - 1e-9
    assert cores - used < 0.0501
    assert round(cores * 1000) % 50 == 0


@given(st.integers(1, 64 * GIB))
def test_memory_has_a_quarter_to_spare_in_steps_of_16_mib(seen: int) -> None:
    memory = memory_for(seen)
    assert 1.25 * seen <= memory < 1.25 * seen + 16 * MIB
    assert memory % (16 * MIB) == 0


@example(25_000.0, 2e-5)
@given(st.floats(50, 50_000), st.floats(1e-6, 1e-2))
def test_a_pod_at_its_rate_uses_the_share_of_its_cpu_that_the_autoscaler_aims_at(
    rate: float, cpu: float
) -> None:
    found = made(measured(rate=rate, cpu=cpu))
    assert found.rate is not None
    assert found.cpu_percent is not None
    share = 100 * found.rate * cpu / (int(found.cpu[:-1]) / 1000)
    # A share that is a whole number may have come out a hair below it.
    assert found.cpu_percent == 1 or found.cpu_percent - 1e-9 <= share < found.cpu_percent + 1 + 1e-9


@pytest.mark.parametrize(
    ("used", "requested", "expected"), [(0.7, 1.0, 70), (0.686, 1.0, 68), (2.0, 1.0, 100), (0.0001, 1.0, 1)]
)
def test_utilisation_is_rounded_down_and_stays_a_percentage(
    used: float, requested: float, expected: int
) -> None:
    assert utilisation(used, requested) == expected


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param(Prices(), None, id="no price, no cost"),
        pytest.param(Prices(0.036, 0.0), 0.01, id="a core at 1000 a second: 3.6 million an hour"),
        pytest.param(Prices(None, 0.018), 0.01, id="memory alone, 2 GiB"),
        pytest.param(Prices(0.036, 0.018), 0.02, id="both"),
    ],
)
def test_cost_of_a_million_predictions(prices: Prices, expected: float | None) -> None:
    assert cost_per_million(prices, 1.0, 2 * GIB, 1000.0) == (
        None if expected is None else pytest.approx(expected)
    )


def test_idle_replicas_are_paid_for_too() -> None:
    prices = Prices(0.04, 0.005)
    full = made(measured(), expected_rate=14_000, prices=prices)  # two pods, both full
    part = made(measured(), expected_rate=7_001, prices=prices)  # two pods, half empty
    assert full.replicas == part.replicas == 2
    assert full.cost_per_million is not None
    assert part.cost_per_million == pytest.approx(full.cost_per_million * 14_000 / 7_001)


def test_the_file_is_read_back_as_it_was() -> None:
    found = made(measured(), expected_rate=20_000, prices=Prices(0.04, 0.005))
    again = Capacity.from_json(found.to_json())
    assert again.to_json() == found.to_json()
    assert json.loads(found.to_json())["replicas"] == 3


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', '{"format_version": 99}', "null"])
def test_what_is_no_capacity_file_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError, match="capacity file"):
        Capacity.from_json(text)


@pytest.mark.parametrize("outcome", [Outcome.BELOW_LOWEST, Outcome.UNKNOWN])
def test_without_a_rate_nothing_is_promised_and_the_chart_is_told_nothing(outcome: Outcome) -> None:
    found = made(measured(outcome, None), expected_rate=100, prices=Prices(1.0))
    assert (found.rate, found.replicas, found.cpu, found.cpu_percent, found.cost_per_million) == (
        None,
        0,
        "",
        None,
        None,
    )
    assert chart_values(found) == {}


def test_the_chart_gets_quantities_as_kubernetes_writes_them() -> None:
    values = chart_values(made(measured(), expected_rate=20_000))
    assert values == {
        "capacity": {"cpu": "1000m", "memory": "192Mi", "replicas": 3},
        "scale": {"cpuPercent": 68},
    }
    assert re.fullmatch(r"\d+m", values["capacity"]["cpu"])


@pytest.mark.parametrize(
    ("found", "at_least", "outcome"),
    [
        pytest.param(measured(), None, "not applicable", id="no rate is asked for"),
        pytest.param(measured(), 7_000, "passed", id="as much as asked for"),
        pytest.param(measured(), 7_001, "failed", id="headroom counts"),
        pytest.param(measured(Outcome.BELOW_LOWEST, None), 10, "failed", id="below the lowest"),
        pytest.param(measured(Outcome.UNKNOWN, None), 10, "not measurable", id="busy machine"),
        pytest.param(measured(Outcome.GENERATOR), 7_000, "passed", id="the generator's bound is enough"),
        pytest.param(
            measured(Outcome.GENERATOR), 8_000, "not measurable", id="the generator's bound is too low"
        ),
    ],
)
def test_the_gate(found: Measured, at_least: float | None, outcome: str) -> None:
    assert judge(made(found), at_least).outcome.value == outcome
