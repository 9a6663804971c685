"""A person's rows are deleted: all of them, no others, and again after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.s3 import S3Server
from tests.unit.monitor.logs import BEGIN, feedback, pair, prediction, worker, write_segment
from tests.unit.monitor.test_shipping import ALL

from fairlead.adapters.trees import FolderTree, open_tree
from fairlead.monitor.deletion import forget
from fairlead.monitor.shipping import read_table, ship
from fairlead.monitor.summary import summarize
from fairlead.monitor.target import Target

EVE, ADA = "e" * 32, "a" * 32


def both(seq: int) -> dict[str, Any]:
    """A request with a row of each."""
    rows = [{"subject": subject, "inputs": {"amount": 1.0}, "answer": [0.5, 0.5]} for subject in (ADA, EVE)]
    return prediction(seq) | {"rows": rows}


RECORDS = [
    worker("begin", 0),
    prediction(1, row={"subject": EVE}),
    prediction(2, row={"subject": ADA}, at=BEGIN + 3600),
    both(3),
    prediction(4, row={"subject": EVE}, at=BEGIN + 3600),
    prediction(5),
    feedback(6, "18a-1-1", "yes"),
    feedback(7, "18a-1-3", "yes", row=0),
    feedback(8, "18a-1-3", "yes", row=1),
    pair(9, "18a-1-4"),
    pair(10, "18a-1-2"),
    worker("end", 10),
]


@pytest.fixture
def tree(tmp_path: Path) -> FolderTree:
    write_segment(tmp_path / "log", RECORDS)
    tree = FolderTree(tmp_path / "target")
    list(ship(tmp_path / "log", tree, ALL, BEGIN + 1))
    return tree


def rows(target: Target, table: str) -> list[tuple[str, int]]:
    """Ids and rows of a table."""
    names = [name for name in target.names() if name.startswith(f"{table}/")]
    found = [row for name in names for row in read_table(target, name, ["id", "row"]).to_pylist()]
    return sorted((row["id"], row["row"]) for row in found)


def check_eve_is_gone(target: Target) -> None:
    assert rows(target, "predictions") == [("18a-1-2", 0), ("18a-1-3", 0), ("18a-1-5", 0)]
    assert rows(target, "feedback") == [("18a-1-3", 0)]
    assert rows(target, "pairs") == [("18a-1-2", 0)]


def test_a_persons_predictions_labels_and_pairs_are_deleted_and_no_others(tree: FolderTree) -> None:
    done = forget(tree, [EVE])
    check_eve_is_gone(tree)
    assert done.rows == {"predictions": 3, "feedback": 2, "pairs": 1}


def test_the_hash_is_in_no_file_afterwards(tree: FolderTree, tmp_path: Path) -> None:
    forget(tree, [EVE])
    names = [name for name in tree.names() if name.startswith("predictions/")]
    assert EVE not in [subject for name in names for subject in read_table(tree, name)["subject"].to_pylist()]


def test_what_was_deleted_is_not_reported_as_lost(tree: FolderTree) -> None:
    forget(tree, [EVE])
    assert summarize(tree, 0.0).gaps == []


def test_a_person_nobody_knows_changes_nothing(tree: FolderTree) -> None:
    before = {name: tree.open(name).read() for name in tree.names()}
    assert forget(tree, ["0" * 32]).files == 0
    assert {name: tree.open(name).read() for name in tree.names()} == before


def test_hashes_of_an_older_salt_are_found_too(tree: FolderTree) -> None:
    assert forget(tree, [EVE, ADA]).rows["predictions"] == 5
    assert rows(tree, "predictions") == [("18a-1-5", 0)]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(1, 12))
def test_a_deletion_that_was_killed_is_finished_by_the_next(
    tree: FolderTree, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = step

    def deadly(action: Any) -> Any:
        def change(*arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            action(*arguments)

        return change

    with monkeypatch.context() as patched:
        patched.setattr(tree, "write", deadly(tree.write))
        patched.setattr(tree, "delete", deadly(tree.delete))
        try:
            forget(tree, [EVE])
        except Killed:
            assert left == 0
    forget(tree, [EVE])
    check_eve_is_gone(tree)
    assert summarize(tree, 0.0).gaps == []


@pytest.mark.xdist_group("s3")
def test_rows_are_deleted_from_a_bucket(s3: S3Server, tmp_path: Path) -> None:
    write_segment(tmp_path / "log", RECORDS)
    tree = open_tree("s3://models/logs/deletion")
    list(ship(tmp_path / "log", tree, ALL, BEGIN + 1))
    forget(tree, [EVE])
    check_eve_is_gone(tree)
