"""Before an upgrade of the release, while the old server runs: prove that the new MLflow can upgrade the database.

SQLite: a copy is kept on the volume, and another one is upgraded and thrown away. If that fails, the upgrade of the release
stops here and nothing has changed. The database itself is upgraded when the old server has gone (prepare.py), because SQLite's
tables are rebuilt then, and what a server writes meanwhile would be lost.

PostgreSQL: upgraded here, in one transaction, before any server is replaced.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import database
import server


def rehearse(environment: Mapping[str, str]) -> str:
    """Try or make the upgrade of the schema; returns what was found."""
    uri = environment["MLFLOW_BACKEND_STORE_URI"]
    file = database.sqlite_file(uri)
    if file is None:
        server.upgrade(uri)
        return "the database is ready for the new version"
    have = database.revision(file)
    if not database.outdated(have):
        return "a new database" if have is None else f"the database has the schema {have}: nothing to upgrade"
    database.copy(file, file.parent / database.KEPT / f"before-{have}.db")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".rehearsal-") as scratch:
        database.migrated(file, Path(scratch) / file.name)
    return f"an upgrade from the schema {have} to {database.newest()} works; it is made when the old server has stopped"


def main() -> int:
    """Rehearse as the environment says; returns the exit code."""
    try:
        print(rehearse(os.environ))  # noqa: T201
    except database.Trouble as trouble:
        print(f"the upgrade would fail: {trouble}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
