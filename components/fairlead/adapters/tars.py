"""Folders as tar streams whose bytes depend on names and content alone: no owners, no times, sorted."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

_PIECE = 1 << 20
"""Bytes read or written at once: a stream of any length takes no more memory than a few of these."""


def entry(name: str, size: int, *, executable: bool = False) -> tarfile.TarInfo:
    """The header of a file: owner 0, time 0, mode 644 or 755."""
    header = tarfile.TarInfo(name)
    header.size, header.mtime = size, 0
    header.mode = 0o755 if executable else 0o644
    return header


def write_folder(folder: Path, stream: Any) -> None:
    """Write *folder* with all in it to *stream*, anything with ``write(bytes)``. Links are followed.

    Raises:
        OSError: A file cannot be read, or changed its size meanwhile; *stream* holds half a tar then.
    """
    with tarfile.open(fileobj=stream, mode="w|", bufsize=_PIECE, format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*"), key=lambda found: found.relative_to(folder).as_posix()):
            name = path.relative_to(folder).as_posix()
            if path.is_dir():
                archive.addfile(_folder_entry(name))
                continue
            with path.open("rb") as content:
                facts = os.fstat(content.fileno())
                archive.addfile(
                    entry(name, facts.st_size, executable=bool(facts.st_mode & 0o100)), fileobj=content
                )


def _folder_entry(name: str) -> tarfile.TarInfo:
    header = entry(name, 0, executable=True)
    header.type = tarfile.DIRTYPE
    return header


def read_folder(stream: Any, folder: Path) -> None:
    """Unpack *stream*, anything with ``read(size)``, to *folder*, which is made.

    Members that would be written outside the folder, devices and the like are refused.

    Raises:
        tarfile.TarError: The stream is no tar, ends early, or has such a member.
    """
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE) as archive:
        extract(archive, folder)


def extract(archive: tarfile.TarFile, into: Path) -> None:
    """Unpack the plain files and folders of *archive* below *into*; owners and times are left out.

    The standard library's own filter for this is younger than the Python of Debian 12, 3.11.2.

    Raises:
        tarfile.TarError: A member is neither file nor folder, or would be written outside *into*.
    """
    root = into.resolve()
    for member in archive:
        target = (root / member.name).resolve()
        if not target.is_relative_to(root) or not (member.isfile() or member.isdir()):
            raise tarfile.ExtractError(f"{member.name!r} is no plain file or folder below the archive's root")
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member)
        if content is not None:
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file, _PIECE)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
