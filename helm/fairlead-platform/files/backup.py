"""Back MLflow up: its SQLite database, a list of all artifacts, and the artifacts themselves where they are on the volume.

A backup is a folder named by its time in the destination, with ``mlflow.db``, ``artifacts.jsonl`` (one line a file: path and
bytes) and ``backup.json``, which is written last: without it there is no backup. Artifacts are never rewritten by MLflow, so
those of the volume are kept once for all backups, in ``artifacts/``. Only backups beyond the number to keep are removed, and
artifacts that no backup lists.

The environment says where: MLFLOW_BACKEND_STORE_URI, ARTIFACTS (a folder or s3://), BACKUPS, KEEP.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import database
import mlflow
from place import Place

RECORD = "backup.json"
LISTING = "artifacts.jsonl"
DATABASE = "mlflow.db"
ARTIFACTS = "artifacts"


def back_up(environment: Mapping[str, str], now: datetime) -> str:
    """Make one backup, then remove what is too old; returns its name."""
    backups = Place.open(environment["BACKUPS"])
    source = database.sqlite_file(environment["MLFLOW_BACKEND_STORE_URI"])
    if source is None or not source.exists():
        raise database.Trouble(
            f"there is no SQLite database at {source or 'another kind of database'}; nothing was backed up"
        )
    name = now.strftime("%Y%m%dT%H%M%SZ")
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(scratch) / DATABASE
        database.copy(source, copied)
        # After the database: an artifact that the copy knows of is then there to be listed.
        artifacts = _artifacts(environment["ARTIFACTS"])
        if _on_volume(environment["ARTIFACTS"]):
            _mirror(Path(environment["ARTIFACTS"]), artifacts, backups)
        listing = Path(scratch) / LISTING
        listing.write_text(
            "".join(json.dumps({"path": path, "bytes": size}) + "\n" for path, size in artifacts.items())
        )
        record = Path(scratch) / RECORD
        record.write_text(json.dumps(_record(name, copied, artifacts, environment["ARTIFACTS"]), indent=1))
        for file in (copied, listing, record):
            backups.put(file, f"{name}/{file.name}")
    _prune(backups, int(environment["KEEP"]))
    return name


def names(backups: Place) -> list[str]:
    """The complete backups, oldest first."""
    return [
        path.split("/")[0]
        for path, _ in backups.listed()
        if path.count("/") == 1 and path.endswith(f"/{RECORD}")
    ]


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def listing(backups: Place, name: str) -> dict[str, int]:
    """Path and size of every artifact there was at the time of a backup."""
    lines = map(json.loads, backups.read(f"{name}/{LISTING}").splitlines())
    return {line["path"]: line["bytes"] for line in lines}


def _record(name: str, copied: Path, artifacts: Mapping[str, int], where: str) -> dict[str, object]:
    return {
        "name": name,
        "mlflow": mlflow.__version__,
        "database": {
            "sha256": digest(copied),
            "bytes": copied.stat().st_size,
            "schema": database.revision(copied),
        },
        "artifacts": {"where": where, "files": len(artifacts), "bytes": sum(artifacts.values())},
    }


def _on_volume(where: str) -> bool:
    return not where.startswith("s3://")


def _artifacts(where: str) -> dict[str, int]:
    return dict(Place.open(where).listed())


def _mirror(folder: Path, artifacts: Mapping[str, int], backups: Place) -> None:
    """Upload the artifacts that the destination does not have."""
    present = dict(backups.listed(ARTIFACTS))
    for path, size in artifacts.items():
        if present.get(f"{ARTIFACTS}/{path}") != size:
            backups.put(folder / path, f"{ARTIFACTS}/{path}")


def _prune(backups: Place, keep: int) -> None:
    """Remove all but the newest *keep* backups, what was left of failed ones before them, and artifacts that no backup lists."""
    kept = names(backups)[-keep:]
    listed = {f"{ARTIFACTS}/{path}" for name in kept for path in listing(backups, name)}
    for path, _ in list(backups.listed()):
        folder = path.split("/")[0]
        if path not in listed if folder == ARTIFACTS else folder < kept[-1] and folder not in kept:
            backups.delete(path)


def main() -> int:
    """Back up as the environment says; returns the exit code."""
    try:
        print(f"backup {back_up(os.environ, datetime.now(UTC))} is complete")  # noqa: T201
    except database.Trouble as trouble:
        print(f"no backup: {trouble}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
