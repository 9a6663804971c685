"""A content-addressed store on a file system, and the choice between that and an object store.

An object is a folder named ``KIND/DIGEST``. It is written to a temporary sibling and renamed, so a folder of that name is
always complete; a kill leaves only a temporary folder, which nothing reads.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

from fairlead.errors import NotFound, ProjectError, ServiceError

if TYPE_CHECKING:
    from fairlead.adapters.objects import S3Store

    AnyStore: TypeAlias = "FolderStore | S3Store"


def open_store(where: str) -> AnyStore:
    """The store at *where*: a folder, ``file:///…`` or ``s3://bucket/prefix``. Nothing is read yet.

    >>> open_store("/srv/store").uri("bundles", "ab")
    'file:///srv/store/bundles/ab'
    >>> open_store("s3://models/team").uri("bundles", "ab")
    's3://models/team/bundles/ab.tar'

    Raises:
        ProjectError: It is another kind of URI.
    """
    if where.startswith("s3://"):
        from fairlead.adapters.objects import S3Store

        return S3Store(where)
    if where.startswith("file://"):
        return FolderStore(Path(unquote(urlsplit(where).path)))
    if "://" in where:
        raise ProjectError(
            f"the store {where!r} is of no kind that fairlead uses",
            hint="A store is a folder or s3://bucket/prefix.",
        )
    return FolderStore(Path(where))


def object_at(uri: str) -> tuple[AnyStore, str, str]:
    """Where an object's URI points: the store, the kind and the digest.

    >>> store, kind, digest = object_at("s3://models/team/bundles/ab.tar")
    >>> store.root, kind, digest
    ('s3://models/team', 'bundles', 'ab')

    Raises:
        ProjectError: It is no ``…/KIND/DIGEST``, as ``Store.put`` returns it.
    """
    parts = uri.rstrip("/").rsplit("/", 2)
    if len(parts) != 3 or not all(parts) or not uri.startswith(("s3://", "file://")):
        raise ProjectError(
            f"{uri!r} names no object of a store",
            hint="For example s3://bucket/prefix/bundles/DIGEST.tar or file:///folder/bundles/DIGEST.",
        )
    root, kind, name = parts
    return open_store(root), kind, name.removesuffix(".tar")


def holder(store: AnyStore, kind: str, digest: str, uri: str) -> AnyStore:
    """The store that holds an object: *store*, else the one that *uri* names, where the object was kept when it was made.

    Raises:
        NotFound: Neither has it.
    """
    if store.has(kind, digest):
        return store
    if uri.startswith(("s3://", "file://")):
        other, named, name = object_at(uri)
        if (named, name) == (kind, digest) and other.root != store.root and other.has(kind, digest):
            return other
    raise NotFound(
        f"the store {store.root} has no {kind} {digest[:16]}", hint=f"It was kept at {uri}." if uri else ""
    )


class FolderStore:
    """Fulfils :class:`fairlead.records.Store` with a folder. Files are hard links where the file system allows."""

    def __init__(self, root: Path) -> None:
        """Use *root*, which need not exist yet."""
        self.root = root

    def path(self, kind: str, digest: str) -> Path:
        """Where the object is, or would be."""
        return self.root / kind / digest

    def uri(self, kind: str, digest: str) -> str:
        """Where the object is, or would be, as ``file:///…``."""
        return self.path(kind, digest).absolute().as_uri()

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
        return self.uri(kind, digest)

    def local(self, kind: str, digest: str, cache: Path) -> Path:  # noqa: ARG002 - an object store needs a cache
        """A folder with the object on this machine: the object itself.

        Raises:
            NotFound: There is no such object.
        """
        if not self.has(kind, digest):
            raise NotFound(f"the store {self.root} has no {kind} {digest[:16]}")
        return self.path(kind, digest)


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
