"""Whether a bundle's folder is still what its digest says.

Three things are checked, from the inside out: every file of the Bento's source folder against the manifest; the manifest's
digest against its own contents, the record and the Bento's version; every other file against the list that was written
when the bundle was built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.bundle.digest import bundle_digest, files_below, lock_digest
from fairlead.bundle.layout import FORMAT_VERSION, MANIFEST, SERVED, source_files
from fairlead.errors import IntegrityError
from fairlead.records import Bundle

BENTO = "bento"
ATTESTATIONS = "attestations"
CONTENTS = f"{ATTESTATIONS}/contents.json"
"""Path to SHA-256 of everything in the bundle's folder but itself and the record."""

CAPACITY = f"{ATTESTATIONS}/capacity.json"
"""What the bundle bears under load. It is measured when the bundle is finished, and again on other machines, so it is not
listed; it names the bundle's digest itself."""

READABLE = tuple(version for version in (FORMAT_VERSION - 1, FORMAT_VERSION) if version >= 1)
"""Layouts that this fairlead reads."""


def verify(folder: Path) -> Bundle:
    """Check every file of a bundle, and return its record.

    Raises:
        IntegrityError: A file is missing, changed or new (it is named), the digest does not follow from the files, or the
            layout is of a version that this fairlead does not read.
    """
    bundle = Bundle.open(folder)
    if bundle.format_version not in READABLE:
        raise _unreadable(folder, bundle.format_version)
    source = folder / BENTO / "src"
    manifest = read_manifest(source)
    _check_files(source, source_files(source), stated_files(manifest), MANIFEST)
    _check_digest(folder, manifest, bundle)
    contents = _read_json(folder / CONTENTS)
    _check_files(folder, other_files(folder), contents, CONTENTS)
    return bundle


def read_manifest(source: Path) -> dict[str, Any]:
    """The manifest in a Bento's source folder.

    Raises:
        IntegrityError: There is none, or its version is not one that this fairlead reads.
    """
    manifest = _read_json(source / MANIFEST)
    if manifest.get("format_version") not in READABLE:
        raise _unreadable(source, manifest.get("format_version"))
    return manifest


def stated_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What the manifest says the source folder holds: path to SHA-256."""
    return {**manifest["code"], **{f"{SERVED}/{name}": sha for name, sha in manifest["files"].items()}}


def other_files(folder: Path) -> dict[str, str]:
    """The files that the contents list covers, as path to SHA-256."""
    return {
        name: sha
        for name, sha in files_below(folder).items()
        if name not in (CONTENTS, CAPACITY, Bundle.FILE) and "__pycache__" not in name.split("/")
    }


def digest_from(manifest: Mapping[str, Any]) -> str:
    """The digest that follows from what the manifest lists."""
    lock = lock_digest(manifest["requirements"])
    return bundle_digest(
        stated_files(manifest),
        dataset=manifest["dataset"],
        lock=lock,
        format_version=manifest["format_version"],
    )


def _check_files(root: Path, found: Mapping[str, str], stated: Mapping[str, str], where: str) -> None:
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            raise IntegrityError(f"{root / name} is missing; {where} lists it")
        if name not in stated:
            raise IntegrityError(f"{root / name} does not belong to the bundle: {where} does not list it")
        if found[name] != stated[name]:
            raise IntegrityError(
                f"{root / name} was changed: its SHA-256 is {found[name]}, {where} says {stated[name]}",
                hint="Fetch the bundle again from the store, or build it again.",
            )


def _check_digest(folder: Path, manifest: Mapping[str, Any], bundle: Bundle) -> None:
    digest = digest_from(manifest)
    for place, stated in ((MANIFEST, manifest["digest"]), (Bundle.FILE, bundle.digest)):
        if stated != digest:
            raise IntegrityError(f"{folder}: {place} says digest {stated}, its files give {digest}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as cause:
        raise IntegrityError(f"{path} is missing, so this is no complete bundle") from cause
    except ValueError as cause:
        raise IntegrityError(f"{path} is not JSON: {cause}") from cause
    if not isinstance(found, dict):
        raise IntegrityError(f"{path} is not a JSON object")
    return found


def _unreadable(folder: Path, version: object) -> IntegrityError:
    readable = " and ".join(map(str, READABLE))
    return IntegrityError(
        f"{folder}: the bundle has format version {version}, this fairlead reads {readable}",
        hint="Use the fairlead that built it, or run the project again.",
    )
