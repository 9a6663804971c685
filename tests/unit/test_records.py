"""Records that stand in the folder they describe."""

from pathlib import Path

import pytest

from fairlead.errors import IntegrityError
from fairlead.records import Dataset

RECORD = Dataset(path="elsewhere", digest="d", source="csv rows.csv", rows={"train": 1})


def test_a_record_says_where_its_folder_is_now(tmp_path: Path):
    (tmp_path / Dataset.FILE).write_text(RECORD.to_json())
    assert Dataset.open(tmp_path) == Dataset(str(tmp_path), RECORD.digest, RECORD.source, RECORD.rows)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"unheard": 1}'],
                         ids=["empty", "cut off", "no object", "without fields", "another version's"])  # fmt: skip
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, text: str):
    (tmp_path / Dataset.FILE).write_text(text)
    with pytest.raises(IntegrityError, match=r"dataset\.json is no dataset that this version reads"):
        Dataset.open(tmp_path)


def test_a_folder_without_a_record_is_named(tmp_path: Path):
    with pytest.raises(IntegrityError, match=r"is no dataset: it has no dataset\.json"):
        Dataset.open(tmp_path)
