"""The whole load test against a queue of known speed, in no time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.bundle.queueing import Queue

from fairlead.bundle.load.capacity import Capacity
from fairlead.bundle.load.gate import load_gate
from fairlead.bundle.load.measure import Judged, Timing, check, judge_round, measure, soak
from fairlead.bundle.load.memory import Growth, slope_of, theil_sen
from fairlead.bundle.load.search import Outcome, Verdict
from fairlead.bundle.verify import CAPACITY
from fairlead.errors import GateFailed
from fairlead.records import Bundle
from fairlead.spec.serve import Serve


def quiet(_: Judged) -> None: ...


@pytest.mark.parametrize(
    ("service", "least"),
    [
        pytest.param(50e-6, 0.97, id="20,000 a second: only the last percent queues for 50 ms"),
        pytest.param(1e-3, 0.9, id="1000 a second"),
        pytest.param(5e-3, 0.6, id="200 a second: ten requests in a row are late"),
    ],
)
def test_the_highest_rate_is_below_what_the_server_could_do_at_most_and_near_it(
    service: float, least: float
) -> None:
    found = measure(Queue(service), "ab", Timing(50.0), quiet)
    assert found.outcome == "found"
    assert found.highest_rate is not None
    assert least / service * 0.95 <= found.highest_rate <= 1 / service
    assert found.rate == pytest.approx(0.7 * found.highest_rate)
    assert found.cpu_seconds_per_request == pytest.approx(service)
    assert found.p99_ms is not None
    assert found.p99_ms <= 50


def test_a_tighter_objective_gives_a_lower_rate() -> None:
    rates = [
        measure(Queue(1e-3), "ab", Timing(objective), quiet).highest_rate or 0
        for objective in (5.0, 20.0, 100.0)
    ]
    assert rates == sorted(rates)
    assert rates[0] < 0.8 * rates[2]


@pytest.mark.parametrize(
    ("queue", "outcome"),
    [
        pytest.param(Queue(0.2), Outcome.BELOW_LOWEST, id="a slow model"),
        pytest.param(Queue(1e-3, loses=20), Outcome.BELOW_LOWEST, id="one answer in twenty is none"),
        pytest.param(Queue(1e-4, late=0.02), Outcome.UNKNOWN, id="a late generator"),
    ],
)
def test_how_a_load_test_can_end_without_a_rate(queue: Queue, outcome: Outcome) -> None:
    found = measure(queue, "ab", Timing(50.0), quiet)
    assert found.outcome == outcome
    assert found.rate is None
    assert len(found.rounds) >= 3


def test_a_round_with_too_few_requests_for_a_p99_does_not_hold() -> None:
    few = Queue(1e-6).drive(np.arange(100.0), 1.0)
    assert judge_round(few, 1.0, 100.0, 0.05, thorough=True).verdict is Verdict.MISSED


def test_a_late_generator_voids_a_round_even_if_answers_came_in_time() -> None:
    late = Queue(1e-6, late=0.011).drive(np.linspace(0, 1, 1000), 1.0)
    assert judge_round(late, 1000.0, 1.0, 0.05, thorough=True).verdict is Verdict.VOID


def test_rounds_are_long_enough_for_a_p99_at_any_rate() -> None:
    timing = Timing(50.0)
    assert all(
        rate * timing.length(rate, thorough=thorough) >= 500
        for rate in (50, 200, 1e4)
        for thorough in (True, False)
    )


@pytest.mark.parametrize(("rate", "verdict"), [(700, Verdict.HELD), (1_100, Verdict.MISSED)])
def test_a_promise_is_checked(rate: float, verdict: Verdict) -> None:
    rounds: list[Judged] = []
    assert check(Queue(1e-3), Timing(50.0), rate, rounds.append).verdict is verdict
    assert len(rounds) == (1 if verdict is Verdict.HELD else 2)  # a miss is tried again


@pytest.mark.parametrize(
    ("growth", "says"),
    [pytest.param(0.0, Growth.NONE, id="steady"), pytest.param(10_000.0, Growth.LEAK, id="36 MB an hour")],
)
def test_a_soak_tells_a_leak(growth: float, says: Growth) -> None:
    assert soak(Queue(1e-3, growth=growth), Timing(50.0), 500, 3, quiet).growth is says


def test_a_soak_that_is_too_short_says_unknown() -> None:
    assert soak(Queue(1e-3), Timing(50.0), 500, 0.5, quiet).growth is Growth.UNKNOWN


def test_noise_around_a_level_is_not_called_a_leak() -> None:
    generator = np.random.default_rng(0)
    says = [slope_of(np.arange(600.0), 200e6 + generator.normal(0, 2e5, 600)).growth for _ in range(20)]
    assert Growth.LEAK not in says


def test_one_jump_does_not_move_the_slope() -> None:
    values = np.where(np.arange(300) == 150, 9e9, 100.0)
    assert theil_sen(np.arange(300.0), values)[0] == 0.0


def test_the_slope_s_interval_is_that_of_scipy() -> None:
    from scipy.stats import theilslopes

    generator = np.random.default_rng(1)
    at = np.arange(80.0)
    values = 0.3 * at + generator.normal(size=80)
    slope, _, low, high = theilslopes(values, at, 0.95)
    assert theil_sen(at, values) == pytest.approx((slope, low, high), rel=0.02)


# ------------------------------------------------------------------------------------------------- in the flow


class Notes(list[str]):
    """What a person watching sees."""

    note = list.append


def gate(folder: Path, serve: Serve, service: float = 1e-3) -> tuple[Capacity | None, int]:
    """Run the gate on a bundle in *folder*; what it found and how often a server was started."""
    started: list[Path] = []

    @contextlib.contextmanager
    def start(bundle: Path) -> Iterator[Queue]:
        started.append(bundle)
        yield Queue(service)

    record = Bundle(str(folder), "fraud", "ab", "onnx", [], "forest", "data")
    progress: Any = Notes()
    return load_gate(serve, record, start, progress), len(started)


def asking(at_least: float | None = None, p99_ms: float = 50.0) -> Serve:
    return Serve.model_validate({"objective": {"p99_ms": p99_ms}, "capacity": {"at_least": at_least}})


def test_a_project_that_does_not_ask_starts_no_server(tmp_path: Path) -> None:
    assert gate(tmp_path, Serve()) == (None, 0)
    assert not (tmp_path / CAPACITY).exists()


def test_what_was_found_is_kept_beside_the_bundle_and_not_measured_twice(tmp_path: Path) -> None:
    found, starts = gate(tmp_path, asking())
    again, more = gate(tmp_path, asking(at_least=100))
    assert (starts, more) == (1, 0)
    assert found is not None
    assert again is not None
    assert again.to_json() == found.to_json() == (tmp_path / CAPACITY).read_text()


def test_another_objective_is_measured_again(tmp_path: Path) -> None:
    gate(tmp_path, asking())
    assert gate(tmp_path, asking(p99_ms=10.0))[1] == 1


@pytest.mark.parametrize(
    ("service", "at_least", "says"),
    [
        pytest.param(1e-3, 5_000, "failed: 5,000 requests a second per pod", id="too slow"),
        pytest.param(0.2, 10, "failed: 10 requests a second per pod", id="below the lowest"),
    ],
)
def test_too_little_does_not_pass_and_the_evidence_stays(
    tmp_path: Path, service: float, at_least: float, says: str
) -> None:
    with pytest.raises(GateFailed, match=says):
        gate(tmp_path, asking(at_least), service)
    assert (tmp_path / CAPACITY).is_file()
