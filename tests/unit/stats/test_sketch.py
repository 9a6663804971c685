from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sketch import ACCURACY, SMALLEST, Sketch

# Within the range where bucket numbers stay small; the sketch counts smaller magnitudes as zero.
numbers = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False).filter(
    lambda value: value == 0 or abs(value) >= SMALLEST
)
samples = st.lists(numbers, min_size=1, max_size=200).map(lambda values: np.array(values, dtype=np.float64))


@given(samples, st.floats(0, 1))
def test_a_quantile_is_within_the_accuracy_of_the_true_one(values: np.ndarray, q: float) -> None:
    true = np.sort(values)[math.floor(q * (len(values) - 1))]

    assert abs(Sketch.of(values).quantile(q) - true) <= ACCURACY * abs(true) * (1 + 1e-9)


@given(samples, samples)
def test_merging_equals_sketching_all_values_at_once(one: np.ndarray, other: np.ndarray) -> None:
    assert Sketch.of(one).merge(Sketch.of(other)) == Sketch.of(np.concatenate([one, other]))


@given(samples, samples, samples)
def test_merging_is_the_same_in_any_order(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    x, y, z = Sketch.of(a), Sketch.of(b), Sketch.of(c)

    assert x.merge(y).merge(z) == z.merge(x).merge(y) == x.merge(y.merge(z))


@given(samples)
def test_a_sketch_survives_json(values: np.ndarray) -> None:
    sketch = Sketch.of(values)

    assert Sketch.from_dict(json.loads(json.dumps(sketch.to_dict()))) == sketch


@given(samples, st.integers(1, 30))
def test_a_histogram_counts_every_value_once(values: np.ndarray, bars: int) -> None:
    edges = np.linspace(values.min() - 1, values.max() + 1, bars + 1)

    assert Sketch.of(values).histogram(edges).sum() == len(values)


def test_missing_and_infinite_values_are_passed_over() -> None:
    assert Sketch.of(np.array([np.nan, np.inf, -np.inf, 2.0])).count == 1


@pytest.mark.parametrize("value", [1e-300, 1e300, -1e300, 1.7976931348623157e308])
def test_the_ends_of_the_range_of_floats_do_not_overflow(value: float) -> None:
    assert math.isfinite(Sketch.of(np.array([value])).quantile(0.5))


@pytest.mark.parametrize("q", [-0.1, 1.1])
def test_a_quantile_outside_zero_to_one_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Sketch.of(np.array([1.0])).quantile(q)


def test_an_empty_sketch_has_no_quantiles() -> None:
    with pytest.raises(ValueError, match="empty"):
        Sketch().quantile(0.5)
