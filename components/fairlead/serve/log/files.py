"""The folder that the prediction log is written to: names, who writes, and what a killed writer left.

::

    20261122T061251.123456Z_POD_EPOCH_17.jsonl   a finished segment; 17 is the first sequence number in it
    20261122T061351.120001Z_POD_EPOCH_912.open   the segment that is being written
    POD_EPOCH.worker                             held locked by the writer for as long as it lives

The worker file is eight bytes that the writer maps into memory: the last sequence number it gave out. A kill
leaves it to the kernel, which keeps both: the number, so that a reader knows how many records were lost at the
end, and the lock, which is gone. Whoever finds the lock gone finishes the writer's segment.

No network file system: locks and mapped files must be those of one kernel, as on an ``emptyDir``.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import re
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OPEN, FINISHED, WORKER = ".open", ".jsonl", ".worker"
_WORKERS = f"[!.]*{WORKER}"  # without a dot: one that is being made has one
_NUMBER = struct.Struct("<Q")
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)_([A-Za-z0-9.-]+)_([0-9a-f-]+)_(\d+)\.(?:open|jsonl)")


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What a segment's name says. Names sort by time."""

    at: float
    """When it was opened, Unix time."""
    pod: str
    epoch: str
    first: int
    """Sequence number of the first record."""

    def text(self, suffix: str) -> str:
        """The file's name.

        >>> SegmentName(1795328571.123456, "fraud-0", "18a-1", 17).text(OPEN)
        '20261122T062251.123456Z_fraud-0_18a-1_17.open'
        """
        at = datetime.fromtimestamp(self.at, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return f"{at}_{self.pod}_{self.epoch}_{self.first}{suffix}"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """The inverse of :meth:`text`; None for a file that is no segment.

        >>> SegmentName.parse("20261122T062251.123456Z_fraud-0_18a-1_17.jsonl").first, SegmentName.parse("notes.txt")
        (17, None)
        """
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        at = datetime.strptime(found[1], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()
        return cls(at, found[2], found[3], int(found[4]))


def safe_pod(name: str) -> str:
    """A pod's name as a part of file names.

    >>> safe_pod("my_host/1")
    'my-host-1'
    """
    return _UNSAFE.sub("-", name) or "pod"


def new_epoch() -> str:
    """A name for this process that no other has: when it started to log, and its number."""
    return f"{time.time_ns():x}-{os.getpid():x}"


class WorkerFile:
    """Says that a writer lives, and which sequence number it gave out last, both beyond its own death."""

    def __init__(self, folder: Path, pod: str, epoch: str, last: int) -> None:
        """Make and lock the file. Raises OSError."""
        self.path = folder / f"{pod}_{epoch}{WORKER}"
        hidden = folder / f".{self.path.name}"
        self._file = os.open(hidden, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # Written before it is mapped: a page without space on the disk would kill the process at the first number.
            os.pwrite(self._file, _NUMBER.pack(last), 0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._map = mmap.mmap(self._file, _NUMBER.size)
            hidden.rename(self.path)  # locked before others can see it
        except BaseException:
            os.close(self._file)
            raise
        self.last = memoryview(self._map).cast("Q")
        """``last[0]`` is the number. Little-endian, as every machine this runs on."""

    def close(self) -> None:
        """Remove it: the writer ended in order."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)


def end_record(pod: str, epoch: str, last: int, at: float, *, clean: bool) -> dict[str, Any]:
    """The last record of a writer: what it gave out in all, and whether it could say so itself."""
    return {
        "kind": "worker",
        "event": "end" if clean else "killed",
        "pod": pod,
        "epoch": epoch,
        "seq": last,
        "at": at,
    }


def finish_dead(folder: Path) -> int:
    """Finish what writers left that are dead; returns how many segments. Raises OSError.

    Each gets a record with the writer's last sequence number, on a line of its own, so that a torn last line stays
    one. Killed in between and run again, it adds the record again, which says the same.
    """
    finished = 0
    for path in sorted(folder.glob(_WORKERS)):
        with suppress(FileNotFoundError), path.open("rb") as file:
            if _lock(file.fileno()) and path.exists():
                finished += _finish_one(folder, path, file.read(_NUMBER.size))
    # In this order: whoever writes a segment has had a worker file before.
    segments = sorted(folder.glob(f"*{OPEN}"))
    living = {path.stem for path in folder.glob(_WORKERS)}
    for path in segments:
        name = SegmentName.parse(path.name)
        if name is not None and f"{name.pod}_{name.epoch}" not in living:  # its file was removed by hand
            with suppress(FileNotFoundError):
                path.rename(path.with_suffix(FINISHED))
                finished += 1
    return finished


def writers(folder: Path) -> int:
    """How many live processes write to *folder*."""
    alive = 0
    for path in folder.glob(_WORKERS):
        with suppress(FileNotFoundError), path.open("rb") as file:
            alive += not _lock(file.fileno())
    return alive


def _finish_one(folder: Path, worker: Path, number: bytes) -> int:
    pod, epoch = worker.stem.rsplit("_", 1)
    left = sorted(folder.glob(f"*_{pod}_{epoch}_*{OPEN}"))
    last = _NUMBER.unpack(number)[0] if len(number) == _NUMBER.size else 0
    now = time.time()
    path = left[-1] if left else folder / SegmentName(now, pod, epoch, last).text(OPEN)
    line = json.dumps(end_record(pod, epoch, last, now, clean=False))
    with path.open("ab") as file:
        file.write(f"\n{line}\n".encode() if path.stat().st_size else f"{line}\n".encode())
    for segment in left or [path]:
        segment.rename(segment.with_suffix(FINISHED))
    worker.unlink()
    return len(left)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def keep_within(folder: Path, limit: int) -> int:
    """Delete the oldest finished segments until all are within *limit* bytes; returns the records that were in them.

    Raises:
        OSError: The folder cannot be read or written.
    """
    sizes = _sizes(folder)
    excess, lost = sum(sizes.values()) - limit, 0
    for path in sorted(sizes):
        if excess <= 0:
            break
        with suppress(FileNotFoundError):  # shipped, or deleted by another worker
            records = _lines(path)
            path.unlink()
            lost += records
        excess -= sizes[path]
    return lost


def _sizes(folder: Path) -> dict[Path, int]:
    sizes = {}
    for path in folder.glob(f"*{FINISHED}"):
        with suppress(FileNotFoundError):
            sizes[path] = path.stat().st_size
    return sizes


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
