"""The search finds the highest rate of any server that gets slower as it gets busier."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.bundle.load.search import Done, Outcome, Plan, Tried, Try, Verdict, decided, next_rate

HELD, MISSED, VOID = Verdict.HELD, Verdict.MISSED, Verdict.VOID
PLAN = Plan()


def search(says: Callable[[Try, int], Verdict], plan: Plan = PLAN) -> tuple[Done, list[Tried]]:
    """Search a server that *says* what a round at a rate (the n-th of all) gives."""
    history: list[Tried] = []
    while isinstance(step := next_rate(history, plan), Try):
        history.append(Tried(step.rate, says(step, len(history)), step.thorough))
    return step, history


def limit(highest: float, sendable: float = float("inf")) -> Callable[[Try, int], Verdict]:
    def says(step: Try, _: int) -> Verdict:
        return VOID if step.rate > sendable else HELD if step.rate <= highest else MISSED

    return says


@given(st.floats(50, 90_000))
def test_the_highest_rate_is_found_within_five_percent(highest: float) -> None:
    done, history = search(limit(highest))
    assert done.outcome is Outcome.FOUND
    assert done.rate is not None
    assert highest / 1.05 * 0.9999 <= done.rate <= highest
    assert len(history) <= 30


@given(st.floats(50, 90_000), st.integers(0, 2**32 - 1))
def test_one_hiccup_does_not_change_the_result(highest: float, where: int) -> None:
    calm, history = search(limit(highest))
    short = [number for number, tried in enumerate(history) if not tried.thorough and tried.verdict is HELD]
    hiccup = short[where % len(short)]

    def says(step: Try, number: int) -> Verdict:
        return MISSED if number == hiccup else limit(highest)(step, number)

    assert search(says)[0] == calm


@given(st.floats(60, 90_000))
def test_a_thorough_miss_goes_a_tenth_lower(highest: float) -> None:
    def says(step: Try, _: int) -> Verdict:
        return MISSED if step.rate > highest * (0.8 if step.thorough else 1.0) else HELD

    done, history = search(says)
    if done.outcome is Outcome.BELOW_LOWEST:
        assert highest * 0.8 < 50
        return
    assert done.rate is not None
    assert 0.8 * highest * 0.9 * 0.9999 <= done.rate <= 0.8 * highest
    assert [tried.thorough for tried in history] == sorted(tried.thorough for tried in history)


@pytest.mark.parametrize(
    ("says", "outcome", "rate"),
    [
        pytest.param(limit(10), Outcome.BELOW_LOWEST, None, id="too slow for the lowest rate"),
        pytest.param(limit(50), Outcome.FOUND, 50, id="just quick enough for the lowest rate"),
        pytest.param(limit(1e9), Outcome.GENERATOR, 100_000, id="quicker than the highest rate tried"),
        pytest.param(limit(1e9, sendable=10), Outcome.UNKNOWN, None, id="the generator is late at any rate"),
        pytest.param(lambda step, _: VOID if step.thorough else limit(900)(step, 0), Outcome.UNKNOWN, None,
                     id="no thorough round can be had"),
    ],
)  # fmt: skip
def test_how_a_search_ends(says: Callable[[Try, int], Verdict], outcome: Outcome, rate: float | None) -> None:
    assert search(says)[0] == Done(outcome, rate)


def test_where_the_generator_is_the_bound_its_highest_rate_is_reported_as_such() -> None:
    done, _ = search(limit(1e9, sendable=20_000))
    assert done.outcome is Outcome.GENERATOR
    assert done.rate == pytest.approx(20_000, rel=0.05)


def test_a_server_that_contradicts_itself_for_ever_ends_in_unknown() -> None:
    assert (
        search(lambda _, number: (MISSED, HELD, VOID, MISSED)[number % 4], Plan(rounds=5))[0].outcome
        is Outcome.UNKNOWN
    )


@given(st.lists(st.sampled_from(list(Verdict)), max_size=8))
def test_a_rate_is_decided_in_five_rounds_at_most_and_stays_decided_as_long_as_nothing_is_added(
    said: list[Verdict],
) -> None:
    prefixes: Iterator[list[Verdict]] = (said[:end] for end in range(len(said) + 1))
    first = next((len(prefix) for prefix in prefixes if decided(prefix) is not None), None)
    assert first is None or first <= 5
    assert first is not None or len(said) <= 4
