"""A content-addressed store on a file system.

An object is a folder named ``KIND/DIGEST``. It is written to a temporary sibling and renamed, so a folder of that name is
always complete; a kill leaves only a temporary folder, which nothing reads.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from pathlib import Path

from fairlead.errors import NotFound, ServiceError


class FolderStore:
    """Fulfils :class:`fairlead.records.Store` with a folder. Files are hard links where the file system allows."""

    def __init__(self, root: Path) -> None:
        """Use *root*, which need not exist yet."""
        self.root = root

    def path(self, kind: str, digest: str) -> Path:
        """Where the object is, or would be."""
        return self.root / kind / digest

    def has(self, kind: str, digest: str) -> bool:
        """Whether the complete object is there."""
        return self.path(kind, digest).is_dir()

    def get(self, kind: str, digest: str, to: Path) -> None:
        """Copy the object to the folder *to*, which must not exist.

        Raises:
            NotFound: There is no such object.
        """
        if not self.has(kind, digest):
            raise NotFound(f"the store {self.root} has no {kind} {digest[:16]}")
        _copy_whole(self.path(kind, digest), to)

    def put(self, kind: str, digest: str, folder: Path) -> str:
        """Keep *folder* as the object ``kind/digest`` and return its URI."""
        target = self.path(kind, digest)
        if not target.is_dir():
            _copy_whole(folder, target)
        return target.as_uri()


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a folder so that *target* appears complete or not at all."""
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, unfinished, copy_function=_link_or_copy)
        unfinished.rename(target)
    except OSError as cause:
        shutil.rmtree(unfinished, ignore_errors=True)
        if target.is_dir() and cause.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return  # another process finished the same object first
        raise ServiceError(
            f"cannot write {target}: {cause.strerror or cause}",
            hint="Nothing was changed; free some space and run again.",
        ) from cause


def _link_or_copy(source: str, target: str) -> None:
    # Objects are never changed in place, so a link is as good as a copy and costs no space.
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
