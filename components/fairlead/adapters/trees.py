"""A tree of files on a disk or in a bucket, each of which is there whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from fairlead.adapters import s3
from fairlead.adapters.objects import abandon
from fairlead.errors import NotFound, ProjectError, ServiceError


def open_tree(where: str, environment: Mapping[str, str] = os.environ) -> FolderTree | BucketTree:
    """The tree at *where*: a folder, ``file:///…`` or ``s3://bucket/prefix``. Nothing is read yet.

    >>> open_tree("s3://logs/fraud").root, open_tree("file:///srv/logs").root
    ('s3://logs/fraud', '/srv/logs')

    Raises:
        ProjectError: It is another kind of URI.
    """
    if where.startswith(s3.SCHEME):
        return BucketTree(where, environment)
    if where.startswith("file://"):
        where = unquote(urlsplit(where).path)
    if "://" in where:
        raise ProjectError(
            f"{where!r} is no place that fairlead writes files to",
            hint="Name a folder or s3://bucket/prefix.",
        )
    return FolderTree(Path(where))


class FolderTree:
    """Fulfils :class:`fairlead.monitor.target.Target` with a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = str(folder)

    def names(self, below: str = "") -> list[str]:
        """Names of all files below a folder, sorted."""
        found = (path for path in (self._folder / below).rglob("*") if path.is_file())
        return sorted(path.relative_to(self._folder).as_posix() for path in found if path.name[0] != ".")

    def open(self, name: str) -> Any:
        """The file, to be closed."""
        from pyarrow import OSFile

        try:
            return OSFile(str(self._folder / name))
        except FileNotFoundError as cause:
            raise NotFound(f"there is no {self._folder / name}") from cause

    def write(self, name: str, content: Any) -> None:
        """Put a file there, or another one in its place, at once."""
        path = self._folder / name
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(content)
            unfinished.replace(path)
        except OSError as cause:
            with suppress(OSError):
                unfinished.unlink()
            raise ServiceError(
                f"cannot write {path}: {cause.strerror or cause}",
                hint="Nothing was lost; free some space and run again.",
            ) from cause

    def delete(self, name: str) -> None:
        """Remove a file; it need not be there."""
        (self._folder / name).unlink(missing_ok=True)


class BucketTree:
    """Fulfils :class:`fairlead.monitor.target.Target` with a bucket, which must exist."""

    def __init__(self, root: str, environment: Mapping[str, str] = os.environ) -> None:
        self._base = s3.bucket_and_key(root)
        self.root = root.rstrip("/")
        self._environment = environment
        self._filesystem = s3.filesystem(environment)

    def names(self, below: str = "") -> list[str]:
        """Names of all files below a folder, sorted."""
        from pyarrow import fs

        selector = fs.FileSelector(f"{self._base}/{below}".rstrip("/"), recursive=True, allow_not_found=True)
        with self._talk(below) as uri:
            found = s3.patiently(lambda: self._filesystem.get_file_info(selector), f"list {uri}")
        files = (info.path for info in found if info.type == fs.FileType.File)
        return sorted(path.removeprefix(f"{self._base}/") for path in files)

    def open(self, name: str) -> Any:
        """The file, to be closed."""
        with self._talk(name) as uri:
            return s3.patiently(lambda: self._filesystem.open_input_file(self._path(name)), f"open {uri}")

    def write(self, name: str, content: Any) -> None:
        """Put an object there, or another one in its place, at once."""
        with self._talk(name) as uri:
            s3.patiently(lambda: self._upload(name, content), f"put {uri}")

    def delete(self, name: str) -> None:
        """Remove an object; it need not be there."""
        with self._talk(name) as uri:
            try:
                s3.patiently(lambda: self._filesystem.delete_file(self._path(name)), f"delete {uri}")
            except FileNotFoundError:
                return

    def _upload(self, name: str, content: Any) -> None:
        upload = self._filesystem.open_output_stream(self._path(name), compression=None)
        try:
            upload.write(content)
        except BaseException:
            abandon(upload)
            raise
        upload.close()

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    @contextmanager
    def _talk(self, name: str) -> Iterator[str]:
        uri = f"{self.root}/{name}"
        with s3.s3_errors(uri, self._environment):
            yield uri
