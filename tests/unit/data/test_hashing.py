"""Hashes, duplicates and partitions."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.data.duplicates import DuplicateFinder
from fairlead.data.hashing import row_hashes, seeded, value_hashes
from fairlead.data.rowset import RowSet


@pytest.mark.parametrize("lane", [0, 1])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([0.0, 1.0, -1.0, None, 0.1]),
        pa.array(["a", "b", "", None, "ab"]),
        pa.array([True, False, None]),
        pa.array([datetime(2020, 1, 1), datetime(2020, 1, 2), None], pa.timestamp("us")),
    ],
    ids=lambda values: str(values.type),
)
def test_different_values_have_different_hashes(values: pa.Array, lane: int) -> None:
    assert len(set(value_hashes(values, lane).tolist())) == len(values)


def test_zero_and_minus_zero_are_the_same_number() -> None:
    assert len(set(value_hashes(pa.array([0.0, -0.0])).tolist())) == 1


def test_equal_values_in_other_columns_make_another_row() -> None:
    one = row_hashes([pa.array(["a"]), pa.array(["b"])])
    other = row_hashes([pa.array(["b"]), pa.array(["a"])])

    assert one[0][0] != other[0][0]
    assert one[1][0] != other[1][0]


def test_the_two_lanes_are_independent() -> None:
    first, second = row_hashes([pa.array(np.arange(10_000.0))])

    assert abs(np.corrcoef(first.astype(float), second.astype(float))[0, 1]) < 0.05


def test_hashes_are_the_same_in_every_process() -> None:
    code = (
        "import pyarrow as pa; from fairlead.data.hashing import row_hashes;"
        "print(*(lane[0] for lane in row_hashes([pa.array(['a']), pa.array([1.5])])))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = row_hashes([pa.array(["a"]), pa.array([1.5])])

    assert found.stdout.split() == [str(lane[0]) for lane in here]


@given(st.integers(0, 2**40), st.integers(0, 1000))
def test_seeded_hashes_change_with_the_seed(row: int, seed: int) -> None:
    rows = np.array([row])

    assert seeded(rows, seed)[0] != seeded(rows, seed + 1)[0]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3) | st.none()), max_size=80),
    st.integers(1, 30),
)
def test_exactly_the_later_ones_of_equal_rows_are_found(
    rows: list[tuple[str, int | None]], size: int
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, DuplicateFinder(Path(folder) / "spill") as finder:
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            columns = [pa.array([one for one, _ in part]), pa.array([two for _, two in part], pa.float64())]
            finder.add_rows(row_hashes(columns), np.arange(start, start + len(part)))
        found = finder.later_ones(len(rows))

    expected = [row in rows[:position] for position, row in enumerate(rows)]
    assert found.contains(np.arange(len(rows))).tolist() == expected


def test_the_spilled_files_are_removed(tmp_path: Path) -> None:
    with DuplicateFinder(tmp_path / "spill") as finder:
        finder.add_rows(row_hashes([pa.array([1.0, 1.0])]), np.arange(2))
        assert finder.bytes == 2 * 24

    assert list((tmp_path / "spill").iterdir()) == []


@given(st.sets(st.integers(0, 999)))
def test_a_row_set_holds_what_was_added(rows: set[int]) -> None:
    marked = RowSet(1000)
    marked.add(np.array(sorted(rows), dtype=np.int64))

    assert np.flatnonzero(marked.contains(np.arange(1000))).tolist() == sorted(rows)
    assert len(marked) == len(rows)
