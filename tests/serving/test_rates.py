"""Token buckets: never more than was promised, never less, and a wait that is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serve.environment import Environment
from fairlead.serve.guards.access.rates import Buckets, RateSettings

rates = st.floats(0.1, 1000.0)
bursts = st.integers(1, 50)
pauses = st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60)


@given(rates, bursts, pauses)
def test_in_any_stretch_of_time_no_more_than_the_burst_and_the_rate_is_let_in(
    rate: float, burst: int, pauses: list[float]
) -> None:
    buckets, now, let_in = Buckets(rate, burst), 100.0, []
    for pause in pauses:
        now += pause
        if buckets.take("a", now) == 0.0:
            let_in.append(now)
    for first in range(len(let_in)):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= burst + rate * (let_in[last] - let_in[first]) + 1e-6


@given(rates, bursts, pauses)
def test_who_waits_as_told_is_let_in(rate: float, burst: int, pauses: list[float]) -> None:
    buckets, now = Buckets(rate, burst), 100.0
    for pause in pauses:
        now += pause
        if wait := buckets.take("a", now):
            now += wait
            assert buckets.take("a", now) == 0.0


@given(rates, bursts, st.integers(1, 100))
def test_who_keeps_the_rate_is_never_refused(rate: float, burst: int, requests: int) -> None:
    buckets = Buckets(rate, burst)
    assert all(buckets.take("a", 100.0 + number / rate) == 0.0 for number in range(requests))


@given(rates, bursts)
def test_a_burst_is_let_in_at_once_and_no_more(rate: float, burst: int) -> None:
    buckets = Buckets(rate, burst)
    assert [buckets.take("a", 5.0) == 0.0 for _ in range(burst + 1)] == [True] * burst + [False]


def test_callers_do_not_share_a_bucket() -> None:
    buckets = Buckets(1.0, 1)
    assert [buckets.take(caller, 0.0) for caller in ("a", "b", "a")] == [0.0, 0.0, 1.0]


def test_buckets_are_bounded_and_the_quietest_caller_is_forgotten() -> None:
    buckets = Buckets(1.0, 1, most=2)
    for caller in ("a", "b", "c"):
        buckets.take(caller, 0.0)
    assert buckets.take("c", 0.0) == 1.0
    assert buckets.take("a", 0.0) == 0.0


@pytest.mark.parametrize(
    ("variables", "settings"),
    [
        ({}, RateSettings(0.0, 1)),
        ({"FAIRLEAD_RATE_PER_SECOND": "20"}, RateSettings(20.0, 20)),
        ({"FAIRLEAD_RATE_PER_SECOND": "0.5"}, RateSettings(0.5, 1)),
        ({"FAIRLEAD_RATE_PER_SECOND": "20", "FAIRLEAD_RATE_BURST": "5"}, RateSettings(20.0, 5)),
    ],
    ids=["no limit", "a second's worth at once", "never less than one", "a burst of its own"],
)
def test_settings_come_from_the_environment(variables: dict[str, str], settings: RateSettings) -> None:
    assert RateSettings.from_environment(Environment(variables)) == settings
