"""Reading a split: canonical columns in, arrays out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.unit.model.snapshots import cancer, project_of, segments, write_snapshot

from fairlead.errors import DataError, IntegrityError, ProjectError
from fairlead.model.fit import target_of
from fairlead.model.rows import read_rows, request_columns, schema_of
from fairlead.records import Dataset
from fairlead.schema import Field, Output, Schema

SCHEMA = Schema(
    "s",
    (
        Field("n", "number", missing="allow"),
        Field("flag", "boolean", missing="allow"),
        Field("c", "category", values=("x", "y"), unknown="other"),
        Field("seen", "datetime", parts=("hour", "weekday")),
    ),
    Output("classification", "target", ("no", "yes"), "yes"),
)
FRAME = pd.DataFrame({
    "n": [1.5, None, 3.0] * 4,
    "flag": pd.array([True, None, False] * 4, dtype="boolean"),
    "c": ["x", "z", "y"] * 4,
    "seen": pd.to_datetime(["2024-01-01T05:00", "2024-01-02T06:00", "2024-01-03T07:00"] * 4),
    "who": ["ann", "bob", "cid"] * 4,
    "target": ["no", "yes", "no"] * 4,
})  # fmt: skip


def read(tmp_path, split="train", frame=FRAME, parts=None, **changes):
    write_snapshot(tmp_path, SCHEMA, frame, parts)
    return read_rows(tmp_path, split, SCHEMA, project_of("classification", ["logistic"], **changes))


def test_every_kind_of_column_is_encoded_by_the_schema(tmp_path):
    expected = [[1.5, 1.0, 0.0, 5.0, 0.0], [np.nan, np.nan, -1.0, 6.0, 1.0], [3.0, 0.0, 1.0, 7.0, 2.0]]
    assert np.array_equal(read(tmp_path).array[:3], np.array(expected, np.float32), equal_nan=True)


def test_time_group_and_slices_come_with_the_rows(tmp_path):
    rows = read(tmp_path, data={"time": "seen", "group": "who"}, model={"slices": ["c", "who"]})
    assert rows.time[0] == np.datetime64("2024-01-01T05:00")
    assert rows.group[:3].tolist() == ["ann", "bob", "cid"]
    assert {name: values[:2].tolist() for name, values in rows.slices.items()} == {
        "c": ["x", "z"],
        "who": ["ann", "bob"],
    }


def test_a_row_without_a_group_is_a_group_of_its_own(tmp_path):
    frame = FRAME.assign(who=["ann", None, None] * 4)
    rows = read(tmp_path, data={"group": "who"}, frame=frame)
    assert rows.group[:3].tolist() == ["ann", "(row 1)", "(row 2)"]


def test_rows_keep_their_position_in_the_source(tmp_path):
    assert read(tmp_path, "test").row.tolist() == [9, 10, 11]


def test_taking_rows_takes_all_that_is_known_about_them(tmp_path):
    some = read(tmp_path, data={"time": "seen"}, model={"slices": ["c"]}).take(np.array([2, 0]))
    assert (some.row.tolist(), some.actual.tolist(), some.slices["c"].tolist()) == (
        [2, 0],
        ["no", "no"],
        ["y", "x"],
    )
    assert (len(some), some.array.shape, some.batch.numbers.shape, some.time.shape) == (
        2,
        (2, 5),
        (2, 5),
        (2,),
    )


def test_an_empty_split_is_an_error_with_a_way_out(tmp_path):
    with pytest.raises(DataError, match="the valid split has no rows") as caught:
        read(tmp_path, "valid", parts=["train"] * 6 + ["test"] * 6)
    assert "data.split" in caught.value.hint


def test_a_slice_that_is_no_column_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(ProjectError, match="names 'whom'") as caught:
        read(tmp_path, model={"slices": ["whom"]})
    assert caught.value.hint == "Did you mean 'who'?"


def test_a_single_class_is_an_error_that_names_it(tmp_path):
    rows = read(tmp_path, frame=FRAME.assign(target="no"))
    with pytest.raises(DataError, match="have only the class 'no' and lack 'yes'") as caught:
        target_of(SCHEMA.output, rows)
    assert caught.value.hint


def test_class_codes_follow_the_schema(tmp_path):
    assert target_of(SCHEMA.output, read(tmp_path))[:3].tolist() == [0, 1, 0]


def test_clustering_has_nothing_to_be_fitted_to(tmp_path):
    sample = segments()
    sample.write(tmp_path)
    rows = read_rows(tmp_path, "train", sample.schema, project_of("clustering", ["kmeans"]))
    assert target_of(sample.schema.output, rows) is None


def test_a_champion_gets_the_rows_as_a_request_would_carry_them(tmp_path):
    sample = cancer(2)
    sample.write(tmp_path)
    columns = request_columns(tmp_path, sample.schema)
    assert columns["size"][:1] == [sample.frame["size"].iloc[-115]]
    assert len(columns["size"]) == 115


def test_a_dataset_without_a_schema_is_an_integrity_error(tmp_path):
    dataset = Dataset(path=str(tmp_path), digest="0", source="", rows={})
    with pytest.raises(IntegrityError, match=r"no usable schema\.json"):
        schema_of(dataset)
