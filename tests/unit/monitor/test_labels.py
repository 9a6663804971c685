"""Labels that come late, twice, out of order, or for nothing."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.monitor.logs import feedback, prediction

from fairlead.monitor.labels import last_labels, with_labels
from fairlead.monitor.tables import SCHEMAS, tables_of

NONE = SCHEMAS["feedback"].empty_table()


def labels_after(records: list) -> list[tuple[object, object]]:
    """Label and number of labels of two predictions after these labels."""
    predictions = tables_of([prediction(1), prediction(2)])["predictions"]
    table = tables_of(records)["feedback"] if records else NONE
    return [(row["label"], row["labels"]) for row in with_labels(predictions, table).to_pylist()]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([], [(None, None), (None, None)]),
        ([feedback(1, "18a-1-2", "yes")], [(None, None), ("yes", 1)]),
        ([feedback(1, "18a-1-1", "no", at=5), feedback(2, "18a-1-1", "yes", at=6)], [("yes", 2), (None, None)]),
        ([feedback(1, "18a-1-1", "yes", at=6), feedback(2, "18a-1-1", "no", at=5)], [("yes", 2), (None, None)]),
        ([feedback(1, "18a-1-1", "no", received=1), feedback(2, "18a-1-1", "yes", received=2)], [("yes", 2), (None, None)]),
        ([feedback(1, "18a-1-1", "no"), feedback(2, "18a-1-1", "yes")], [("yes", 2), (None, None)]),
        ([feedback(1, "18a-1-1", "yes", row=1)], [(None, None), (None, None)]),
        ([feedback(1, "unknown", "yes")], [(None, None), (None, None)]),
    ],
    ids=["none", "one", "twice", "out of order", "same time, by arrival", "same arrival, by number", "another row",
         "no prediction"],
)  # fmt: skip
def test_the_last_label_wins(labels: list, found: list[tuple[object, object]]) -> None:
    assert labels_after(labels) == found


def test_predictions_keep_their_order_and_their_columns() -> None:
    predictions = tables_of([prediction(number) for number in (5, 3, 9)])["predictions"]
    joined = with_labels(predictions, tables_of([feedback(1, "18a-1-3", 2.5)])["feedback"])
    assert joined.select(predictions.column_names).to_pylist() == predictions.to_pylist()
    assert joined["value"].to_pylist() == [None, 2.5, None]


def test_two_predictions_of_one_id_get_the_same_label() -> None:
    predictions = tables_of([prediction(1, id="same"), prediction(2, id="same")])["predictions"]
    assert with_labels(predictions, tables_of([feedback(1, "same", "yes")])["feedback"])[
        "label"
    ].to_pylist() == ["yes", "yes"]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from(["yes", "no"]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_in_which_files_are_read_does_not_matter(events, random) -> None:
    records = [
        feedback(number, identity, label, row=row, at=at, received=received)
        for number, (identity, row, at, received, label) in enumerate(events)
    ]
    expected: dict[tuple[str, int], str] = {}
    for record in sorted(records, key=lambda record: (record["at"], record["received"], record["seq"])):
        expected[record["id"], record["row"]] = record["label"]
    random.shuffle(records)
    table = pa.concat_tables([NONE, *(tables_of([record])["feedback"] for record in records)])
    found = {(row["id"], row["row"]): row["label"] for row in last_labels(table).to_pylist()}
    assert found == expected
    assert sum(last_labels(table)["labels"].to_pylist()) == len(records)
