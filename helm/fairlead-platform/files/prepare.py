"""Before MLflow's server starts: restore a backup if one was asked for, then bring the database to this MLflow's schema.

Nothing else has the SQLite file open then: there is one server, and its Deployment replaces it by ``Recreate``. Both steps work
on a copy that takes the place of the database in one rename. Killed at any moment, this can run again; failed, the database is
what it was, and the server before this one starts with it.

The environment says what: MLFLOW_BACKEND_STORE_URI, and for a restore RESTORE_FROM, BACKUPS, ARTIFACTS.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import backup
import database
import server
from place import Place

RESTORED = "restored"
"""File beside the database with the RESTORE_FROM that has been obeyed, so that a restarted pod does not restore again."""


def prepare(environment: Mapping[str, str]) -> None:
    """Restore, then upgrade, where it is needed."""
    uri = environment["MLFLOW_BACKEND_STORE_URI"]
    file = database.sqlite_file(uri)
    if file is None:
        server.upgrade(uri)
        return
    restore(file, environment)
    upgrade(file)


def upgrade(file: Path) -> None:
    """Replace the database *file* by an upgraded copy if it has an older schema. The old one is kept."""
    have = database.revision(file)
    if not database.outdated(have):
        _say("a new database" if have is None else f"the database has the schema {have}: nothing to upgrade")
        return
    database.copy(file, file.parent / database.KEPT / f"before-{have}.db")
    new = file.with_name(f"{file.name}.upgraded")
    database.migrated(file, new)
    database.replace(file, new)
    _say(
        f"upgraded the database from the schema {have} to {database.newest()}; {database.KEPT}/before-{have}.db is what it was"
    )


def restore(file: Path, environment: Mapping[str, str]) -> None:
    """Replace the database *file* by a backup, unless this very restore has been done."""
    wanted, done = environment.get("RESTORE_FROM", ""), file.with_name(RESTORED)
    if not wanted:
        done.unlink(missing_ok=True)
        return
    if done.exists() and done.read_text() == wanted:
        _say(f"{wanted} was restored before")
        return
    new = file.with_name(f"{file.name}.restored")
    name = _fetch(wanted.split("#")[0], new, environment)
    database.check(new)
    # Not if a kill came between the next two steps: the copy of what was replaced would be lost.
    if file.exists() and backup.digest(file) != backup.digest(new):
        database.copy(file, file.parent / database.KEPT / f"replaced-by-{name}.db")
    database.replace(file, new)
    done.write_text(wanted)
    _say(f"restored {name}; {database.KEPT}/replaced-by-{name}.db is what it replaced")


def _fetch(wanted: str, to: Path, environment: Mapping[str, str]) -> str:
    """Bring the database of the backup *wanted* to the file *to*, and missing artifacts to the volume; returns its name."""
    if wanted.startswith("before-"):
        source = to.parent / database.KEPT / f"{wanted}.db"
        if not source.exists():
            raise database.Trouble(f"there is no {wanted}.db in the folder {database.KEPT} of the volume")
        database.copy(source, to)
        return wanted
    backups = Place.open(environment["BACKUPS"])
    there = backup.names(backups)
    name = there[-1] if wanted == "latest" and there else wanted
    if name not in there:
        raise database.Trouble(
            f"there is no backup {wanted} in {environment['BACKUPS']}; there are: {', '.join(there) or 'none'}"
        )
    backups.get(f"{name}/{backup.DATABASE}", to)
    expected = json.loads(backups.read(f"{name}/{backup.RECORD}"))["database"]["sha256"]
    if backup.digest(to) != expected:
        raise database.Trouble(
            f"the database in backup {name} is not what was backed up: its digest is not {expected}"
        )
    _fetch_artifacts(backups, name, environment["ARTIFACTS"])
    return name


def _fetch_artifacts(backups: Place, name: str, where: str) -> None:
    """Bring back the artifacts of the volume; say which of a store's are gone."""
    listed, present = backup.listing(backups, name), dict(Place.open(where).listed())
    missing = [path for path, size in listed.items() if present.get(path) != size]
    if where.startswith("s3://"):
        _say(f"{len(listed)} artifacts were listed; not in {where} any more: {', '.join(missing) or 'none'}")
        return
    for path in missing:
        backups.get(f"{backup.ARTIFACTS}/{path}", Path(where) / path)
    _say(f"{len(listed)} artifacts were listed; brought back: {len(missing)}")


def _say(what: str) -> None:
    print(what, flush=True)  # noqa: T201


def main() -> int:
    """Prepare as the environment says; returns the exit code."""
    try:
        prepare(os.environ)
    except database.Trouble as trouble:
        print(f"MLflow cannot start: {trouble}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
