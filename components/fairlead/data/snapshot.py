"""Names for data: the recipe (what a snapshot would be made of) and the digest (what it holds)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fairlead.spec import Contract, Project
from fairlead.spec.contract import contract_json

NAMED_FILES = ("train.parquet", "valid.parquet", "test.parquet", "schema.json", "profile.json")
"""The files whose content is the snapshot's name: all that a model or its bundle is made of."""
_PACKAGES = ("adapters/sources", "data", "schema", "stats")


def recipe_of(fingerprint: str, project: Project, contract: Contract) -> str:
    """SHA-256 over everything that decides what a snapshot holds: source, contract, data part, task, and this code."""
    parts = {
        "source": fingerprint,
        "contract": contract_json(contract),
        "columns": list(contract.columns),
        "data": project.data.model_dump(mode="json"),
        "name": project.name,
        "task": project.model.task,
        "positive": project.model.positive,
        "code": code_digest(),
        "libraries": [np.__version__, pd.__version__, pa.__version__],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def digest_of(folder: Path) -> str:
    """SHA-256 over the splits, the schema and the profile in *folder*: over lines of file name and the file's own SHA-256."""
    return _digest((name, folder / name) for name in NAMED_FILES)


@cache
def code_digest() -> str:
    """SHA-256 over the source of the packages that decide what a snapshot holds."""
    root = Path(__file__).parent.parent
    files = (path for package in _PACKAGES for path in sorted((root / package).glob("*.py")))
    return _digest((path.relative_to(root).as_posix(), path) for path in files)


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, path in files:
        with path.open("rb") as file:
            total.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
