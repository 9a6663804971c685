"""Search spaces: what the project file may write, and what is drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ProjectError
from fairlead.model.space import Choice, Range, dimension, draw, grid


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param([1, None, "a"], Choice((1, None, "a")), id="list of choices"),
        pytest.param({"low": 1, "high": 9}, Range(1, 9, whole=True), id="whole ends give whole numbers"),
        pytest.param({"low": 1, "high": 9.5}, Range(1, 9.5), id="one broken end gives broken numbers"),
        pytest.param({"low": 0.1, "high": 9, "log": True}, Range(0.1, 9, log=True), id="logarithmic"),
        pytest.param({"low": 0, "high": 1, "step": 0.5}, Range(0, 1, step=0.5), id="broken step gives broken numbers"),
    ],
)
def test_a_space_is_read_as_written(raw, expected):
    assert dimension("C", raw) == expected


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        pytest.param([], "choices is empty", id="no choice"),
        pytest.param({"low": 1}, "must be numbers", id="high is missing"),
        pytest.param({"low": 2, "high": 1}, "low is above high", id="reversed"),
        pytest.param({"low": 0, "high": 1, "log": True}, "low must be above 0", id="logarithm of zero"),
        pytest.param({"low": 1, "high": 2, "max": 3}, "there is no such key: max", id="unknown key"),
        pytest.param({"low": 1, "high": 2, "step": 0}, "step must be above 0", id="no step"),
        pytest.param({"low": True, "high": 2}, "must be numbers", id="a boolean is no number"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_by_name(raw, rule):
    with pytest.raises(ProjectError, match=rule) as caught:
        dimension("logistic.C", raw)
    assert "logistic.C" in str(caught.value)


ranges = st.builds(
    lambda low, width, log, whole: Range(*((round(low), round(low + width)) if whole else (low, low + width)), log, None, whole),
    st.floats(1, 100), st.floats(1, 100), st.booleans(), st.booleans(),
)  # fmt: skip


@given(ranges, st.integers(0, 2**32))
def test_draws_stay_inside_their_range(found, seed):
    value = found.draw(np.random.default_rng(seed))
    assert found.low <= value <= found.high
    assert isinstance(value, int) == found.whole


@given(ranges)
def test_a_grid_is_rising_and_has_both_ends(found):
    points = found.grid()
    assert list(points) == sorted(set(points))
    assert (points[0], points[-1]) == pytest.approx((found.low, found.high))


def test_the_order_of_parameters_in_the_file_does_not_change_a_draw():
    one = {"a": Range(0.0, 1.0), "b": Range(0.0, 1.0)}
    other = {"b": Range(0.0, 1.0), "a": Range(0.0, 1.0)}
    assert draw(one, np.random.default_rng(5)) == draw(other, np.random.default_rng(5))


def test_a_grid_has_every_combination_once():
    points = grid({"a": Choice((1, 2)), "b": Range(1, 2, whole=True)})
    assert points == [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 2, "b": 2}]


def test_an_empty_space_has_one_point():
    assert grid({}) == [{}]
