"""Whether something must be built again: the digest of what it was made from, kept beside it."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def digest(*parts: str | Path) -> str:
    """20 hexadecimal digits that stand for all *parts*.

    A text stands for itself; a folder for the names, contents and executable bits of all files in it.
    """
    sum_ = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            sum_.update(f"{part}\n".encode())
            continue
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            sum_.update(f"{file.relative_to(part)} {file.stat().st_mode & 0o111}\n".encode())
            sum_.update(file.read_bytes())
    return sum_.hexdigest()[:20]


def is_fresh(stamp: Path, wanted: str) -> bool:
    """Whether what *stamp* stands for was last made from *wanted*."""
    return stamp.is_file() and stamp.read_text() == wanted


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file *path*, waiting for whoever holds it: two `up` at once would make two nodes.

    The kernel gives it up when the process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
