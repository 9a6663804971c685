"""Segments become files, each record once, whatever is killed when."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from tests.s3 import S3Server
from tests.unit.monitor.logs import BEGIN, feedback, pair, prediction, worker, write_segment

from fairlead.adapters.s3 import filesystem
from fairlead.adapters.trees import BucketTree, FolderTree, open_tree
from fairlead.errors import Conflict, ServiceError
from fairlead.monitor.partitions import Sizes
from fairlead.monitor.shipping import read_table, ship
from fairlead.monitor.target import Target

ALL = Sizes(bytes=1 << 30, seconds=0.0)


def numbers(target: Target, table: str = "predictions") -> list[int]:
    """Sequence numbers of all rows."""
    names = [name for name in target.names() if name.startswith(table)]
    return sorted(number for name in names for number in read_table(target, name, ["seq"])["seq"].to_pylist())


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    """Six segments over two hours with 60 predictions, a label, a pair, and the worker's begin and end."""
    folder = tmp_path / "log"
    for part in range(6):
        first = 1 + 10 * part
        at = BEGIN + 600 * part
        write_segment(folder, [prediction(number, at=at) for number in range(first, first + 10)], at=at)
    write_segment(folder, [worker("begin", 0)], at=BEGIN - 1)
    write_segment(
        folder, [feedback(61, "18a-1-5", True), pair(62, "18a-1-6"), worker("end", 62)], at=BEGIN + 3600
    )
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> FolderTree:
    return FolderTree(tmp_path / "target")


def test_every_record_is_in_the_target_once_and_the_folder_is_empty(segments: Path, tree: FolderTree) -> None:
    [batch] = ship(segments, tree, ALL, BEGIN + 1e6)
    assert (batch.segments, batch.records, batch.torn) == (8, 64, 0)
    assert numbers(tree) == list(range(1, 61))
    assert Counter(name.partition("/")[0] for name in tree.names()) == {
        "predictions": 2, "feedback": 1, "pairs": 1, "workers": 1}  # fmt: skip
    assert [path.name for path in segments.iterdir()] == [".shipper"]


def test_batches_are_as_large_as_said(segments: Path, tree: FolderTree) -> None:
    size = max(path.stat().st_size for path in segments.iterdir())
    batches = list(ship(segments, tree, Sizes(bytes=2 * size + 200, seconds=0.0), BEGIN + 1e6))
    assert [batch.segments for batch in batches] == [3, 2, 2, 1]
    assert numbers(tree) == list(range(1, 61))


def test_what_is_not_due_stays(segments: Path, tree: FolderTree) -> None:
    assert list(ship(segments, tree, Sizes(seconds=1e9), BEGIN)) == []
    assert len(list(segments.glob("*.jsonl"))) == 8


def test_torn_lines_are_counted(tmp_path: Path, tree: FolderTree) -> None:
    path = write_segment(tmp_path / "log", [prediction(1)])
    path.write_bytes(path.read_bytes() + b'{"kind": "pred')
    [batch] = ship(tmp_path / "log", tree, ALL, BEGIN + 1)
    assert (batch.records, batch.torn) == (1, 1)


@pytest.mark.parametrize(
    "bad",
    [
        prediction(2, rows=0) | {"rows": [{"answer": "none"}]},
        prediction(2) | {"rows": None},
        prediction(2, at="soon"),
        prediction(2, at=1e300),
        feedback(2, 7, "yes"),
        feedback(2, "a", "yes", row=2**40),
    ],
    ids=["answer", "rows", "time", "far future", "id", "row"],
)
def test_a_record_that_fits_no_table_holds_up_no_other(tmp_path: Path, tree: FolderTree, bad: dict) -> None:
    write_segment(tmp_path / "log", [prediction(1), bad, prediction(3)])
    [batch] = ship(tmp_path / "log", tree, ALL, BEGIN + 1)
    assert (batch.records, batch.torn) == (2, 1)
    assert numbers(tree) == [1, 3]


def test_a_second_shipper_is_refused(segments: Path, tree: FolderTree) -> None:
    shipping = ship(segments, tree, Sizes(bytes=1, seconds=0.0), BEGIN + 1e6)
    next(shipping)
    with pytest.raises(Conflict, match="another process ships"):
        next(ship(segments, tree, ALL, BEGIN + 1e6))
    shipping.close()
    list(ship(segments, tree, ALL, BEGIN + 1e6))
    assert numbers(tree) == list(range(1, 61))


def test_other_files_of_the_folder_are_left_alone(segments: Path, tree: FolderTree) -> None:
    (segments / "notes.txt").write_text("mine")
    (segments / "mine.jsonl").write_text("{}")
    list(ship(segments, tree, ALL, BEGIN + 1e6))
    assert (segments / "notes.txt").exists()
    assert (segments / "mine.jsonl").exists()


# --------------------------------------------------------------------------------------------------- kills

KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from fairlead.adapters.trees import open_tree
from fairlead.monitor.partitions import Sizes
from fairlead.monitor.shipping import ship

left = int(sys.argv[3])

def deadly(action):
    # SIGKILL before the nth step that changes anything, or in the middle of it.
    def step(*arguments, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return action(*arguments, **more)
    return step

os.rename, os.mkdir, os.unlink, os.rmdir = map(deadly, (os.rename, os.mkdir, os.unlink, os.rmdir))
tree = open_tree(sys.argv[2])
tree.write = deadly(tree.write)
size = int(sys.argv[4])
for batch in ship(Path(sys.argv[1]), tree, Sizes(bytes=size, seconds=0.0), 1e10):
    pass
print(left)
"""


def run_until(step: int, folder: Path, target: str, size: int = 3000) -> int:
    """Ship, killed at a step; the exit code."""
    command = [sys.executable, "-c", KILLED, str(folder), target, str(step), str(size)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.long
def test_a_shipper_killed_at_every_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """One folder: each run is killed one step further into its work than the last one, until one gets through."""
    folder, tree = tmp_path / "log", FolderTree(tmp_path / "target")
    written = 0
    for step in range(1, 100):
        for _ in range(2):  # new segments keep coming
            write_segment(folder, [prediction(written + number) for number in (1, 2, 3)], at=BEGIN + written)
            written += 3
        if run_until(step, folder, tree.root) == 0 and not list(folder.glob("*.jsonl")):
            break
    assert 20 < step < 99
    assert numbers(tree) == list(range(1, written + 1))
    assert [path.name for path in folder.iterdir()] == [".shipper"]


@pytest.mark.parametrize("step", [1, 5, 10, 12, 16, 18, 25])
def test_the_next_shipper_finishes_the_work_of_a_killed_one(
    segments: Path, tree: FolderTree, step: int
) -> None:
    assert run_until(step, segments, tree.root, size=1 << 30) == -signal.SIGKILL
    list(ship(segments, tree, ALL, BEGIN + 1e6))
    assert numbers(tree) == list(range(1, 61))
    assert numbers(tree, "feedback") == [61]
    assert [path.name for path in segments.iterdir()] == [".shipper"]


def test_a_segment_that_the_writer_deletes_is_lost_and_not_doubled(segments: Path, tree: FolderTree) -> None:
    """Killed after the upload, before it is known to be complete; meanwhile the writer makes room."""
    run_until(1, segments, tree.root, size=1)
    batch = segments / ".batch"
    batch.mkdir()
    claimed, deleted = sorted(segments.glob("*.jsonl"))[1:3]
    claimed.rename(batch / claimed.name)
    deleted.unlink()
    list(ship(segments, tree, ALL, BEGIN + 1e6))
    assert numbers(tree) == [number for number in range(1, 61) if not 11 <= number <= 20]


# ---------------------------------------------------------------------------------------------- a real bucket


@pytest.mark.xdist_group("s3")
def test_records_are_shipped_to_a_bucket(s3: S3Server, segments: Path) -> None:
    tree = open_tree("s3://models/logs/plain")
    list(ship(segments, tree, ALL, BEGIN + 1e6))
    assert numbers(tree) == list(range(1, 61))
    assert all(name.endswith(".parquet") for name in tree.names())


@pytest.mark.xdist_group("s3")
def test_a_bucket_that_is_away_loses_nothing(
    s3: S3Server, segments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.adapters.s3.patiently", lambda action, _what: action())
    tree = open_tree("s3://models/logs/away")
    assert isinstance(tree, BucketTree)
    tree._filesystem = filesystem(attempts=1)
    s3.stop()
    with pytest.raises(ServiceError, match="s3://models/logs/away"):
        list(ship(segments, tree, ALL, BEGIN + 1e6))
    s3.start()
    list(ship(segments, tree, ALL, BEGIN + 1e6))
    assert numbers(tree) == list(range(1, 61))


@pytest.mark.xdist_group("s3")
@pytest.mark.parametrize("step", [11, 13])
def test_a_shipper_to_a_bucket_killed_and_run_again_doubles_nothing(
    s3: S3Server, segments: Path, step: int
) -> None:
    tree = open_tree(f"s3://models/logs/killed-{step}")
    assert run_until(step, segments, tree.root, size=1 << 30) == -signal.SIGKILL
    list(ship(segments, tree, ALL, BEGIN + 1e6))
    assert numbers(tree) == list(range(1, 61))


@pytest.mark.xdist_group("s3")
def test_an_object_is_written_over_deleted_and_listed(s3: S3Server) -> None:
    tree = open_tree("s3://models/tree")
    tree.write("a/b.txt", b"one")
    tree.write("a/b.txt", pa.py_buffer(b"two"))
    tree.write("c.txt", b"")
    with tree.open("a/b.txt") as file:
        assert file.read() == b"two"
    assert (tree.names(), tree.names("a"), tree.names("none")) == (["a/b.txt", "c.txt"], ["a/b.txt"], [])
    tree.delete("a/b.txt")
    tree.delete("a/b.txt")
    assert tree.names() == ["c.txt"]


def test_a_disk_without_room_is_said_and_nothing_is_lost(segments: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file where the folder should be")
    with pytest.raises(ServiceError, match="cannot write"):
        list(ship(segments, FolderTree(tmp_path / "target"), ALL, BEGIN + 1e6))
    (tmp_path / "target").unlink()
    list(ship(segments, FolderTree(tmp_path / "target"), ALL, BEGIN + 1e6))
    assert numbers(FolderTree(tmp_path / "target")) == list(range(1, 61))
