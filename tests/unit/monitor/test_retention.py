"""What is deleted because of its age."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.monitor.logs import prediction

from fairlead.adapters.trees import FolderTree
from fairlead.monitor.deletion import delete_expired
from fairlead.monitor.partitions import partitioned
from fairlead.monitor.retention import expired
from fairlead.monitor.tables import tables_of

TIMES = st.floats(0, 4e9)


@given(TIMES, TIMES, st.integers(1, 400))
def test_a_record_is_kept_as_long_as_said_and_less_than_an_hour_more(
    at: float, now: float, days: int
) -> None:
    [folder] = partitioned("predictions", tables_of([prediction(1, at=at)])["predictions"])
    deleted = bool(expired([f"{folder}/a.parquet"], now, days))
    age = now - at - days * 86400
    assert not (deleted and age < -1e-3)
    assert not (not deleted and age >= 3600)


@given(st.lists(st.text(max_size=40)))
def test_files_of_others_are_left_alone(names: list[str]) -> None:
    assert expired(names, 1e12, 1) == []


def test_old_files_go_and_young_ones_stay(tmp_path) -> None:
    tree = FolderTree(tmp_path)
    for name in (
        "predictions/date=2026-01-01/hour=05/a.parquet",
        "feedback/date=2026-03-01/hour=05/a.parquet",
        "README",
    ):
        tree.write(name, b"")
    assert delete_expired(tree, 1772496000.0, 30) == 1  # 2026-03-03
    assert tree.names() == ["README", "feedback/date=2026-03-01/hour=05/a.parquet"]
