"""Artifacts and finished tasks in the store, each named by content, so that a run that was killed can go on.

An artifact is a file or a folder; its URI between tasks is ``artifacts:DIGEST``. What a task gave is a record under the digest of
all that went into it, written last: where there is a record, there are all its artifacts.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairlead.errors import NotFound
from fairlead.records import Store

SCHEME = "artifacts:"
EMPTY = SCHEME + "none"
"""The URI of an artifact that a task declared and did not write."""
_KIND, _RECORDS = "artifacts", "tasks"
_CONTENT, _RECORD = "content", "record.json"


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, or of a folder's names and contents; times and owners do not count."""
    if path.is_file():
        return hashlib.sha256(b"file\0" + _digest_of_file(path)).hexdigest()
    listed = sorted(found.relative_to(path).as_posix() for found in path.rglob("*") if found.is_file())
    whole = hashlib.sha256(b"folder\0")
    for name in listed:
        whole.update(name.encode() + b"\0" + _digest_of_file(path / name))
    return whole.hexdigest()


def _digest_of_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def keep(store: Store, path: Path) -> str:
    """Move the file or folder *path* into the store; returns its URI."""
    if not path.exists():
        return EMPTY
    digest = digest_of(path)
    if not store.has(_KIND, digest):
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".keep-") as wrapped:
            path.rename(Path(wrapped) / _CONTENT)
            store.put(_KIND, digest, Path(wrapped))
    return SCHEME + digest


def fetch(store: Store, uri: str, to: Path) -> None:
    """Put the artifact at *to*, which must not exist; nothing is put there if the task did not write it.

    Raises:
        NotFound: The URI is not one of :func:`keep`, or the store has no such artifact.
    """
    if not uri.startswith(SCHEME):
        raise NotFound(f"the artifact {uri} is not in the store of this run")
    if uri == EMPTY:
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".fetch-") as scratch:
        wrapped = Path(scratch) / "object"
        store.get(_KIND, uri.removeprefix(SCHEME), wrapped)
        (wrapped / _CONTENT).rename(to)


def task_key(command: Sequence[str], image: str, executor_input: Mapping[str, Any], salt: str) -> str:
    """Digest of all that goes into a task.

    Args:
        command: What KFP compiled, with the component's source.
        image: The image's reference. Best by digest: a rebuilt image under the same tag would give the same key.
        executor_input: Parameters, and input artifacts whose URIs are content digests. Outputs are left out.
        salt: The run's name for a task whose results other runs may not use; empty if they may.
    """
    content = {
        "command": list(command),
        "image": image,
        "inputs": executor_input.get("inputs", {}),
        "salt": salt,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_record(store: Store, key: str) -> dict[str, Any] | None:
    """What the finished task *key* gave, as KFP's executor output; None if it has not finished."""
    if not store.has(_RECORDS, key):
        return None
    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        store.get(_RECORDS, key, Path(scratch) / "object")
        text = (Path(scratch) / "object" / _RECORD).read_text(encoding="utf-8")
    return dict(json.loads(text))


def write_record(store: Store, key: str, output: Mapping[str, Any]) -> None:
    """Remember what the task *key* gave. The last thing a task does."""
    with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
        (Path(scratch) / _RECORD).write_text(json.dumps(output, sort_keys=True), encoding="utf-8")
        store.put(_RECORDS, key, Path(scratch))
