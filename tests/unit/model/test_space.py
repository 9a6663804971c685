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
        pytest.param(
            {"low": 0, "high": 1, "step": 0.5}, Range(0, 1, step=0.5), id="broken step gives broken numbers"
        ),
    ],
)
def test_a_space_is_read_as_written(raw, expected):
    assert dimension("C", raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param({"low": 1, "high": 2, "step": 0}, id="step of zero"),
        pytest.param({"low": 1, "high": 2, "step": "a"}, id="step of text"),
        pytest.param({"low": 1, "high": 2, "step": 1, "log": True}, id="step and logarithm"),
    ],
)
def test_a_step_that_does_not_fit_is_refused_by_name(raw):
    with pytest.raises(ProjectError, match=r"logistic\.C: step = .* must be a number above 0"):
        dimension("logistic.C", raw)


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
