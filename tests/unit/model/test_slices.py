"""Slices of the test rows, and how they are judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.model.evaluation import Estimate
from fairlead.model.slices import MIN_ROWS, MOST_VALUES, slice_masks, slice_table, verdict


def labels(values) -> list[tuple[str, int]]:
    return [(label, int(mask.sum())) for label, mask in slice_masks(np.asarray(values))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array(["b", "a", "b", None], dtype=object), [("b", 2), ("a", 1), ("missing", 1)]),
        (np.array([True, False, True, None], dtype=object), [("True", 2), ("False", 1), ("missing", 1)]),
        (np.array([2.0, 1.0, 2.0, np.nan]), [("1", 1), ("2", 2), ("missing", 1)]),
        (np.array([2.0, None, 1.0], dtype=object), [("1", 1), ("2", 1), ("missing", 1)]),
        (
            np.arange(100),
            [("up to 24.75", 25), ("24.75 to 49.5", 25), ("49.5 to 74.25", 25), ("above 74.25", 25)],
        ),
        (np.array([None, None], dtype=object), [("missing", 2)]),
    ],
    ids=["text", "booleans", "few numbers", "numbers as objects", "many numbers", "all missing"],
)
def test_slices_of_a_column(values, expected: list[tuple[str, int]]) -> None:
    assert labels(values) == expected


def test_beyond_the_twentieth_value_one_slice_holds_the_rest() -> None:
    values = np.array([f"v{place:02d}" for place in range(30) for _ in range(30 - place)], dtype=object)
    found = labels(values)
    assert len(found) == MOST_VALUES + 1
    assert found[0] == ("v00", 30)
    assert found[-1] == ("10 other values", sum(range(1, 11)))


@given(
    st.one_of(
        st.lists(st.one_of(st.none(), st.sampled_from("abcdef")), min_size=1),
        st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3)), min_size=1),
        st.lists(st.integers(0, 500), min_size=1),
    )
)
def test_every_row_is_in_exactly_one_slice(values) -> None:
    masks = [mask for _, mask in slice_masks(np.array(values, dtype=object))]
    assert (np.sum(masks, axis=0) == 1).all()


@pytest.mark.parametrize(
    ("metric", "here", "whole", "expected"),
    [
        ("roc_auc", Estimate(0.74, 0.70, 0.78), 0.80, "worse"),
        ("roc_auc", Estimate(0.80, 0.75, 0.85), 0.80, "like the whole"),
        ("roc_auc", Estimate(0.86, 0.82, 0.90), 0.80, "better"),
        ("mae", Estimate(0.74, 0.70, 0.78), 0.80, "better"),
        ("mae", Estimate(0.86, 0.82, 0.90), 0.80, "worse"),
        ("roc_auc", Estimate(0.86), 0.80, "not measurable"),
        ("roc_auc", None, 0.80, "not measurable"),
        ("roc_auc", Estimate(0.86, 0.82, 0.90), None, "not measurable"),
    ],
)
def test_verdict(metric: str, here: Estimate | None, whole: float | None, expected: str) -> None:
    assert verdict(metric, here, whole) == expected


def test_a_slice_with_too_few_rows_is_shown_and_neither_measured_nor_judged() -> None:
    measured = []

    def measure(mask):
        measured.append(int(mask.sum()))
        return {"accuracy": Estimate(0.5, 0.4, 0.6)}

    values = np.array(["large"] * MIN_ROWS + ["small"] * (MIN_ROWS - 1), dtype=object)
    large, small = slice_table({"size": values}, measure, "accuracy", 0.9)
    assert (large.verdict, small.verdict) == ("worse", "too few rows")
    assert (small.rows, small.metrics) == (MIN_ROWS - 1, {})
    assert measured == [MIN_ROWS]
