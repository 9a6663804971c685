"""Latency is counted from when a request was due, and quantiles say how sure they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.bundle.load.arrivals import Shape, arrivals
from fairlead.bundle.load.latencies import latencies, quantile, ranks


@given(st.floats(0.5, 5_000), st.floats(0.1, 5), st.integers(0, 9), st.sampled_from(["poisson", "uniform"]))
def test_the_rate_is_what_was_asked_for(rate: float, seconds: float, seed: int, shape: Shape) -> None:
    due = arrivals(rate, seconds, seed=seed, shape=shape)
    assert len(due) == max(1, round(rate * seconds))
    assert np.all(np.diff(due) >= 0)
    assert due[0] >= 0
    assert due[-1] < seconds


def test_the_same_seed_gives_the_same_times_and_another_gives_others() -> None:
    assert np.array_equal(arrivals(100, 1, seed=3), arrivals(100, 1, seed=3))
    assert not np.array_equal(arrivals(100, 1, seed=3), arrivals(100, 1, seed=4))


def test_poisson_gaps_vary_as_those_of_independent_callers_do() -> None:
    gaps = np.diff(arrivals(1_000, 20, seed=0))
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05)  # 1 for an exponential distribution


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-5, 1), (100, 0), (math.nan, 1)])
def test_no_rate_and_no_time_are_refused(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        arrivals(rate, seconds, seed=0)


def test_a_server_that_stands_still_is_seen_although_requests_were_sent_late() -> None:
    due = np.arange(0, 10, 0.01)
    sent = np.where((due > 2) & (due < 4), 4.0, due)  # it stood still from 2 to 4; senders waited for it
    done = sent + 0.001
    assert quantile(np.sort(done - sent), 0.99).value == pytest.approx(0.001)  # as a closed loop would count
    assert quantile(latencies(due, done), 0.99).value > 1.8


def test_a_request_without_an_answer_took_for_ever() -> None:
    due = np.arange(1000.0)
    done = np.where(due % 50 == 0, np.nan, due + 0.01)  # 2 % of them
    assert quantile(latencies(due, done), 0.99).value == math.inf


@given(st.lists(st.floats(0, 100), min_size=1, max_size=400), st.floats(0.01, 0.999))
def test_a_quantile_is_an_order_statistic_within_its_interval(values: list[float], share: float) -> None:
    ascending = np.sort(values)
    found = quantile(ascending, share)
    assert found.value in values
    assert np.mean(ascending <= found.value) >= share - 1e-9
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        pytest.param(100, 0.5, (40, 61), id="median of 100: as in the tables of the sign test"),
        pytest.param(10, 0.5, (2, 9), id="median of 10"),
        pytest.param(367, 0.99, (359, 368), id="one too few for an upper end of the p99"),
        pytest.param(368, 0.99, (360, 368), id="just enough"),
        pytest.param(20_000, 0.99, (19_772, 19_828), id="a round of 20 s at 1000 a second"),
    ],
)
def test_ranks_of_intervals(count: int, share: float, expected: tuple[int, int]) -> None:
    assert ranks(count, share) == expected


def test_the_interval_covers_the_true_p99_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    truth = -math.log(0.01)
    found = [quantile(np.sort(generator.exponential(size=2_000)), 0.99) for _ in range(1_000)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.94 <= covered <= 0.98
