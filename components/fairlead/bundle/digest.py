"""What a bundle is called: the SHA-256 of everything that changes its predictions or its runtime, and of nothing else.

In the digest: model, schema, reference, serving code, project code, dataset digest, requirement pins, format version.
Not in it: times, run ids, metrics, gates, pages. Those are attestations; they name the digest, and stand beside the Bento.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

_CHUNK = 1 << 20


def digest_of(content: bytes) -> str:
    """SHA-256, hexadecimal.

    >>> digest_of(b"")[:16]
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            sha.update(piece)
    return sha.hexdigest()


def bundle_digest(files: Mapping[str, str], *, dataset: str, lock: str, format_version: int) -> str:
    """The digest of a bundle.

    Args:
        files: Path inside the Bento's source folder (with ``/``) to SHA-256, for every file but the manifest itself.
        dataset: Digest of the dataset the model was trained on.
        lock: Digest of the requirement pins, from :func:`lock_digest`.
        format_version: Version of the bundle's layout.

    The order of the files makes no difference; a path, a byte or a pin does:

    >>> one = bundle_digest({"a": "11", "b": "22"}, dataset="d", lock="l", format_version=1)
    >>> one == bundle_digest({"b": "22", "a": "11"}, dataset="d", lock="l", format_version=1)
    True
    >>> one == bundle_digest({"a": "11", "c": "22"}, dataset="d", lock="l", format_version=1)
    False
    >>> one[:16]
    '134ee672882f47f7'
    """
    facts = {"dataset": dataset, "files": dict(files), "format_version": format_version, "lock": lock}
    return digest_of(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


def lock_digest(requirements: Mapping[str, str]) -> str:
    """The digest of pinned packages, whatever their order.

    >>> lock_digest({"numpy": "2.4.6", "orjson": "3.11"}) == lock_digest({"orjson": "3.11", "numpy": "2.4.6"})
    True
    """
    return digest_of("".join(f"{name}=={requirements[name]}\n" for name in sorted(requirements)).encode())


def files_below(root: Path) -> dict[str, str]:
    """Every file below *root*, as path with ``/`` to SHA-256, in sorted order."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): file_digest(path) for path in paths}
