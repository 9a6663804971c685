"""The rule: which variant it takes, and that it never takes one it should not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.bundle.compress.choose import Option, choose, verdict
from fairlead.spec.compress import Compress, Rule, parse_rule

SMALLEST = Rule("smallest", 1.0, "roc_auc")
ORIGINAL = Option("as trained", 1000, 1e-5, None, None)


def option(name: str, size: int, low: float | None, high: float | None, refused: str = "") -> Option:
    return Option(name, size, size * 1e-8, low, high, refused)


@pytest.mark.parametrize(
    ("options", "outcome", "chosen"),
    [
        pytest.param([option("a", 500, -0.005, 0.0)], "compressed", "a", id="inside the limit"),
        pytest.param([option("a", 500, -0.009, 0.0)], "compressed", "a", id="exactly at the limit"),
        pytest.param([option("a", 500, -0.02, -0.01)], "kept as it is", None, id="beyond the limit"),
        pytest.param([option("a", 500, -0.02, 0.01)], "unknown", None, id="the interval holds the limit"),
        pytest.param([option("a", 500, None, None)], "unknown", None, id="no interval"),
        pytest.param([option("a", 1000, 0.0, 0.0)], "kept as it is", None, id="no smaller"),
        pytest.param([option("a", 500, 0.0, 0.0, "a gate")], "kept as it is", None, id="a gate is missed"),
        pytest.param([option("a", 500, 0.0, 0.0), option("b", 100, -0.02, 0.0)], "compressed", "a", id="unsure is passed over"),
        pytest.param([option("a", 500, 0.0, 0.0), option("b", 100, 0.0, 0.0)], "compressed", "b", id="the smallest of two"),
        pytest.param([], "kept as it is", None, id="no variants"),
    ],
)  # fmt: skip
def test_the_smallest_that_is_surely_within_the_limit_is_taken(
    options: list[Option], outcome: str, chosen: str | None
) -> None:
    decision = choose(SMALLEST, ORIGINAL, 0.9, options)
    assert (decision.outcome, decision.chosen) == (outcome, chosen)


def test_for_an_error_the_upper_end_is_the_bad_one() -> None:
    rule = Rule("smallest", 1.0, "mae")
    assert choose(rule, ORIGINAL, 10.0, [option("a", 500, -5.0, 0.05)]).chosen == "a"
    assert choose(rule, ORIGINAL, 10.0, [option("a", 500, 0.2, 0.3)]).outcome == "kept as it is"


def test_the_limit_is_of_the_size_of_a_negative_figure() -> None:
    rule = Rule("smallest", 10.0, "value_per_1000")
    assert choose(rule, ORIGINAL, -50.0, [option("a", 500, -5.0, 0.0)]).chosen == "a"


def test_fastest_looks_at_time_alone() -> None:
    slow_and_small, fast_and_large = Option("s", 1, 9e-6, 0.0, 0.0), Option("f", 5000, 2e-6, 0.0, 0.0)
    rule = Rule("fastest", 1.0, "roc_auc")
    assert choose(rule, ORIGINAL, 0.9, [slow_and_small, fast_and_large]).chosen == "f"


def test_a_figure_that_was_not_measured_decides_nothing() -> None:
    assert choose(SMALLEST, ORIGINAL, None, [option("a", 1, 0.0, 0.0)]).outcome == "unknown"


def test_none_takes_nothing_whatever_is_measured() -> None:
    assert choose(Rule("none"), ORIGINAL, 0.9, [option("a", 1, 1.0, 1.0)]).chosen is None


ends = st.floats(-1, 1).flatmap(lambda low: st.floats(low, 1).map(lambda high: (low, high)))
options = st.lists(
    st.builds(
        lambda size, both, refused: (size, both, refused),
        st.integers(1, 2000),
        st.one_of(st.none(), ends),
        st.sampled_from(["", "a gate"]),
    ),
    max_size=6,
).map(
    lambda drawn: [
        option(str(place), size, *(both or (None, None)), refused)
        for place, (size, both, refused) in enumerate(drawn)
    ]
)


@given(options, st.floats(0, 100), st.floats(-10, 10), st.sampled_from(["roc_auc", "mae"]))
def test_what_is_taken_may_be_served_is_smaller_and_loses_no_more_than_allowed(
    found: list[Option], percent: float, figure: float, metric: str
) -> None:
    decision = choose(Rule("smallest", percent, metric), ORIGINAL, figure, found)
    assert (decision.outcome == "compressed") == (decision.chosen is not None)
    if decision.chosen is not None:
        [taken] = [one for one in found if one.name == decision.chosen]
        assert not taken.refused
        assert taken.bytes < ORIGINAL.bytes
        assert verdict(taken, metric, abs(figure) * percent / 100) == "qualifies"
        others = [one for one in found if one.bytes < taken.bytes and not one.refused]
        assert all(verdict(one, metric, abs(figure) * percent / 100) != "qualifies" for one in others)


@given(options, st.floats(0, 50), st.floats(0, 50))
def test_a_wider_limit_never_gives_a_larger_model(found: list[Option], one: float, other: float) -> None:
    narrow, wide = sorted((one, other))
    sizes = {option.name: option.bytes for option in found}
    taken = [
        choose(Rule("smallest", percent, "roc_auc"), ORIGINAL, 0.9, found).chosen
        for percent in (narrow, wide)
    ]
    if taken[0] is not None:
        assert taken[1] is not None
        assert sizes[taken[1]] <= sizes[taken[0]]


@pytest.mark.parametrize(
    "text", ["", "smallest", "smallest within 1% of", "best within 1 % of value", "smallest within -1 % of value",
             "smallest within 1 % of beauty"],
)  # fmt: skip
def test_a_text_that_is_no_rule_is_refused_in_the_project_file(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|no metric|at least"):
        Compress(choose=text)


def test_the_default_rule_is_about_money() -> None:
    assert (
        Compress().rule
        == parse_rule("smallest within 0.2 % of value")
        == Rule("smallest", 0.2, "value_per_1000")
    )
