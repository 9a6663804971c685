"""Records to tables, and tables to partitions."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.monitor.logs import BEGIN, feedback, pair, prediction, worker

from fairlead.monitor.partitions import Sizes, Waiting, next_batch, partitioned
from fairlead.monitor.shipping import parquet_of
from fairlead.monitor.tables import SCHEMAS, inputs_of, tables_of


def test_a_request_becomes_a_row_for_each_of_its_rows() -> None:
    rows = tables_of([prediction(7, rows=3)])["predictions"].to_pylist()
    assert [(row["id"], row["row"], row["seq"]) for row in rows] == [
        ("18a-1-7", number, 7) for number in range(3)
    ]
    assert rows[0]["at"] == datetime(2026, 11, 22, 6, 12, 51, 500_000, tzinfo=UTC)
    assert rows[0]["answer"] == [0.25, 0.75]


def test_a_table_has_the_same_schema_whatever_was_logged() -> None:
    bare = prediction(1) | {"rows": [{"answer": [1.0]}]}
    full = prediction(2, caller="c", row={"subject": "s"})
    for records in ([bare], [full], [bare, full]):
        assert tables_of(records)["predictions"].schema == SCHEMAS["predictions"]


def test_inputs_are_columns_again() -> None:
    rows = tables_of([prediction(1), prediction(2, row={"inputs": {"amount": None, "abroad": True}})])[
        "predictions"
    ]
    assert inputs_of(rows).to_pylist() == [
        {"amount": 1.0, "country": "DE", "abroad": None},
        {"amount": None, "country": None, "abroad": True},
    ]


def test_without_logged_inputs_there_are_no_columns() -> None:
    rows = tables_of([prediction(1) | {"rows": [{"answer": [1.0]}]}])["predictions"]
    assert inputs_of(rows).column_names == []


@pytest.mark.parametrize(
    ("label", "text", "value"),
    [("yes", "yes", None), (True, "true", None), (1, "1", 1.0), (2.5, "2.5", 2.5), (None, "null", None)],
    ids=["class", "boolean", "integer", "number", "null"],
)
def test_a_label_is_kept_as_text_and_as_number(label: object, text: str, value: float | None) -> None:
    [row] = tables_of([feedback(1, "a", label)])["feedback"].to_pylist()
    assert (row["label"], row["value"]) == (text, value)


@pytest.mark.parametrize("others", [None, [[0.5, 0.5]]], ids=["refused", "answered"])
def test_a_pair_has_both_answers(others: list[list[float]] | None) -> None:
    [row] = tables_of([pair(1, "a", others=others)])["pairs"].to_pylist()
    assert row["answer"] == [0.25, 0.75]
    assert row["other_answer"] == (others[0] if others else None)


def test_tables_survive_a_file(tmp_path) -> None:
    for table, rows in tables_of(
        [prediction(1), feedback(2, "a", 1), pair(3, "a"), worker("end", 3)]
    ).items():
        (tmp_path / table).write_bytes(parquet_of(rows))
        assert pq.read_table(tmp_path / table).to_pylist() == rows.to_pylist()


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = tables_of([prediction(number) for number in range(100)])["predictions"]
    halves = pa.concat_tables([rows.slice(0, 30), rows.slice(30)])
    assert parquet_of(halves).to_pybytes() == parquet_of(halves).to_pybytes()


def test_rows_go_where_their_hour_is() -> None:
    hour = BEGIN - BEGIN % 3600
    records = [
        prediction(number, at=at) for number, at in enumerate((hour, hour + 3599.999, hour + 3600, 0.0))
    ]
    found = partitioned("predictions", tables_of(records)["predictions"])
    assert {folder: rows["seq"].to_pylist() for folder, rows in found.items()} == {
        "predictions/date=1970-01-01/hour=00": [3],
        "predictions/date=2026-11-22/hour=06": [0, 1],
        "predictions/date=2026-11-22/hour=07": [2],
    }


def test_a_label_is_kept_in_the_hour_it_came_in() -> None:
    found = partitioned("feedback", tables_of([feedback(1, "a", 1, at=0.0)])["feedback"])
    assert list(found) == ["feedback/date=2026-11-22/hour=06"]


@pytest.mark.parametrize(
    ("waiting", "now", "batch"),
    [
        ([], 1e9, 0),
        ([40], 59, 0),
        ([40], 60, 1),
        ([40, 40], 0, 0),
        ([40, 40, 40], 0, 2),
        ([400], 0, 1),
        ([400, 1], 0, 1),
        ([60, 40, 1], 0, 2),
    ],
    ids=["none", "young", "old", "small", "full", "one too large", "large first", "exactly full"],
)
def test_a_batch_goes_when_it_is_full_or_old(waiting: list[int], now: float, batch: int) -> None:
    segments = [Waiting(f"{number}", 0.0, size) for number, size in enumerate(waiting)]
    assert len(next_batch(segments, Sizes(bytes=100, seconds=60), now)) == batch
