from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.data.hashing import seeded
from fairlead.data.split import TEST, TRAIN, VALID, PlaceSurvey, TimeCuts, TimeSurvey, cut_near


def assigned(
    strata: list[str], codes: np.ndarray, seed: int = 0, *, valid: float = 0.15, test: float = 0.2
) -> np.ndarray:
    hashes = seeded(np.arange(len(codes)), seed)
    survey = PlaceSurvey()
    survey.add(strata, codes, hashes)
    return survey.cuts(valid=valid, test=test).assign(strata, codes, hashes)


@pytest.mark.parametrize("rows", [20, 100, 1_000, 50_000])
def test_shares_are_right_at_any_size(rows: int) -> None:
    found = np.bincount(assigned([""], np.zeros(rows, dtype=int)), minlength=3)

    assert np.abs(found - rows * np.array([0.65, 0.15, 0.2])).max() <= max(1.5, rows / 4096)


def test_a_stratified_split_has_the_same_shares_in_every_class() -> None:
    codes = np.array([0] * 9_900 + [1] * 100)
    found = assigned(["common", "rare"], codes)

    assert np.bincount(found[codes == 1]).tolist() == pytest.approx([65, 15, 20], abs=1)
    assert np.bincount(found[codes == 0]).tolist() == pytest.approx([6435, 1485, 1980], abs=3)


def test_another_seed_gives_another_split() -> None:
    codes = np.zeros(1_000, dtype=int)

    assert (assigned([""], codes, 1) != assigned([""], codes, 2)).any()


def test_new_rows_at_the_end_hardly_move_old_ones() -> None:
    before = assigned([""], np.zeros(10_000, dtype=int))
    after = assigned([""], np.zeros(10_100, dtype=int))

    assert (before != after[:10_000]).mean() < 0.01


@example(values=[0, 0, 1, 2], valid=0.25, test=0.375)  # only one time is before the nearest cut
@given(
    st.lists(st.integers(0, 50), min_size=3, max_size=300).filter(lambda values: len(set(values)) >= 3),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.4),
)
def test_a_time_split_has_no_future_in_training_and_parts_no_equal_times(
    values: list[int], valid: float, test: float
) -> None:
    times = np.array(values)
    survey = TimeSurvey()
    survey.add(times, seeded(np.arange(len(times)), 0))
    codes = survey.cuts(valid=valid, test=test).assign(times)

    for earlier, later in ((TRAIN, VALID), (VALID, TEST), (TRAIN, TEST)):
        if (codes == earlier).any() and (codes == later).any():
            assert times[codes == earlier].max() < times[codes == later].min()
    assert set(codes.tolist()) == {TRAIN, VALID, TEST}


def test_a_time_split_of_many_rows_is_cut_by_a_sample() -> None:
    times = np.random.default_rng(0).integers(0, 10**9, 100_000)
    survey = TimeSurvey(size=20_000)
    for start in range(0, len(times), 10_000):
        survey.add(times[start : start + 10_000], seeded(np.arange(start, start + 10_000), 0))
    shares = np.bincount(survey.cuts(valid=0.15, test=0.2).assign(times)) / len(times)

    assert shares == pytest.approx([0.65, 0.15, 0.2], abs=0.015)


@pytest.mark.parametrize(
    ("times", "rank", "cut"),
    [
        ([1, 2, 3, 4], 2, 3),
        ([1, 2, 2, 2, 3], 2, 2),
        ([1, 2, 2, 2, 3], 3, 3),
        ([1, 1, 2], 0, 2),
        ([1, 2, 2], 3, 2),
    ],
)
def test_a_cut_lies_between_two_different_times(times: list[int], rank: float, cut: int) -> None:
    assert cut_near(np.array(times), rank) == cut


def test_time_cuts_give_their_own_moment_to_the_later_split() -> None:
    assert TimeCuts(valid=10, test=20).assign(np.array([9, 10, 19, 20])).tolist() == [
        TRAIN,
        VALID,
        VALID,
        TEST,
    ]
