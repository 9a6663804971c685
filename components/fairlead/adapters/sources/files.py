"""Files by path, folder, pattern or object-store URI, in sorted order."""

from __future__ import annotations

import codecs
import fnmatch
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from fairlead.adapters import s3
from fairlead.errors import DataError, ProjectError, ServiceError

_PATTERN = re.compile(r"[*?\[]")
_CHUNK = 1 << 20
_READ_AHEAD = 4 << 20
"""Bytes a request asks an object store for; a reader that takes a line at a time would make one for each line."""
_ATTEMPTS = 10
"""A stream cannot be started again in the middle, so each of its requests is tried for a minute and a half."""


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path for the file system, and its name relative to the folder that was asked for."""

    path: str
    name: str


@dataclass(frozen=True)
class Files:
    """The files that a URI names.

    Attributes:
        uri: As written in the project file, for messages.
        filesystem: Local or an object store.
        base: The longest part of the path without a pattern.
        pattern: What file names relative to *base* must match; empty: *base* is a file or a whole folder.
        suffixes: Which files of a folder are taken; empty: all.
    """

    uri: str
    filesystem: Any
    base: str
    pattern: str
    suffixes: tuple[str, ...]

    @classmethod
    def at(cls, uri: str, root: Path | None, suffixes: Sequence[str] = ()) -> Files:
        """Find the file system of *uri*; nothing is listed yet.

        Raises:
            DataError: The path is relative and there is no *root*, or the URI is of an unknown kind.
        """
        if "://" in uri:
            return cls._remote(uri, tuple(suffixes))
        path = Path(uri).expanduser()
        if not path.is_absolute():
            if root is None:
                raise DataError(
                    f"data.source.uri is the relative path {uri!r}, but there is no project folder here to start from",
                    hint="Give an absolute path or an s3:// URI for runs outside your own machine.",
                )
            path = root / path
        base, pattern = _cut_at_pattern(str(path))
        return cls(uri, fs.LocalFileSystem(), base, pattern, tuple(suffixes))

    @classmethod
    def _remote(cls, uri: str, suffixes: tuple[str, ...]) -> Files:
        base, pattern = _cut_at_pattern(uri)
        if base.startswith(s3.SCHEME):
            return cls(uri, s3.filesystem(attempts=_ATTEMPTS), s3.bucket_and_key(base), pattern, suffixes)
        try:
            filesystem, path = fs.FileSystem.from_uri(base)
        except (pa.ArrowInvalid, ValueError) as cause:
            raise DataError(f"data.source.uri {uri!r}: {cause}") from cause
        except OSError as cause:
            raise ServiceError(f"cannot reach {uri}: {cause}") from cause
        return cls(uri, filesystem, path.rstrip("/"), pattern, suffixes)

    def sorted(self) -> Sequence[File]:
        """All files, sorted by name.

        Raises:
            DataError: There are none.
            ServiceError: The object store does not answer.
        """
        found = sorted(self._found(), key=lambda file: file.name)
        if not found:
            wanted = f" matching {self.pattern}" if self.pattern else f" ending in {', '.join(self.suffixes)}"
            raise DataError(f"there are no files{wanted if self.pattern or self.suffixes else ''} in {self.base}",
                            hint=f"data.source.uri is {self.uri!r}.")  # fmt: skip
        return found

    def _found(self) -> Sequence[File]:
        with reading(self.base):
            info = self.filesystem.get_file_info(self.base)
        if info.type == fs.FileType.NotFound:
            raise DataError(
                f"there is no file or folder {self.base}", hint=f"data.source.uri is {self.uri!r}."
            )
        if info.type == fs.FileType.File:
            return [File(self.base, info.base_name)]
        with reading(self.base):
            inside = self.filesystem.get_file_info(fs.FileSelector(self.base, recursive=True))
        named = [File(one.path, one.path[len(self.base) :].lstrip("/")) for one in inside if one.is_file]
        return [file for file in named if self._wanted(file.name)]

    def _wanted(self, name: str) -> bool:
        if any(part.startswith(".") for part in name.split("/")):
            return False
        if self.pattern:
            return name.count("/") == self.pattern.count("/") and fnmatch.fnmatchcase(name, self.pattern)
        return not self.suffixes or name.lower().endswith(self.suffixes)

    @contextmanager
    def open(self, file: File, *, decompress: bool = False) -> Iterator[Any]:
        """The file's bytes as an Arrow stream; with *decompress* by its suffix (``.gz``, ``.zst``, ``.bz2``)."""
        with reading(file.path):
            compression = "detect" if decompress else None
            stream = self.filesystem.open_input_stream(
                file.path, compression=compression, buffer_size=_READ_AHEAD
            )
        with stream:
            yield stream

    def read(self, file: File) -> bytes:
        """The whole file. For small files only."""
        with self.open(file) as stream, reading(file.path):
            return bytes(stream.read())

    def fingerprint(self) -> str:
        """SHA-256 over the names and the content of all files."""
        total = hashlib.sha256()
        for file in self.sorted():
            content = hashlib.sha256()
            with self.open(file) as stream, reading(file.path):
                while chunk := stream.read(_CHUNK):
                    content.update(chunk)
            total.update(f"{file.name}\0{content.hexdigest()}\n".encode())
        return total.hexdigest()


def known_encoding(name: str) -> str:
    """*name*, if it is an encoding that Python knows; ProjectError if not."""
    try:
        return codecs.lookup(name).name
    except LookupError as cause:
        hint = "For example utf-8, latin-1, cp1252."
        raise ProjectError(f"data.source.encoding is {name!r}, which is no encoding", hint=hint) from cause


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn the errors of file systems and formats into fairlead's, naming the file."""
    try:
        yield
    except FileNotFoundError as cause:
        raise DataError(f"there is no file {path}") from cause
    except PermissionError as cause:
        raise DataError(f"{path} may not be read: {cause.strerror or cause}") from cause
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as cause:
        raise DataError(f"{path} cannot be read: {cause}") from cause
    except OSError as cause:
        if cause.errno is None:  # an object store
            reason = f"{path} at {s3.shown_endpoint()} cannot be read: {s3.reason_of(cause)}"
            raise ServiceError(reason, hint=s3.hint_for(cause)) from cause
        raise ServiceError(f"reading {path} failed: {cause}") from cause


def _cut_at_pattern(path: str) -> tuple[str, str]:
    """The part without a pattern, and the pattern.

    >>> _cut_at_pattern("/data/days/*.csv"), _cut_at_pattern("/data/days.csv")
    (('/data/days', '*.csv'), ('/data/days.csv', ''))
    """
    parts = path.split("/")
    for position, part in enumerate(parts):
        if _PATTERN.search(part):
            return "/".join(parts[:position]) or "/", "/".join(parts[position:])
    return path.rstrip("/") or "/", ""
