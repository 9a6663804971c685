"""A content-addressed store in an object store: an object is one tar, ``PREFIX/KIND/DIGEST.tar``.

One upload makes an object, so it is complete or not there; nothing is ever listed. Folders of any size pass through a few
megabytes of memory. What an object holds is checked by who asked for it, because only bundles, archives and snapshots are
named by content, each in its own way.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tarfile
import uuid
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from fairlead.adapters import s3, tars
from fairlead.errors import IntegrityError, NotFound, ServiceError

_READ_AHEAD = 8 << 20
"""Bytes a request asks for: each one costs a round trip, and most bundles are smaller than this."""


class S3Store:
    """Fulfils :class:`fairlead.records.Store` with a bucket."""

    def __init__(self, root: str, environment: Mapping[str, str] = os.environ) -> None:
        """Use ``s3://BUCKET/PREFIX``, which needs no prefix; the bucket must exist."""
        s3.bucket_and_key(root)
        self.root = root.rstrip("/")
        self._environment = environment

    @cached_property
    def _filesystem(self) -> Any:
        return s3.filesystem(self._environment)

    def uri(self, kind: str, digest: str) -> str:
        """Where the object is, or would be."""
        return f"{self.root}/{kind}/{digest}.tar"

    def has(self, kind: str, digest: str) -> bool:
        """Whether the object is there.

        Raises:
            ServiceError: The store cannot be asked.
        """
        uri = self.uri(kind, digest)
        try:
            with s3.s3_errors(uri, self._environment):
                # A file is opened by one HEAD request. Asking for its information would list the bucket if it is not there.
                s3.patiently(
                    lambda: self._filesystem.open_input_file(s3.bucket_and_key(uri)).close(),
                    f"look for {uri}",
                )
        except NotFound:
            return False
        return True

    def get(self, kind: str, digest: str, to: Path) -> None:
        """Unpack the object to the folder *to*, which must not exist and appears complete or not at all.

        Raises:
            NotFound: There is no such object.
            IntegrityError: It is no tar, or ends early.
            ServiceError: The store, or the disk, fails.
        """
        uri = self.uri(kind, digest)
        with s3.s3_errors(uri, self._environment):
            s3.patiently(partial(self._download, uri, to), f"get {uri}")

    def put(self, kind: str, digest: str, folder: Path) -> str:
        """Keep *folder* as the object ``KIND/DIGEST`` and return its URI. An object that is there stays as it is.

        Raises:
            ServiceError: The store, or the disk, fails.
        """
        uri = self.uri(kind, digest)
        if not self.has(kind, digest):
            with s3.s3_errors(uri, self._environment):
                s3.patiently(partial(self._upload, folder, uri), f"put {uri}")
        return uri

    def local(self, kind: str, digest: str, cache: Path) -> Path:
        """A folder with the object on this machine, below *cache*; fetched if it is not there yet."""
        at = cache / kind / digest
        if not at.is_dir():
            self.get(kind, digest, at)
        return at

    def _download(self, uri: str, to: Path) -> None:
        path = s3.bucket_and_key(uri)
        with self._filesystem.open_input_stream(path, compression=None, buffer_size=_READ_AHEAD) as stream:
            unfinished = to.with_name(f".{to.name}.{uuid.uuid4().hex}")
            try:
                tars.read_folder(stream, unfinished)
                _publish(unfinished, to)
            except tarfile.TarError as cause:
                raise IntegrityError(f"{uri} is not a whole tar: {cause}") from cause
            except OSError as cause:
                if cause.errno is None:  # the stream, not the disk
                    raise
                raise ServiceError(
                    f"cannot write {to}: {cause.strerror}",
                    hint="Nothing was changed; free some space and run again.",
                ) from cause
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    def _upload(self, folder: Path, uri: str) -> None:
        upload = self._filesystem.open_output_stream(s3.bucket_and_key(uri), compression=None)
        try:
            tars.write_folder(folder, upload)
        except BaseException as cause:
            abandon(upload)
            if isinstance(cause, OSError) and cause.errno is not None:  # a file of the folder, not the store
                raise ServiceError(f"cannot read {folder}: {cause.strerror}") from cause
            raise
        upload.close()


def _publish(unfinished: Path, to: Path) -> None:
    try:
        unfinished.rename(to)
    except OSError as cause:
        if cause.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        # Another process finished the same object first.


def abandon(upload: Any) -> None:
    """Leave an upload unfinished, as a kill would; the object then never appears.

    pyarrow has no way to abort one, and both closing and destroying it would complete the object with half of its content. So
    it is kept from being destroyed for as long as the process lives.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(upload))
