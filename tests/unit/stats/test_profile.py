from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.profile import TOP_VALUES, ColumnProfile, Numbers, Profile, Times, TopValues

numbers = st.lists(st.floats(-1e9, 1e9) | st.just(float("nan")), max_size=60)
words = st.lists(st.sampled_from(["a", "b", "c"]) | st.none(), max_size=60)
moments = st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)) | st.none(), max_size=60)


def assert_same(one: ColumnProfile, other: ColumnProfile) -> None:
    """Equal, mean and variance up to rounding."""
    left, right = one.to_dict(), other.to_dict()
    for side in (left, right):
        if side["numbers"]:
            side["moments"] = [side["numbers"].pop(name) for name in ("mean", "m2", "std")]
    if "moments" in left:
        scale = max(1.0, *(abs(one.numbers.quantile(q) or 0) for q in (0, 1)))  # type: ignore[union-attr]
        mean, m2, _ = left.pop("moments")
        other_mean, other_m2, _ = right.pop("moments")
        assert mean == pytest.approx(other_mean, abs=1e-9 * scale)
        assert m2 == pytest.approx(other_m2, rel=1e-6, abs=1e-9 * scale**2)
    assert left == right


@given(numbers, numbers)
def test_merged_number_profiles_equal_the_profile_of_all(one: list[float], other: list[float]) -> None:
    merged = ColumnProfile.of("number", one).merge(ColumnProfile.of("number", other))

    assert_same(merged, ColumnProfile.of("number", one + other))


@given(words, words)
def test_merged_category_profiles_equal_the_profile_of_all(
    one: list[str | None], other: list[str | None]
) -> None:
    merged = ColumnProfile.of("category", one).merge(ColumnProfile.of("category", other))

    assert merged == ColumnProfile.of("category", one + other)


@given(words, words)
def test_merged_text_profiles_equal_the_profile_of_all(
    one: list[str | None], other: list[str | None]
) -> None:
    assert_same(
        ColumnProfile.of("text", one).merge(ColumnProfile.of("text", other)),
        ColumnProfile.of("text", one + other),
    )


@given(moments, moments)
def test_merged_time_profiles_equal_the_profile_of_all(
    one: list[datetime | None], other: list[datetime | None]
) -> None:
    merged = ColumnProfile.of("datetime", one).merge(ColumnProfile.of("datetime", other))

    assert merged == ColumnProfile.of("datetime", one + other)


@given(st.lists(st.integers(0, 3 * TOP_VALUES), min_size=1, max_size=3000), st.integers(1, 2999))
def test_beyond_the_bound_a_count_is_off_by_at_most_the_undercount(values: list[int], cut: int) -> None:
    texts = [f"v{value}" for value in values]
    merged = _counted(texts[:cut]).merge(_counted(texts[cut:]))

    for value, true in Counter(texts).items():
        found = merged.counts.get(value, 0)
        assert found <= true <= found + merged.undercount
    assert len(merged.counts) <= TOP_VALUES


def _counted(texts: list[str]) -> TopValues:
    counts = Counter(texts)
    return TopValues.of(list(counts), list(counts.values()))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("number", [1.5, None, -2.0, 0.0]),
        ("integer", [3, 4, None]),
        ("boolean", [True, None, False]),
        ("category", ["a", "b", None]),
        ("text", ["héllo", None]),
        ("datetime", [datetime(2011, 12, 9, 12, 50), None]),
        ("number", []),
        ("number", [1e200, -1e200]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_profile_survives_json(kind: str, values: list[object]) -> None:
    profile = Profile.of({"column": (kind, values)})

    assert Profile.from_json(profile.to_json()) == profile


def test_moments_are_those_of_the_values() -> None:
    found = Numbers.of(np.array([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]))

    assert (found.mean, found.std, found.minimum, found.maximum) == (5.0, 2.0, 2.0, 9.0)


def test_lengths_of_texts_are_counted_in_characters() -> None:
    profile = ColumnProfile.of("text", ["日本語", "ab"])

    assert profile.numbers is not None
    assert (profile.numbers.minimum, profile.numbers.maximum) == (2.0, 3.0)


def test_booleans_are_named_as_in_the_contract() -> None:
    profile = ColumnProfile.of("boolean", [True, True, False])

    assert profile.values is not None
    assert profile.values.top(2) == [("true", 2), ("false", 1)]


@pytest.mark.parametrize(
    ("days", "width"), [(1, 1), (399, 1), (401, 7), (2_780, 7), (2_900, 28), (200_000, 364)]
)
def test_time_bins_are_as_wide_as_the_span_needs(days: int, width: int) -> None:
    ends = np.array(["1990-01-01", np.datetime64("1990-01-01") + days], dtype="datetime64[us]")

    assert Times.of(ends).width_days == width


@pytest.mark.parametrize(
    ("kind", "values", "constant"),
    [
        ("number", [2.0, 2.0], True),
        ("number", [2.0, 3.0], False),
        ("number", [2.0, None], False),
        ("number", [None, None], True),
        ("category", ["a", "a"], True),
        ("category", ["a", "b"], False),
        ("boolean", [True, True], True),
        ("datetime", [datetime(2011, 1, 1)] * 2, True),
        ("text", ["ab", "cd"], False),
    ],
)
def test_constant_columns_are_recognised(kind: str, values: list[object], constant: bool) -> None:
    assert ColumnProfile.of(kind, values).constant is constant


def test_columns_of_different_kinds_are_not_merged() -> None:
    with pytest.raises(ValueError, match="kind number with one of kind text"):
        ColumnProfile.of("number", [1.0]).merge(ColumnProfile.of("text", ["a"]))


@pytest.mark.parametrize("make", [Numbers, Times, TopValues])
def test_an_empty_summary_changes_nothing(make: Callable[[], Numbers]) -> None:
    filled = {
        Numbers: Numbers.of(np.array([1.0, 2.0])),
        Times: Times.of(np.array(["2020-01-01"], dtype="datetime64[us]")),
        TopValues: TopValues.of(["a"], [1]),
    }[make]  # type: ignore[index]

    assert filled.merge(make()) == filled  # type: ignore[attr-defined]
