"""Counts of several worker processes as one: a file for each in a folder that they share.

- A worker counts in a file of its own, mapped to memory, and holds a lock (``flock``) on it. The kernel frees the
  lock when the process ends, however it ends: who can have the lock knows that the worker is dead.
- Whoever is asked adds up all files. Files of dead workers count on.
- A worker that starts folds the files of dead ones, when there are more than a few, into ``dead.json``, which
  lists the files it has taken in. It appears by a rename, and only then are they deleted. So at any moment the
  folder tells the same sums, even if the one who folds is killed half way.
- Reading takes no lock, because a process stopped while it holds one would stop all. A reader that finds another
  ``dead.json`` than the one it began with begins again.

The folder belongs to one pod and one bundle, such as an ``emptyDir``: what is in it counts on.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from fairlead.serve.metrics.counters import SIZE, Reading, Store, read, total

SUFFIX = ".counts1"
"""Of a worker's file. The digit is the version of its form; files of another version are not looked at."""
_UNFINISHED = ".new"
FOLDED = "dead.json"
_LOCK = "lock"
DEAD_FILES = 4
"""More files of dead workers than these are folded: reading one costs a scrape 0.1 ms or more."""

Part = tuple[list[Reading], bool]
"""What one file says, and whether its worker lives."""


@dataclass(frozen=True, slots=True)
class _Folded:
    """What ``dead.json`` says."""

    readings: list[Reading]
    names: frozenset[str]
    """Files that are in it, and may not have been deleted yet."""


class Folder:
    """The counts of all workers of a pod."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine: BinaryIO | None = None

    def join(self, store: Store) -> None:
        """Have *store* count in a file of this folder from now on. Call it after any fork.

        Raises:
            OSError: The folder cannot be written, or the disk is full. The store counts where it did.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        with (self._path / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._tidy()
            self._mine = self._new_file(store)

    def leave(self) -> None:
        """Count as dead from now on. What is counted after this may be lost."""
        if self._mine is not None:
            fcntl.flock(self._mine, fcntl.LOCK_UN)  # to close it would not do: the mapping has it open, too
            self._mine.close()
            self._mine = None

    def read(self) -> list[Part]:
        """All counts, of a moment. What was counted before the call is in it, once."""
        while (parts := self._attempt()) is None:
            pass  # another process has folded, which it does once in several deaths
        return parts

    # -------------------------------------------------------------------------------------------- reading

    def _attempt(self) -> list[Part] | None:
        """The counts, or None if files were folded meanwhile."""
        with _opened(self._path / FOLDED) as file:  # open to the end, so that its inode is not used again
            folded = _folded_in(file)
            parts: list[Part] = [(folded.readings, False)]
            for path in self._files():
                if path.name not in folded.names:
                    try:
                        parts.append(_read_file(path))
                    except FileNotFoundError:
                        return None
            return parts if _inode_of(file) == self._folded_inode() else None

    def _files(self) -> list[Path]:
        return sorted(path for path in self._path.iterdir() if path.suffix == SUFFIX)

    def _folded_inode(self) -> int | None:
        try:
            return (self._path / FOLDED).stat().st_ino
        except FileNotFoundError:
            return None

    # -------------------------------------------------------------------------- writing, one process at a time

    def _new_file(self, store: Store) -> BinaryIO:
        """It is locked before it can be seen, so it is never taken for that of a dead worker."""
        path = self._path / f"{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        unfinished = path.with_suffix(_UNFINISHED)
        file = unfinished.open("x+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(
                bytes(SIZE)
            )  # a full disk is found out here, where it raises; in mapped memory it kills
            file.flush()
            store.move_to(memoryview(mmap.mmap(file.fileno(), SIZE)))
        except OSError:
            file.close()
            unfinished.unlink()
            raise
        unfinished.rename(path)
        return file

    def _tidy(self) -> None:
        """Delete what a killed process left behind, and fold if there is much."""
        with _opened(self._path / FOLDED) as file:
            folded = _folded_in(file)
        for leftover in self._path.glob(f"*{_UNFINISHED}"):
            leftover.unlink()
        for name in folded.names:
            (self._path / name).unlink(missing_ok=True)
        dead = [path for path in self._files() if not _is_locked(path)]
        if len(dead) > DEAD_FILES:
            self._fold(folded, dead)

    def _fold(self, folded: _Folded, dead: list[Path]) -> None:
        parts: list[Part] = [(folded.readings, False), *((_read_file(path)[0], False) for path in dead)]
        record = {
            "files": [path.name for path in dead],
            "series": [reading.to_json() for reading in total(parts)],
        }
        unfinished = self._path / f"{FOLDED}{_UNFINISHED}"
        with unfinished.open("wb") as file:
            file.write(orjson.dumps(record))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._path / FOLDED)
        for path in dead:
            path.unlink()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file


def _folded_in(file: BinaryIO | None) -> _Folded:
    if file is None:
        return _Folded([], frozenset())
    record = orjson.loads(file.read())
    return _Folded([Reading.from_json(raw) for raw in record["series"]], frozenset(record["files"]))


def _inode_of(file: BinaryIO | None) -> int | None:
    return None if file is None else os.fstat(file.fileno()).st_ino


def _read_file(path: Path) -> Part:
    with path.open("rb") as file:
        alive = not _can_lock(file)
        with mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ) as block, memoryview(block) as view:
            return read(view), alive


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        return not _can_lock(file)


def _can_lock(file: BinaryIO) -> bool:
    """Whether no living worker holds *file*. Shared, so that readers do not take each other for the worker."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return False
