"""How figures are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.report import little_histogram, number
from fairlead.report.charts import shorten
from fairlead.report.numbers import percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        (math.nan, "\u2013"),
        (math.inf, "inf"),
        (0, "0"),
        (-0.0, "0"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        (0.912345, "0.9123"),
        (1234.5678, "1,235"),
        (12.3456, "12.35"),
        (0.0123456, "0.0123"),
        (0.000123, "0.000123"),
        (0.0000123, "1.230e-05"),
        (-12.0, "-12"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


@given(st.floats(min_value=1e-4, max_value=1e12))
def test_a_written_number_is_within_half_a_percent(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0834, "8.34 %"), (1.0, "100 %"), (0.0, "0 %"), (None, "\u2013")]
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("counts", "bars"),
    [([], 0), ([0, 0], 0), ([1, 0, 2], 2), ([1] * 500, 500)],
    ids=["none", "zeros", "gap", "many"],
)
def test_little_histogram_has_a_bar_for_every_count_above_zero(counts: list[int], bars: int) -> None:
    assert little_histogram(counts).count("<rect") == bars


def test_the_smallest_count_is_still_visible() -> None:
    assert 'height="1.00"' in little_histogram([1, 1_000_000])


def test_long_names_are_shortened() -> None:
    assert shorten("a" * 50) == "a" * 25 + "…"
