"""Learning curves, and what they say in words."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fairlead.model.learning import LearningPoint, learning_curve, nested_samples, sizes, verdict
from fairlead.spec.metrics import METRICS

P = LearningPoint


@pytest.mark.parametrize(
    ("metric", "points", "baseline", "fit", "more"),
    [
        pytest.param("roc_auc", [P(100, 1.0, 0.70), P(1000, 0.99, 0.80)], 0.5, "over-fit", True, id="by heart, still rising"),
        pytest.param("roc_auc", [P(100, 1.0, 0.79), P(1000, 0.99, 0.80)], 0.5, "over-fit", False, id="by heart, flat"),
        pytest.param("roc_auc", [P(100, 0.56, 0.53), P(1000, 0.55, 0.54)], 0.5, "under-fit", False, id="like the baseline"),
        pytest.param("roc_auc", [P(100, 0.92, 0.89), P(1000, 0.91, 0.90)], 0.5, "good fit", False, id="good"),
        pytest.param("roc_auc", [P(100, 0.92, 0.80), P(1000, 0.91, 0.90)], 0.5, "good fit", True, id="good, still rising"),
        pytest.param("mae", [P(100, 1.0, 6.0), P(1000, 2.0, 5.0)], 9.0, "over-fit", True, id="lower is better: by heart"),
        pytest.param("mae", [P(100, 8.0, 8.9), P(1000, 8.3, 8.8)], 9.0, "under-fit", False, id="lower is better: weak"),
        pytest.param("mae", [P(1000, 2.0, 2.1)], None, "good fit", False, id="one size, no baseline"),
        pytest.param("mae", [], 9.0, "unclear", False, id="nothing measured"),
    ],
)  # fmt: skip
def test_the_verdict_follows_gap_and_slope(metric, points, baseline, fit, more):
    found = verdict(METRICS[metric], points, baseline)
    assert (found.fit, found.more_rows_help) == (fit, more)


def test_the_verdict_names_metric_and_figures():
    words = verdict(METRICS["mae"], [P(50, 1.0, 6.0), P(100, 2.0, 5.0)]).words
    assert words.startswith("Over-fit: mae is 2 on its own training rows and 5 on new ones.")


@pytest.mark.parametrize("rows", [5, 19, 20, 199, 1000, 10**7])
def test_sizes_rise_and_end_at_all_rows_or_the_cap(rows):
    found = sizes(rows)
    assert list(found) == sorted(set(found))
    assert found[-1] == min(rows, 20_000)
    assert len(found) <= 4


def test_larger_samples_hold_the_smaller_ones():
    samples = nested_samples(5_000, seed=1)
    assert all(np.isin(small, large).all() for small, large in pairwise(samples))


def test_sizes_that_cannot_be_measured_are_left_out():
    points = learning_curve(1_000, 0, lambda sample: (None, 0.5) if len(sample) == 100 else (0.9, 0.8))
    assert [point.rows for point in points] == [300, 1000]
