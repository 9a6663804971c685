"""A folder in an object store, or on a disk, where backups are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pyarrow import fs


@dataclass(frozen=True)
class Place:
    """Files under a root; names are relative to it."""

    files: fs.FileSystem
    root: str

    @classmethod
    def open(cls, uri: str) -> Place:
        """The place *uri*: ``s3://bucket/prefix``, reached as the AWS variables say, or a folder."""
        if uri.startswith("s3://"):
            return cls(s3(), uri.removeprefix("s3://").rstrip("/"))
        return cls(fs.LocalFileSystem(), str(Path(uri.removeprefix("file://"))))

    def put(self, file: Path, name: str) -> None:
        """Upload *file* as *name*."""
        target = f"{self.root}/{name}"
        if isinstance(self.files, fs.LocalFileSystem):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(
            str(file), target, source_filesystem=fs.LocalFileSystem(), destination_filesystem=self.files
        )

    def get(self, name: str, file: Path) -> None:
        """Download *name* to *file*, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.unfinished")
        fs.copy_files(
            f"{self.root}/{name}",
            str(unfinished),
            source_filesystem=self.files,
            destination_filesystem=fs.LocalFileSystem(),
        )
        unfinished.replace(file)

    def read(self, name: str) -> str:
        """The text of *name*."""
        with self.files.open_input_stream(f"{self.root}/{name}") as stream:
            return bytes(stream.read()).decode()

    def listed(self, folder: str = "") -> Iterator[tuple[str, int]]:
        """Name and size of every file below *folder*, in order of names."""
        top = f"{self.root}/{folder}".rstrip("/")
        found = self.files.get_file_info(fs.FileSelector(top, recursive=True, allow_not_found=True))
        for info in sorted(found, key=lambda info: info.path):
            if info.type == fs.FileType.File:
                yield info.path.removeprefix(f"{self.root}/"), info.size

    def delete(self, name: str) -> None:
        """Remove the file *name*."""
        self.files.delete_file(f"{self.root}/{name}")


def s3() -> fs.S3FileSystem:
    """The store of the environment: AWS_ENDPOINT_URL (empty: AWS), AWS_REGION, keys or an identity as AWS' tools find them."""
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    where = {"scheme": endpoint.scheme, "endpoint_override": endpoint.netloc} if endpoint.netloc else {}
    return fs.S3FileSystem(region=os.environ.get("AWS_REGION") or None, allow_bucket_creation=True, **where)
